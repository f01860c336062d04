"""Has the speed of this machine measured once per home, in a process that may load torch."""

import logging
import subprocess
import sys
import threading
from pathlib import Path

from easytune import locks, machine
from easytune.services import folders, processes

_COMMAND = (sys.executable, "-m", "easytune.engine.speed")
_LOCK = ".speed.lock"
_GIVE_UP_S = 180.0
_log = logging.getLogger(__name__)


class SpeedProbe:
    """Measures in the background, at most once; not while a run is going on, which it would slow.

    The result is in `machine.look(…).gflops`.
    """

    def __init__(self, home: Path) -> None:
        """Measure for `home`."""
        self._home = home
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Start measuring, unless that was done, is being done, or would disturb a run."""
        with self._lock:
            if self._thread or (self._home / machine.SPEED_FILE).exists() or self._is_busy():
                return
            self._thread = threading.Thread(target=self.measure, name="speed", daemon=True)
            self._thread.start()

    def measure(self) -> None:
        """Measure now and wait for it. A probe that fails leaves the speed unknown."""
        self._home.mkdir(parents=True, exist_ok=True)
        lock = locks.hold(self._home / _LOCK, _GIVE_UP_S)
        if lock is None:
            return
        with lock:
            if (self._home / machine.SPEED_FILE).exists():
                return
            try:
                subprocess.run(
                    [*_COMMAND, str(self._home)], check=True, capture_output=True,
                    stdin=subprocess.DEVNULL, timeout=_GIVE_UP_S, **processes.watched(),
                )  # fmt: skip
            except (OSError, subprocess.SubprocessError) as error:
                _log.info("the speed of this machine could not be measured: %s", error)

    def _is_busy(self) -> bool:
        jobs = reversed(folders.all_jobs(self._home))
        is_running = any(folders.runs_now(folder) for folder in jobs)
        return is_running or folders.running_check(self._home) is not None
