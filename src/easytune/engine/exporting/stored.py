"""A model's safetensors files, each tensor read where it lies, and its memory given back."""

import math
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from easytune import model_files

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
"""Number formats as safetensors calls them."""
Piece = tuple[memoryview, Callable[[], None]]
"""Bytes, and what to call when they have been used."""
_PIECE = 8 << 20


@dataclass(frozen=True)
class Stored:
    """One tensor as its file declares it; `begin` and `end` are bytes of the file."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    file: Path
    begin: int
    end: int


class StoredWeights:
    """The tensors of a model folder, in the order in which they lie."""

    def __init__(self, folder: Path) -> None:
        """Raises ModelIncomplete when a file is missing or cut off."""
        self.tensors = {one.name: one for one in _declared(folder)}
        self._open: dict[Path, mmap.mmap] = {}

    @contextmanager
    def tensor(self, name: str) -> Iterator[Tensor]:
        """Have a tensor while open; what it took of memory is given back afterwards."""
        one = self.tensors[name]
        mapped = self._mapped(one.file)
        try:
            if math.prod(one.shape) == 0:
                yield torch.empty(one.shape, dtype=DTYPES[one.dtype])
            else:
                flat = torch.frombuffer(
                    mapped,
                    dtype=DTYPES[one.dtype],
                    count=math.prod(one.shape),
                    offset=one.begin,
                )
                yield flat.view(one.shape)
        finally:
            _give_back(mapped, one.begin, one.end)

    def pieces(self, name: str) -> Iterator[Piece]:
        """Yield the bytes of a tensor, a few million at a time."""
        one = self.tensors[name]
        mapped = self._mapped(one.file)
        whole = memoryview(mapped)
        for start in range(one.begin, one.end, _PIECE):
            end = min(start + _PIECE, one.end)
            yield whole[start:end], partial(_give_back, mapped, start, end)

    def _mapped(self, file: Path) -> mmap.mmap:
        if file not in self._open:
            with file.open("rb") as stream:
                # A private copy: what torch reads may not be marked as read-only.
                self._open[file] = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
        return self._open[file]


def _declared(folder: Path) -> Iterator[Stored]:
    for file in model_files.weight_files(folder):
        declared = model_files.tensors(folder, file)
        with (folder / file).open("rb") as stream:
            start = 8 + int.from_bytes(stream.read(8), "little")
        found = [
            Stored(
                name=name,
                dtype=facts["dtype"],
                shape=tuple(facts["shape"]),
                file=folder / file,
                begin=start + facts["data_offsets"][0],
                end=start + facts["data_offsets"][1],
            )
            for name, facts in declared.items()
        ]
        yield from sorted(found, key=lambda one: one.begin)


def _give_back(mapped: mmap.mmap, begin: int, end: int) -> None:
    """Let go of the pages that lie wholly within these bytes."""
    if not hasattr(mapped, "madvise"):
        return
    first = -(-begin // mmap.PAGESIZE) * mmap.PAGESIZE
    length = end // mmap.PAGESIZE * mmap.PAGESIZE - first
    if length > 0:
        mapped.madvise(mmap.MADV_DONTNEED, first, length)
