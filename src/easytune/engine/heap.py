"""How the process keeps memory that tensors gave back, on Linux with glibc."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 256 << 10
# The most that glibc takes for either: beyond it a block is never part of the heap.
_LARGEST_IN_HEAP, _NEVER = 32 << 20, (1 << 31) - 1


def keep_blocks() -> bool:
    """Keep what tensors gave back, for those of the next step; tell whether that is so.

    By itself glibc gives the top of its heap back after each step. To get it again costs a fault
    for each page: measured with the shape `100m`, a quarter of a second in six. The peak stays.
    """
    return _set(_MMAP_THRESHOLD, _LARGEST_IN_HEAP) and _set(_TRIM_THRESHOLD, _NEVER)


def return_large_blocks() -> bool:
    """Give large blocks back to the system as soon as they are free; tell whether that is so.

    By itself glibc raises the size that counts as large to 32 MB. Then what recomputing saves
    stays in the heap, between the few tensors that are kept: measured with the shape `narrow` of
    `benchmarks.estimate`, half of the peak. The price is a page fault for each page of a new block.
    """
    return _set(_MMAP_THRESHOLD, _LARGE_BYTES)


def _set(option: int, value: int) -> bool:
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(option, value))
    except (OSError, AttributeError):
        # musl has no such setting, and gives memory back by itself.
        return False
