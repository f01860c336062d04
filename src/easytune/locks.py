"""A file that one living process holds: the proof of life of a job. Standard library only.

The system lets go of it whatever way the holder ends, so a held lock cannot be stale.
"""

import os
import sys
import time
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def hold(path: Path, patience_s: float = 0.2) -> IO[bytes] | None:
    """Take the lock and return the open file that keeps it; None when another process has it.

    `is_held` takes the lock for some microseconds, hence the patience.
    """
    file = path.open("ab")
    give_up = time.monotonic() + patience_s
    while not _take(file, shared=False):
        if time.monotonic() >= give_up:
            file.close()
            return None
        time.sleep(0.02)
    return file


def is_held(path: Path) -> bool:
    """Tell whether a living process holds the lock."""
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return False
    with file:
        free = _take(file, shared=True)
        if free and sys.platform == "win32":
            msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
    return not free


def _take(file: IO[bytes], *, shared: bool) -> bool:
    try:
        if sys.platform == "win32":
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
            fcntl.flock(file, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
