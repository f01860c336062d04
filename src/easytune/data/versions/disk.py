"""Writing files so that they are there whole or not at all, and saying when there is no room."""

import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from easytune.dataset_errors import StorageFull

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def room_for(folder: Path) -> Iterator[None]:
    """Turn what the system says about a full disk into StorageFull."""
    try:
        yield
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise StorageFull(folder=str(folder), free_gb=round(_free_gb(folder), 2)) from error


def settle(source: Path, target: Path) -> None:
    """Give a finished file its final name. What is there under it has the same content."""
    with source.open("rb+") as file:
        os.fsync(file.fileno())
    if target.exists():
        source.unlink()
        return
    source.rename(target)
    sync(target.parent)


def sync(folder: Path) -> None:
    """Make sure that names in a folder outlast a power cut."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _free_gb(folder: Path) -> float:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return shutil.disk_usage(there).free / 1e9
