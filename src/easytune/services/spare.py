"""One worker in waiting: the next job need not wait for its imports.

It comes as a pair, a runner with its worker, and the job is handed to the runner: all that holds
for a job's runner holds for this one. The pair ends with the app unless it has got a job.
"""

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import psutil

from easytune import records, settings
from easytune.errors import EasyTuneError
from easytune.services import processes

LOCK = "spare.lock"
FREE_GB = 3.0
"""Memory that must be free for a worker to wait."""
BEGIN_AFTER_S = 3.0
RETRY_S = 60.0
_CLOSE_S = 5.0
_GB = 1e9

_log = logging.getLogger(__name__)


class Spare:
    """Keeps at most one worker in waiting in a home, whoever serves it."""

    def __init__(
        self, home: Path, worker: Sequence[str] = (), begin_after_s: float = BEGIN_AFTER_S
    ) -> None:
        """Nothing is started before `keep`, and not in the first seconds, when a page opens.

        Tests give another `worker` command than the engine's.
        """
        self._home = home
        self._worker = list(worker)
        self._not_before = time.monotonic() + begin_after_s
        self._process: subprocess.Popen[bytes] | None = None
        self._wish = ("", False)
        self._closed = False
        self._lock = threading.Lock()

    @property
    def pid(self) -> int | None:
        """Return the pid of the runner that waits; None without one."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def keep(self) -> None:
        """Have a worker wait, if that is wanted and there is none. To be called now and then."""
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                # It ended by itself, or another app's waits already.
                self._process, self._not_before = None, time.monotonic() + RETRY_S
            if self._closed or not self._is_wanted():
                self._end()
            elif self._process is None and time.monotonic() >= self._not_before and _has_room():
                self._process = self._start()

    def take(self, folder: Path, module: str) -> subprocess.Popen[bytes] | None:
        """Hand a job to the runner that waits, and return it; None when none does.

        `module` is the entry point of the job's process.
        """
        with self._lock:
            process, self._process = self._process, None
        if process is None or process.stdin is None or process.poll() is not None:
            return None
        order = {"folder": str(folder.resolve()), "module": module}
        try:
            process.stdin.write(json.dumps(order).encode() + b"\n")
            process.stdin.close()
        except OSError:
            _bury(process)
            return None
        return process

    def close(self) -> None:
        """End what waits, for good."""
        with self._lock:
            self._closed = True
            self._end()

    def _start(self) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-m", "easytune.services.spare_runner"]
        try:
            return subprocess.Popen(
                [*command, str(self._home / LOCK), *self._worker],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                **processes.detached(),
            )
        except OSError:
            _log.exception("No worker could be started to wait for a job.")
            self._not_before = time.monotonic() + RETRY_S
            return None

    def _end(self) -> None:
        if self._process is not None:
            _bury(self._process)
        self._process = None

    def _is_wanted(self) -> bool:
        mark = records.mark(self._home / settings.FILE)
        if self._wish[0] != mark:
            self._wish = (mark, _wish(self._home))
        return self._wish[1]


def _wish(home: Path) -> bool:
    try:
        return settings.load(home).jobs.keep_worker_ready
    except EasyTuneError:
        # The settings page says what is wrong with the file.
        return False


def _has_room() -> bool:
    return psutil.virtual_memory().available >= FREE_GB * _GB


def _bury(process: subprocess.Popen[bytes]) -> None:
    try:
        if process.stdin:
            process.stdin.close()
        process.wait(_CLOSE_S)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
