"""Numbers as safetensors stores them, read piece by piece, also those unknown to numpy."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from easytune.inspecting.headers import Stored

_PIECE = 1 << 20
_PLAIN = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "u1",
}  # fmt: skip
FLOATS = frozenset({"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"})
"""Number formats that weights of an adapter may have."""
_EIGHT = {"F8_E4M3": (4, 7, False), "F8_E5M2": (5, 15, True)}


@dataclass(frozen=True)
class Amounts:
    """What one tensor holds."""

    count: int
    not_finite: int
    squares: float
    """Sum of the squares of the finite ones."""
    largest: float

    @property
    def norm(self) -> float:
        """Return the Frobenius norm."""
        return float(np.sqrt(self.squares))


def can_read(dtype: str) -> bool:
    """Tell whether the numbers of a format can be read here."""
    return dtype in _PLAIN or dtype == "BF16" or dtype in _EIGHT


def pieces(path: Path, tensor: Stored) -> Iterator[npt.NDArray[np.float64]]:
    """Yield the numbers of a tensor in order, a million at a time.

    Raises ValueError for a format that `can_read` denies.
    """
    code = "<u2" if tensor.dtype == "BF16" else "u1" if tensor.dtype in _EIGHT else ""
    stored = np.dtype(code or _PLAIN.get(tensor.dtype) or _unknown(tensor.dtype))
    with path.open("rb") as file:
        file.seek(tensor.start)
        left = (tensor.end - tensor.start) // stored.itemsize
        while left > 0:
            raw = np.fromfile(file, stored, min(left, _PIECE))
            if not raw.size:
                return
            left -= raw.size
            yield _decoded(raw, tensor.dtype)


def measure(path: Path, tensor: Stored) -> Amounts:
    """Return how large the numbers of a tensor are."""
    count = not_finite = 0
    squares = largest = 0.0
    for piece in pieces(path, tensor):
        finite = np.isfinite(piece)
        count += piece.size
        if not finite.all():
            not_finite += int(piece.size - finite.sum())
            piece = piece[finite]
        if piece.size:
            squares += float(np.dot(piece, piece))
            largest = max(largest, float(np.abs(piece).max()))
    return Amounts(count, not_finite, squares, largest)


def same(path: Path, tensor: Stored, other: Path, against: Stored) -> bool:
    """Tell whether two tensors hold the same numbers, whatever their formats."""
    if tensor.shape != against.shape or not (can_read(tensor.dtype) and can_read(against.dtype)):
        return False
    both = zip(pieces(path, tensor), pieces(other, against), strict=True)
    return all(np.array_equal(one, two) for one, two in both)


def _unknown(dtype: str) -> str:
    raise ValueError(dtype)


def _decoded(raw: npt.NDArray, dtype: str) -> npt.NDArray[np.float64]:
    if dtype == "BF16":
        return (raw.astype(np.uint32) << 16).view(np.float32).astype(np.float64)
    if dtype in _EIGHT:
        return _table(dtype)[raw]
    return raw.astype(np.float64)


@cache
def _table(dtype: str) -> npt.NDArray[np.float64]:
    """Return what each of the 256 bytes of an 8-bit float stands for (OCP 8-bit floating point)."""
    exponent_bits, bias, has_infinity = _EIGHT[dtype]
    fraction_bits = 7 - exponent_bits
    top = (1 << exponent_bits) - 1
    found = []
    for byte in range(256):
        sign = -1.0 if byte & 0x80 else 1.0
        exponent = byte >> fraction_bits & top
        fraction = byte & (1 << fraction_bits) - 1
        if exponent == top and has_infinity:
            value = float("nan") if fraction else float("inf")
        elif not has_infinity and byte & 0x7F == 0x7F:
            value = float("nan")
        elif exponent == 0:
            value = fraction / (1 << fraction_bits) * 2.0 ** (1 - bias)
        else:
            value = (1 + fraction / (1 << fraction_bits)) * 2.0 ** (exponent - bias)
        found.append(sign * value)
    return np.array(found, np.float64)
