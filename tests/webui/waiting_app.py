"""An app that starts nothing by itself: a test gives each waiting job its runner and a stand-in."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from easytune import locks
from easytune.services import dispatch, processes
from tests.conftest import AppServer, end_processes_of, environment_for
from tests.patience import PATIENCE_S, eventually


@dataclass
class WaitingApp:
    """The app, its home, and where its jobs of one kind wait."""

    app: AppServer
    home: Path
    jobs: Path

    def work(self, *stand_in: object) -> None:
        """Give the job that was asked for last a runner; `stand_in` is a script and its words."""
        waiting = sorted(path for path in self.jobs.iterdir() if path.name[0] != ".")[-1]
        worker = [sys.executable, *map(str, stand_in)]
        command = [sys.executable, "-m", "easytune.services.runner", str(waiting), "--", *worker]
        subprocess.Popen(command, stdin=subprocess.DEVNULL, **processes.detached())
        eventually((waiting / "process.json").exists, lambda: "the runner did not start")


@contextmanager
def waiting_app(home: Path, jobs: Path) -> Iterator[WaitingApp]:
    """Run an app on `home`; the lock keeps it from starting what waits in `jobs`."""
    lock = locks.hold(home / dispatch.LOCK, patience_s=PATIENCE_S)
    assert lock is not None
    with lock:
        app = AppServer(home, environment_for(home)).wait()
        yield WaitingApp(app, home, jobs)
        app.kill()
        end_processes_of(home)
