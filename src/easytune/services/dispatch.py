"""Starts queued jobs: first come, first served, one at a time in the whole home."""

import logging
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from easytune import locks, records
from easytune.job import JobFolder
from easytune.services import folders, launching, processes
from easytune.services.spare import Spare

LOCK = "dispatch.lock"
TICK_S = 0.5
RETRY_S = 30.0

_log = logging.getLogger(__name__)


class Dispatcher:
    """Gives the next job its runner. Any number of them may work on one home.

    Nothing is kept that another dispatcher would need: whichever holds the home's lock looks at
    the folders, starts at most one job, and waits until its runner has the job's lock.
    """

    def __init__(self, home: Path, worker: Sequence[str] = (), spare: Spare | None = None) -> None:
        """Serve the queue of `home`; `spare` waits for the next job while none runs.

        Tests give another `worker` command than the engine's.
        """
        self._home = home
        self._spare = spare
        self._worker = list(worker)
        self._runners: list[subprocess.Popen[bytes]] = []
        self._retry_at: dict[Path, float] = {}
        self._cleared: set[Path] = set()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def tick(self) -> str | None:
        """Start the next job if none runs, and return its id; None when nothing was started."""
        # Asking our runners how they fare is what buries the ones that have ended.
        self._runners = [runner for runner in self._runners if runner.poll() is None]
        self._home.mkdir(parents=True, exist_ok=True)
        lock = locks.hold(self._home / LOCK, patience_s=0)
        if lock is None:
            return None
        with lock:
            found = folders.all_jobs(self._home)
            if any(folders.runs_now(folder) for folder in found):
                return None
            self._clear_lost(found)
            folder = self._next(found)
            if folder is None:
                self._rest()
                return None
            if self._must_wait_for_check():
                return None
            return folder.id if self._launch(folder) else None

    def start(self) -> None:
        """Serve the queue from a background thread until `close`."""
        self._thread = threading.Thread(target=self._serve, name="dispatcher", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving. Jobs that run go on."""
        self._closed.set()
        if self._thread:
            self._thread.join()
        if self._spare:
            self._spare.close()

    def _serve(self) -> None:
        while not self._closed.wait(TICK_S):
            try:
                self.tick()
            except OSError:
                # A full disk or a folder deleted meanwhile: the queue must survive both.
                _log.exception("The queue could not be served; trying again.")

    def _next(self, found: list[JobFolder]) -> JobFolder | None:
        now = time.monotonic()
        ready = (
            folder
            for folder in found
            if folders.waits(folder) and self._retry_at.get(folder.path, 0) <= now
        )
        return next((folder for folder in ready if folders.is_readable(folder)), None)

    def _rest(self) -> None:
        """Get ready for the next job, unless a launch check needs the machine."""
        if self._spare and folders.running_check(self._home) is None:
            self._spare.keep()

    def _must_wait_for_check(self) -> bool:
        """End the launch check that is going on, if any: a run needs the memory it holds."""
        check = folders.running_check(self._home)
        if check and not check.stop.exists():
            launching.end_check(check)
        return check is not None

    def _launch(self, folder: JobFolder) -> bool:
        """Start the job's runner, and wait until it is seen to work or has ended."""
        runner, begun = launching.launch(folder, self._worker, self._spare)
        self._runners.append(runner)
        if not begun:
            self._retry_at[folder.path] = time.monotonic() + RETRY_S
        return begun

    def _clear_lost(self, found: list[JobFolder]) -> None:
        """Kill what jobs left running when their runner was killed, before the next one starts."""
        for folder in found:
            if folder.path in self._cleared or folder.exit.exists():
                continue
            process = records.read(folder.process)
            if process and process.get("boot_id") == processes.boot_id():
                processes.kill_marked(process.get("mark") or folder.path.resolve())
                self._cleared.add(folder.path)
