"""The true cause of an exception, as one of the errors a user can act on."""

import errno
import re
import traceback
from pathlib import Path

from easytune.config import TrainConfig
from easytune.engine import disk
from easytune.errors import DependencyMissing, DiskFull, EasyTuneError, OutOfMemory, Unexpected
from easytune.events import Failed

_MEMORY_WORDS = (
    "defaultcpuallocator", "can't allocate memory", "out of memory", "cannot allocate memory",
    "bad_alloc", "memoryerror",
)  # fmt: skip
# What else is said by a process that may take no more memory. In others it has other causes, too.
_LAST_WORDS = (
    *_MEMORY_WORDS, "memory allocation of", "resource temporarily unavailable",
    "can't start new thread",
)  # fmt: skip
# What saving says when the disk is full; none of it mentions the disk.
_SAVING_WORDS = ("unexpected pos", "pytorchstreamwriter", "no space left", "safetensorerror")


def classify(error: BaseException, config: TrainConfig | None, folder: Path) -> EasyTuneError:
    """Return what happened, in our own terms."""
    text = f"{type(error).__name__}: {error}".lower()
    if isinstance(error, EasyTuneError):
        return error
    if _is_disk(error, text, folder):
        need = max(disk.MARGIN_GB, round(disk.free_gb(folder) * 2, 3))
        free = round(disk.free_gb(folder), 3)
        return DiskFull(free_gb=free, need_gb=need, folder=str(folder))
    if isinstance(error, MemoryError) or any(words in text for words in _MEMORY_WORDS):
        batch_size = config.schedule.batch_size if config else 0
        return OutOfMemory(device="cuda" if "cuda" in text else "cpu", batch_size=batch_size)
    if isinstance(error, ModuleNotFoundError) and error.name:
        return DependencyMissing(option="@engine.this_run", package=_package(error.name))
    return Unexpected(reason=f"{type(error).__name__}: {first_line(error)}")


def speaks_of_memory(text: str) -> bool:
    """Tell whether what a process with limited memory said last means that it was short of it."""
    return any(words in text.lower() for words in _LAST_WORDS)


def _package(name: str) -> str:
    """Return the package in what an import error calls its name: transformers puts a sentence."""
    quoted = re.search(r"'([\w.-]+)", name)
    return quoted[1] if quoted else name


def first_line(error: BaseException) -> str:
    """Return what an exception says first, short enough for a sentence."""
    lines = str(error).strip().splitlines() or [""]
    return lines[0][:300].rstrip(" .:")


def failed(error: BaseException, config: TrainConfig | None, folder: Path) -> Failed:
    """Return the terminal event for an exception, its traceback included for the report."""
    known = classify(error, config, folder)
    detail = "".join(traceback.format_exception(error))[-20_000:]
    return Failed(code=known.code(), values=known.values, detail=detail)


def _is_disk(error: BaseException, text: str, folder: Path) -> bool:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    short = disk.free_gb(folder) < disk.MARGIN_GB
    return short and any(words in text for words in _SAVING_WORDS)
