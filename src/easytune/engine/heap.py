"""Memory that tensors gave back goes back to the system, on Linux with glibc."""

import ctypes
import sys

_MMAP_THRESHOLD = -3
_LARGE_BYTES = 256 << 10


def return_large_blocks() -> bool:
    """Give large blocks back to the system as soon as they are free; tell whether that is so.

    By itself glibc raises the size that counts as large to 32 MB. Then what recomputing saves
    stays in the heap, between the few tensors that are kept: measured with the shape `narrow` of
    `benchmarks.estimate`, half of the peak. The price is a page fault for each page of a new block.
    """
    if sys.platform != "linux":
        return False
    try:
        return bool(ctypes.CDLL(None).mallopt(_MMAP_THRESHOLD, _LARGE_BYTES))
    except (OSError, AttributeError):
        # musl has no such setting, and gives memory back by itself.
        return False
