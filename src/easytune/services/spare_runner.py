"""A runner that waits for its job, with a worker that imports meanwhile. See `spare`.

Run as `python -m easytune.services.spare_runner <lock file>`. The job comes as a line on standard
input; when that closes first, both end. Standard library only, as `runner`.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import uuid
from pathlib import Path
from typing import Any

from easytune import locks
from easytune.services import attending, processes, runner

POLL_S = 1.0
Order = dict[str, str]


def main(arguments: list[str]) -> None:
    """Wait as long as nobody else does. Tests put another worker's command last."""
    lock = locks.hold(Path(arguments[0]))
    if lock is None:
        return
    processes.adopt_orphans()
    command = arguments[1:] or [sys.executable, "-P", "-m", "easytune.engine.spare"]
    with lock:
        worker = Worker(command)
        order = _wait(worker)
    try:
        if order is not None:
            folder = Path(order["folder"])
            _write_to(folder / runner.LOG)
            runner.attempt(Handing(folder, order["module"], worker))
    finally:
        worker.close()


class Worker:
    """A process that imports what jobs need, and waits."""

    def __init__(self, command: list[str]) -> None:
        """Start it."""
        self.mark = f"spare-{uuid.uuid4()}"
        environment = {"OMP_WAIT_POLICY": "PASSIVE"} | processes.environment_of(self.mark)
        self.process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **processes.watched(),
        )
        self._guard = processes.guard(self.process)

    def is_alive(self) -> bool:
        """Tell whether it has not ended yet."""
        return processes.reap(self.process) is None

    def give(self, order: Order) -> bool:
        """Hand it a job; tell whether it was there to take it."""
        if not self.is_alive() or self.process.stdin is None:
            return False
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.close()
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Leave nothing of it behind."""
        attending.close(self.process, self._guard)


class Handing(runner.Runner):
    """Runs a job in a worker that has waited for it, or in a new one if that has died."""

    def __init__(self, folder: Path, module: str, worker: Worker) -> None:
        """Prepare to do the job in `folder`, whose process enters at `module`."""
        super().__init__(folder, [sys.executable, "-m", module, str(folder)])
        self._job = {"folder": str(folder), "module": module}
        self._worker = worker
        self._given = False

    def _start(self) -> subprocess.Popen[bytes]:
        self._given = self._worker.give(self._job)
        return self._worker.process if self._given else super()._start()

    def _mark(self) -> dict[str, str]:
        # It was born before its job, and carries a mark of its own.
        return {"mark": self._worker.mark} if self._given else {}


def _wait(worker: Worker) -> Order | None:
    """Return the job that we are given; None when nobody can give one any more."""
    given: queue.SimpleQueue[Order | None] = queue.SimpleQueue()
    threading.Thread(target=lambda: given.put(_read()), daemon=True).start()
    while worker.is_alive():
        try:
            return given.get(timeout=POLL_S)
        except queue.Empty:
            continue
    return None


def _read() -> Order | None:
    """Return the line on standard input as an order; None when there comes none."""
    text = b""
    while not text.endswith(b"\n"):
        # Not through a file object: its lock could be held when the process ends.
        more = os.read(0, 65536)
        if not more:
            return None
        text += more
    order: Any = json.loads(text)
    return order


def _write_to(log: Path) -> None:
    """Let what we print go where a job's runner prints."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)


if __name__ == "__main__":
    main(sys.argv[1:])
