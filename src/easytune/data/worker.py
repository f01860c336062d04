"""Entry point of a task's process: `python -m easytune.data.worker <task folder>`.

It needs neither the app nor a terminal. Whatever happens becomes `result.json` or `error.json`;
only when it is killed there is neither, and its free lock tells.
"""

import contextlib
import faulthandler
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from easytune import locks, records
from easytune.data.progress import Unit
from easytune.data.tasks import TaskFolder, storage_full
from easytune.dataset_errors import TaskCancelled, TaskFailed
from easytune.errors import EasyTuneError

WRITE_EVERY_S = 0.2
CANCEL_S = 10.0
_LOOK_EVERY_S = 0.05
_RECORD_S = 60.0


def main() -> int:
    """Work on the task in the folder given on the command line."""
    faulthandler.enable()
    return run(TaskFolder(Path(sys.argv[1]).resolve()))


def run(folder: TaskFolder) -> int:
    """Do what `task.json` says; return 0 when it is done, 1 when it is not."""
    lock = locks.hold(folder.lock)
    if lock is None or folder.result.exists() or folder.error.exists():
        return 1
    with lock:
        began = time.monotonic()
        threading.Thread(target=_end_when_deaf, args=[folder], daemon=True).start()
        ended, content = _outcome(folder)
        _record(ended, content | {"seconds": round(time.monotonic() - began, 3)})
        return 0 if ended == folder.result else 1


class Reporter:
    """Writes how far a task is, and ends it when that is wanted. See `easytune.data.progress`."""

    def __init__(self, folder: TaskFolder) -> None:
        """Report on the task in `folder`."""
        self._folder = folder
        self._phase = ""
        self._phase_began = time.time()
        self._written_at = self._looked_at = 0.0

    def __call__(self, phase: str, done: int, total: int | None, unit: Unit = "rows") -> None:
        """Note how far a phase is. Raises TaskCancelled."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_EVERY_S:
            self._looked_at = now
            self.check()
        if phase != self._phase:
            self._phase, self._phase_began = phase, time.time()
        if now - self._written_at >= WRITE_EVERY_S:
            self._written_at = now
            self._write({"phase": phase, "done": done, "total": total, "unit": unit})

    def check(self) -> None:
        """Raise TaskCancelled when somebody wants the task to end."""
        if self._folder.cancel.exists():
            raise TaskCancelled(self._folder.id)

    def _write(self, content: dict[str, Any]) -> None:
        times = {"phase_began": self._phase_began, "at": time.time()}
        try:
            # Not `records.write`: to wait for the disk each time would slow the work down.
            draft = self._folder.progress.with_name(".progress.json")
            draft.write_text(json.dumps(content | times), encoding="utf-8")
            draft.replace(self._folder.progress)
        except OSError:
            # A full disk is for the work itself to notice, and to clean up after.
            return


def _outcome(folder: TaskFolder) -> tuple[Path, dict[str, Any]]:
    try:
        report = Reporter(folder)
        report.check()
        return folder.result, {"result": _work(folder)(report)}
    except EasyTuneError as error:
        return folder.error, _failure(storage_full(folder.home, error) or error)
    # The edge of the task: whatever happened is told to whoever follows it.
    except BaseException as error:  # noqa: BLE001
        with contextlib.suppress(OSError):
            traceback.print_exc()
        reason = f"{type(error).__name__}: {error}"
        failure = TaskFailed(reason, str(folder.log))
        return folder.error, _failure(storage_full(folder.home, error) or failure)


def _work(folder: TaskFolder) -> Callable[[Reporter], dict[str, Any]]:
    # Imported here, so that whoever watches sees the lock held before the slow imports.
    from easytune.data import task_work

    return lambda report: task_work.do(folder.read(), folder, report)


def _failure(error: EasyTuneError) -> dict[str, Any]:
    return {"code": error.code(), "values": error.values}


def _record(file: Path, content: dict[str, Any]) -> None:
    give_up = time.monotonic() + _RECORD_S
    while True:
        try:
            return records.write(file, content)
        except OSError:
            # Most likely a full disk, where the end of the work has often freed some space.
            if time.monotonic() >= give_up:
                raise
            time.sleep(1)


def _end_when_deaf(folder: TaskFolder) -> None:
    """Kill ourselves and our children when we were cancelled and do not end."""
    while not folder.cancel.exists():
        time.sleep(0.5)
    time.sleep(CANCEL_S)
    if sys.platform != "win32" and os.getpgid(0) == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
