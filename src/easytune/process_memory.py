"""How much memory this process has held. No torch."""

import sys
from pathlib import Path

import psutil


def peak_bytes() -> int:
    """Return the most memory this process has held, in bytes.

    On Linux not what `getrusage` tells: that begins with the peak of the process that started
    this one.
    """
    if sys.platform == "win32":
        return psutil.Process().memory_info().peak_wset
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text(encoding="utf-8").splitlines()
        [peak] = [line for line in lines if line.startswith("VmHWM")]
        return int(peak.split()[1]) * 1024
    import resource

    # macOS counts bytes.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
