"""How much of the machine is in use, every few seconds."""

import sys
import threading
from collections.abc import Callable
from typing import Any

import psutil

from easytune.events import Resources

_GIGA = 1e9


class ResourceThread:
    """Reports resources from the start of a `with` block to its end."""

    def __init__(self, report: Callable[[Resources], None], seconds: float = 3.0) -> None:
        self._report, self._seconds, self._over = report, seconds, threading.Event()
        self._thread = threading.Thread(target=self._run, name="resources", daemon=True)

    def __enter__(self) -> None:
        psutil.cpu_percent()
        self._thread.start()

    def __exit__(self, *reason: object) -> None:
        self._over.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        # The first interval is short: a page that shows nothing looks broken.
        wait = 0.5
        while not self._over.wait(wait):
            self._report(measure())
            wait = self._seconds


def measure() -> Resources:
    """Return the use of this machine now, the GPU included once torch has been loaded."""
    return Resources(
        cpu_percent=psutil.cpu_percent(),
        memory_gb=psutil.Process().memory_info().rss / _GIGA,
        memory_total_gb=psutil.virtual_memory().total / _GIGA,
        **_gpu(),
    )


def _gpu() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    # `cuda` appears late while torch is still being imported by the main thread.
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not getattr(cuda, "is_initialized", lambda: False)():
        return {}
    free, total = cuda.mem_get_info()
    found = {"gpu_memory_gb": (total - free) / _GIGA, "gpu_memory_total_gb": total / _GIGA}
    try:
        return found | {"gpu_percent": float(cuda.utilization())}
    except (RuntimeError, ImportError):  # pynvml is not installed, or the driver does not tell
        return found
