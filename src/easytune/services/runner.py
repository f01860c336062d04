"""Starts one job, watches it, stops it when asked, and writes down how it ended.

Run as `python -m easytune.services.runner <job folder>`, detached: it needs neither the app nor a
terminal, and the job ends when it does. Standard library only, so that it starts in milliseconds
and holds a few megabytes while a job runs for days.
"""

import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from easytune import locks, oom, records
from easytune.services import attending, processes

# The names in `easytune.job.JobFolder`, which would load pydantic; a test holds them equal.
LOCK, REVOKED, STOP, LOG = "lock", "revoked", "stop", "log.txt"
PROCESS, STOPPING, EXIT = "process.json", "stopping.json", "exit.json"

Stage = Literal["asked", "terminating", "killing"]
POLL_S = 0.2


@dataclass(frozen=True)
class Order:
    """How to stop: wait `grace_s` for a saved result, terminate, kill after `kill_after_s`."""

    grace_s: float = 60.0
    kill_after_s: float = 30.0


def main(arguments: list[str]) -> None:
    """Run the job in the folder named first. Tests put another worker's command after `--`."""
    folder = Path(arguments[0]).resolve()
    worker = arguments[2:] or [sys.executable, "-m", "easytune.engine.worker", str(folder)]
    attempt(Runner(folder, worker))


def attempt(runner: "Runner") -> None:
    """Run a job, unless somebody does or has done that, or nobody shall."""
    folder = runner.folder
    lock = locks.hold(folder / LOCK)
    if lock is None:
        return
    with lock:
        # Looked at only with the lock in hand: whoever held it before may have done the job.
        if not any((folder / name).exists() for name in (REVOKED, PROCESS, EXIT)):
            runner.run()


class Runner:
    """One attempt at one job."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        """Prepare to run `command` for the job in `folder`; see `attempt`."""
        self.folder = folder
        self._command = command
        self._stage: Stage | None = None
        self._since = 0.0
        self._signalled = False

    def run(self) -> None:
        """Run the job to its end, and record that."""
        began, kills = attending.now(), oom.kills()
        processes.adopt_orphans()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        try:
            outcome = self._outcome(self._watch(self._start()))
        except OSError as problem:
            outcome = {"returncode": None, "signal": None, "error": str(problem)}
        ending = {"oom_kills": oom.rise(kills), "began": began, "ended": attending.now()}
        attending.record_end(self.folder / EXIT, outcome | ending)

    def _start(self) -> subprocess.Popen[bytes]:
        return attending.start(self.folder, self._command, self.folder / LOG)

    def _mark(self) -> dict[str, str]:
        """Return by what `processes.kill_marked` finds the job, where that is not its folder."""
        return {}

    def _watch(self, worker: subprocess.Popen[bytes]) -> int:
        """Wait for the worker's end, whatever it takes, and leave nothing of it behind."""
        guard = processes.guard(worker)
        try:
            records.write(self.folder / PROCESS, attending.identities(worker.pid) | self._mark())
            while (code := processes.reap(worker)) is None:
                self._escalate(worker)
                processes.wait(worker, POLL_S)
        finally:
            attending.close(worker, guard)
        return code

    def _escalate(self, worker: subprocess.Popen[bytes]) -> None:
        order = self._order()
        if order is None:
            return
        if self._stage is None:
            self._enter("asked")
        waited = time.monotonic() - self._since
        if self._stage == "asked" and waited >= order.grace_s:
            self._enter("terminating")
            processes.terminate(worker)
        elif self._stage == "terminating" and waited >= order.kill_after_s:
            self._enter("killing")
        if self._stage == "killing":
            processes.kill_all(worker)

    def _order(self) -> Order | None:
        """Return how we were asked to stop; None while nobody has."""
        if self._signalled:
            return Order(grace_s=0)
        if not (self.folder / STOP).exists():
            return None
        wish = records.read(self.folder / STOP) or {}
        usual = Order(grace_s=0, kill_after_s=5) if wish.get("mode") == "now" else Order()
        return Order(
            _seconds(wish.get("grace_s"), usual.grace_s),
            _seconds(wish.get("kill_after_s"), usual.kill_after_s),
        )

    def _enter(self, stage: Stage) -> None:
        self._stage, self._since = stage, time.monotonic()
        try:
            records.write(self.folder / STOPPING, {"stage": stage, "since": attending.now()})
        except OSError:
            # A full disk must not keep us from stopping the job.
            return

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._signalled = True

    def _outcome(self, code: int) -> dict[str, Any]:
        asked = "signal" if self._signalled else "stop" if self._stage else None
        return {**attending.ending(code), "asked": asked, "stage": self._stage}


def _seconds(wish: object, usual: float) -> float:
    return float(wish) if isinstance(wish, int | float) and wish >= 0 else usual


if __name__ == "__main__":
    main(sys.argv[1:])
