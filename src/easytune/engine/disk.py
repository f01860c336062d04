"""Room on the disk: before a run, during it, and as the cause of odd errors."""

import shutil
from pathlib import Path

from easytune.errors import DiskFull

_GIGA = 1e9
MARGIN_GB = 0.1


def free_gb(folder: Path) -> float:
    """Return the free space where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / _GIGA


def require(folder: Path, need_gb: float) -> None:
    """Raise DiskFull when `folder` has less room than `need_gb`."""
    if (free := free_gb(folder)) < need_gb:
        raise DiskFull(free_gb=round(free, 3), need_gb=round(need_gb, 3), folder=str(folder))


def checkpoint_gb(trained: int) -> float:
    """Return the size of one checkpoint: fp32 weights and two optimizer states per parameter."""
    return 12 * trained / _GIGA
