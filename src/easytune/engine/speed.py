"""How fast this machine multiplies matrices: `python -m easytune.engine.speed <home>`.

The result is kept in the home, so that a first run's time can be told before there ever was one.
"""

import sys
import time
from pathlib import Path

import torch

from easytune import machine, records
from easytune.engine import hardware

# Large enough to be limited by arithmetic, small enough for half a second on one slow core.
_SIZE = {"cpu": 1024, "mps": 4096, "cuda": 8192}
_SECONDS = 0.5
_WARM_UP = 1


def measure(device: torch.device) -> float:
    """Return what products of square matrices reach here, in 1e9 operations a second.

    In the number format that a run takes by itself, on as many threads as it takes.
    """
    size = _SIZE[device.type]
    dtype = torch.bfloat16 if hardware.has_bf16(device) else torch.float32
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    for _ in range(_WARM_UP):
        torch.mm(a, b)
    _wait(device)
    fastest, began = float("inf"), time.perf_counter()
    while time.perf_counter() - began < _SECONDS:
        start = time.perf_counter()
        torch.mm(a, b)
        _wait(device)
        # The fastest one: in the others something else had a part of the machine.
        fastest = min(fastest, time.perf_counter() - start)
    return 2 * size**3 / fastest / 1e9


def main() -> int:
    """Measure, and write the result beside what is known of other devices."""
    path = Path(sys.argv[1]) / machine.SPEED_FILE
    device = hardware.device("auto")
    known = records.read(path) or {}
    records.write(path, known | {device.type: round(measure(device), 1)})
    return 0


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


if __name__ == "__main__":
    sys.exit(main())
