"""Stands in for the engine: a worker without a model that behaves, or misbehaves, as told.

Run by the real runner, in the job's folder: `stand_in.py <behaviour> <home> [seconds per step]`.
"""

import json
import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

STEPS = 40
FOLDER = Path.cwd()
_terminated = False


def report(kind: str, **facts: object) -> None:
    line = {"kind": kind, "at": datetime.now(UTC).isoformat(), **facts}
    with (FOLDER / "events.jsonl").open("a") as file:
        file.write(json.dumps(line) + "\n")


def start() -> None:
    report("phase", name="training")
    report("started", pid=os.getpid(), total_steps=STEPS, device="cpu")


def train(pause_s: float = 0.02) -> None:
    """Step to the end, or until asked to stop, as the engine does."""
    signal.signal(signal.SIGTERM, _on_term)
    start()
    for step in range(1, STEPS + 1):
        time.sleep(pause_s)
        report("step", step=step, epoch=step / STEPS, loss=2.0 / step, learning_rate=1e-4)
        if _terminated or (FOLDER / "stop").exists():
            return report("stopped", step=step)
    report("finished", step=STEPS, metrics={"loss": 2.0 / STEPS})
    return None


def deaf() -> None:
    """Neither see the stop file nor heed SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    start()
    time.sleep(600)


def sleeper() -> None:
    """Not see the stop file, but die of SIGTERM."""
    start()
    time.sleep(600)


def leave_daemon() -> None:
    """Leave a grandchild behind that has cut every tie, and finish."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            (FOLDER / "grandchild").write_text(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.wait()
    while not (FOLDER / "grandchild").exists():
        time.sleep(0.01)
    train(0)


def hang_with_daemon() -> None:
    """Leave a grandchild behind and go on."""
    global STEPS
    STEPS, steps = 1, STEPS
    leave_daemon()
    STEPS = steps
    sleeper()


def crash() -> None:
    """End as a bug does."""
    start()
    print("\x1b[31mloading\rloading 100%\x1b[0m", flush=True)
    raise ValueError("the moon is full")


def segfault() -> None:
    """End as a bug in a library does."""
    start()
    os.kill(os.getpid(), signal.SIGSEGV)


def finish_badly() -> None:
    """Do the work, then fail on the way out."""
    train(0)
    sys.exit(5)


def say_nothing() -> None:
    """End with success and without a result."""


def eat_memory() -> None:
    """Take memory until the system objects."""
    start()
    kept = []
    while True:
        kept.append(bytearray(os.urandom(1 << 20) * 16))


def _on_term(_number: int, _frame: object) -> None:
    global _terminated
    _terminated = True


if __name__ == "__main__":
    globals()[sys.argv[1]](*map(float, filter(None, sys.argv[3:])))
