"""Keeps this process within some memory: being short then is an error here, not a frozen machine.

On Linux the kernel refuses memory beyond the limit (`RLIMIT_DATA`), on CUDA torch does. Elsewhere
whoever started the process has to watch it.
"""

import sys
from pathlib import Path

import psutil
import torch

_GIGA = 1e9
_KILO = 1024


def hold(limit_gb: float, device: torch.device, mapped_gb: float = 0.0) -> None:
    """Refuse memory beyond `limit_gb`, what the process holds already included.

    `mapped_gb` are files about to be mapped privately: the kernel counts them, though they take
    nothing that it could not give to others at once. Call again with 0 when they are gone.
    """
    if device.type == "cuda":
        _hold_gpu(limit_gb, device)
    elif sys.platform == "linux":
        _hold_main(limit_gb, mapped_gb)


def _hold_gpu(limit_gb: float, device: torch.device) -> None:
    total = torch.cuda.mem_get_info(device)[1]
    share = max(0.0, min(1.0, limit_gb * _GIGA / total))
    torch.cuda.set_per_process_memory_fraction(share, device)


def _hold_main(limit_gb: float, mapped_gb: float) -> None:
    import resource

    # Address space that was asked for and never touched counts as well, so begin from there.
    room = limit_gb * _GIGA - psutil.Process().memory_info().rss
    most = _data_bytes() + max(0.0, room) + mapped_gb * _GIGA
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (int(most), hard))


def _data_bytes() -> int:
    """Return what the kernel counts against the limit now."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    found = next((line.split()[1] for line in lines if line.startswith("VmData:")), "0")
    return int(found) * _KILO
