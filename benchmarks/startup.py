"""What a user waits for: `python -m benchmarks.startup [--rounds N] [--json FILE]`.

CPU seconds from launch to listening (at most 2.5, without torch), and from Start to the first
optimizer step with the demo model: with a worker in waiting (1.0), without one (5), and as it would
be if everything were imported that torch and transformers ask for. The ways take turns; printed is
the least of each, and its ratio to importing everything.
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
from easytune.services.dispatch import Dispatcher
from easytune.services.runs import Runs
from easytune.services.spare import Spare

_DEADLINE_SECONDS = 180
_PORT = 7899
_CONFIG = TrainConfig().changed(schedule__max_steps=100)
_EVERYTHING = """
import contextlib, sys
from easytune.engine import light_imports
light_imports.remove()
light_imports.at_once = contextlib.nullcontext
from easytune.engine import worker
sys.exit(worker.main())
"""
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
        ratio = least[_SLOWEST] / seconds
        note = "" if name == _LISTENING else f"  x {ratio:.1f}"
        print(f"{name}: {seconds:.2f} CPU s{note}")
    if options.json:
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        found = {"machine": machine, "cpu_seconds": least, "rounds": rounds}
        options.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def listening(home: Path) -> float:
    """Return the CPU seconds of the app until it answers."""
    command = [
        sys.executable, "webui.py", "--no-browser", "--home", str(home), "--port", str(_PORT),
    ]  # fmt: skip
    return _until(command, _answers)


def cold(home: Path) -> float:
    """Return the CPU seconds of a new worker until it has reported its first step."""
    return _first_step(home, ["-m", "easytune.engine.worker"])


def importing_everything(home: Path) -> float:
    """Return the same for a worker that imports all that its libraries ask for."""
    return _first_step(home, ["-c", _EVERYTHING])


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


def _first_step(home: Path, entry: list[str]) -> float:
    folder = create(home / "runs", Job(config=_CONFIG))
    return _until([sys.executable, *entry, str(folder.path)], lambda: _has_stepped(folder))


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


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/healthz", timeout=1) as reply:
            return reply.status == 200
    except OSError:
        return False


_LISTENING, _SLOWEST = "launch to listening", "Start to first step, everything imported"
_WAYS: dict[str, Callable[[Path], float]] = {
    _LISTENING: listening,
    _SLOWEST: importing_everything,
    "Start to first step": cold,
    "Start to first step, worker in waiting": warm,
}


if __name__ == "__main__":
    main()
