"""What a user waits for: `python -m benchmarks.startup [--rounds N] [--json FILE]`.

CPU seconds of the app from launch to listening (at most 2.5, without torch) and until it has served
its page for the first time; of a job from Start to the first optimizer step with the demo model,
with a worker in waiting (1.0) and without one (5). The ways take turns; printed is the least of
each.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from easytune import events, records
from easytune.config import TrainConfig
from easytune.events import Step
from easytune.job import Job, JobFolder, create
from easytune.services import ports
from easytune.services.dispatch import Dispatcher
from easytune.services.runs import Runs
from easytune.services.spare import Spare

_DEADLINE_SECONDS = 180
_PORT = 7899
_CONFIG = TrainConfig().changed(schedule__max_steps=100)
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def main() -> None:
    """Measure all ways, print them, and write them down if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    options = parser.parse_args()
    os.environ.update(_ENVIRONMENT)
    rounds: list[dict[str, float]] = []
    for _ in range(options.rounds):
        rounds.append({name: _in_a_home(measure) for name, measure in _WAYS.items()})
    least = {name: min(each[name] for each in rounds) for name in _WAYS}
    for name, seconds in least.items():
        print(f"{name}: {seconds:.2f} CPU s")
    if options.json:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        found = {"machine": machine, "cpu_seconds": least, "rounds": rounds}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def listening(home: Path) -> float:
    """Return the CPU seconds of the app until it answers."""
    return _app(home, "healthz")


def first_page(home: Path) -> float:
    """Return the CPU seconds of the app until it has served its page."""
    return _app(home, "")


def cold(home: Path) -> float:
    """Return the CPU seconds of a new worker until it has reported its first step."""
    folder = create(home / "runs", Job(config=_CONFIG))
    command = [sys.executable, "-m", "easytune.engine.worker", str(folder.path)]
    return _until(command, lambda: _has_stepped(folder))


def warm(home: Path) -> float:
    """Return the CPU seconds that a worker which has waited spends on its job's first step."""
    spare, runs = Spare(home, begin_after_s=0), Runs(home)
    home.mkdir()
    try:
        spare.keep()
        worker = _worker_of(spare)
        _rest(worker)
        before = _cpu(worker)
        run = runs.submit(_CONFIG)
        if Dispatcher(home, spare=spare).tick() != run:
            raise RuntimeError("the run was not started")
        folder = runs.folder(run)
        _wait(lambda: _has_stepped(folder))
        spent = _cpu(worker) - before
        if "mark" not in (records.read(folder.process) or {}):
            raise RuntimeError("the run was not given to the worker in waiting")
        runs.stop(run, now=True)
        _wait(folder.exit.exists)
        return spent
    finally:
        spare.close()


def _in_a_home(measure: Callable[[Path], float]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        return measure(Path(folder) / "home")


def _has_stepped(folder: JobFolder) -> bool:
    return any(isinstance(event, Step) for event in events.read(folder.events)[0])


def _until(command: list[str], reached: Callable[[], bool]) -> float:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watched = psutil.Process(process.pid)

    def there() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{command} ended before it got there")
        return reached()

    try:
        _wait(there)
        return _cpu(watched)
    finally:
        with suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait()


def _wait(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not reached():
        if time.monotonic() > deadline:
            raise RuntimeError(f"not there after {_DEADLINE_SECONDS} seconds")
        time.sleep(0.02)


def _worker_of(spare: Spare) -> psutil.Process:
    found: list[psutil.Process] = []

    def there() -> bool:
        found[:] = psutil.Process(spare.pid).children()
        return bool(found)

    _wait(there)
    return found[0]


def _rest(worker: psutil.Process) -> None:
    """Return once a process has done nothing for a while: its imports are done."""
    spent = -1.0
    while (now := _cpu(worker)) > spent or now < 1:
        spent = now
        time.sleep(3)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _app(home: Path, path: str) -> float:
    # On a port that another app has, that one would answer.
    port = ports.next_free("127.0.0.1", _PORT)
    command = [
        sys.executable, "webui.py", "--no-browser", "--home", str(home), "--port", str(port),
    ]  # fmt: skip
    return _until(command, lambda: _answers(f"http://127.0.0.1:{port}/{path}"))


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=_DEADLINE_SECONDS) as reply:
            return reply.status == 200
    except OSError:
        return False


_WAYS: dict[str, Callable[[Path], float]] = {
    "launch to listening": listening,
    "launch to the first page": first_page,
    "Start to first step": cold,
    "Start to first step, worker in waiting": warm,
}


if __name__ == "__main__":
    main()
