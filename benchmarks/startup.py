"""What a user waits for: `python -m benchmarks.startup`.

CPU seconds from launch to listening (at most 2.5, without torch), and from Start to the first
optimizer step with the demo model (at most 10).
"""

import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from easytune import events
from easytune.config import TrainConfig
from easytune.events import Step
from easytune.job import Job, create

_DEADLINE_SECONDS = 180
_PORT = 7899


def main() -> None:
    """Measure both and print them."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        print(f"launch to listening: {listening(home):.1f} CPU s (goal 2.5)")
        print(f"Start to first step: {first_step(home):.1f} CPU s (goal 10)")


def listening(home: Path) -> float:
    """Return the CPU seconds of the app until it answers."""
    command = [
        sys.executable, "webui.py", "--no-browser", "--home", str(home), "--port", str(_PORT),
    ]  # fmt: skip
    return _until(command, _answers)


def first_step(home: Path) -> float:
    """Return the CPU seconds of a worker until it has reported its first step."""
    config = TrainConfig().changed(schedule__max_steps=100)
    folder = create(home / "runs", Job(config=config))
    command = [sys.executable, "-m", "easytune.engine.worker", str(folder.path)]
    return _until(command, lambda: any(isinstance(e, Step) for e in events.read(folder.events)[0]))


def _until(command: list[str], reached: Callable[[], bool]) -> float:
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    watched = psutil.Process(process.pid)
    deadline = time.monotonic() + _DEADLINE_SECONDS
    try:
        while not reached():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command} did not get there")
            time.sleep(0.02)
        times = watched.cpu_times()
        return times.user + times.system
    finally:
        with suppress(psutil.NoSuchProcess):
            process.kill()
            process.wait()


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/healthz", timeout=1) as reply:
            return reply.status == 200
    except OSError:
        return False


if __name__ == "__main__":
    main()
