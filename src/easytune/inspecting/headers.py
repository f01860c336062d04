"""The header of a safetensors file, read strictly: every byte of the file has to be accounted for.

The format: 8 bytes with the length of a JSON object, the object, then the tensors without gaps.
Source: the description of the format in safetensors' README.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easytune import strict_json
from easytune.inspecting.findings import Findings

LARGEST = 100_000_000
_MOST_DIMENSIONS = 8
_MOST_TENSORS = 200_000
_MOST_METADATA = 64 * 1024
_LONGEST_NAME = 400
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4, "F6_E2M3": 6,
    "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Stored:
    """One tensor of a file; `start` and `end` are counted from the beginning of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


@dataclass(frozen=True)
class Header:
    """What a file declares."""

    path: Path
    tensors: dict[str, Stored]
    metadata: dict[str, str] = field(default_factory=dict)


def read(path: Path, name: str, findings: Findings) -> Header | None:
    """Return what a file declares; None, with the reasons noted, when it is not sound."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 10 or not 2 <= length <= min(LARGEST, size - 8):
            findings.add("header_length", "critical", file=name, length=str(length), bytes=size)
            return None
        raw = file.read(length)
    content = _parsed(raw, name, findings)
    if content is None:
        return None
    metadata = _metadata(content.pop("__metadata__", {}), name, findings)
    tensors = _tensors(content, 8 + length, size, name, findings)
    return None if metadata is None or tensors is None else Header(path, tensors, metadata)


def _parsed(raw: bytes, name: str, findings: Findings) -> dict[str, Any] | None:
    try:
        content = strict_json.read(raw.decode("utf-8"))
    except UnicodeDecodeError:
        findings.add("header_json", "critical", file=name, reason="UTF-8")
        return None
    except strict_json.JsonRefused as refused:
        reason = f"{refused.code} {refused.what}".strip()
        findings.add("header_json", "critical", file=name, reason=reason)
        return None
    if not isinstance(content, dict) or not raw.startswith(b"{"):
        findings.add("header_json", "critical", file=name, reason="{}")
        return None
    if len(content) > _MOST_TENSORS:
        findings.add("header_many", "critical", file=name, count=len(content))
        return None
    return content


def _metadata(content: Any, name: str, findings: Findings) -> dict[str, str] | None:
    is_text = isinstance(content, dict) and all(isinstance(v, str) for v in content.values())
    if not is_text:
        findings.add("header_metadata", "critical", file=name)
        return None
    if sum(len(k) + len(v) for k, v in content.items()) > _MOST_METADATA:
        findings.add("header_metadata_large", "medium", file=name)
    return content


def _tensors(
    content: dict[str, Any], begin: int, size: int, name: str, findings: Findings
) -> dict[str, Stored] | None:
    """Return the tensors, which have to fill the rest of the file one after another."""
    found: dict[str, Stored] = {}
    for key, facts in content.items():
        tensor = _tensor(facts, begin)
        if tensor is None or not key.isprintable() or len(key) > _LONGEST_NAME:
            findings.add("header_tensor", "critical", file=name, tensor=key)
            return None
        found[key] = tensor
    place = begin
    for key, tensor in sorted(found.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != place:
            code = "header_overlap" if tensor.start < place else "header_gap"
            findings.add(code, "critical", file=name, tensor=key)
            return None
        place = tensor.end
    if place != size:
        code = "header_short" if place > size else "header_rest"
        findings.add(code, "critical", file=name, bytes=abs(size - place))
        return None
    return found


def _tensor(facts: Any, begin: int) -> Stored | None:
    if not isinstance(facts, dict) or set(facts) != {"dtype", "shape", "data_offsets"}:
        return None
    dtype, shape, offsets = facts["dtype"], facts["shape"], facts["data_offsets"]
    bits = _BITS.get(dtype) if isinstance(dtype, str) else None
    if bits is None or not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        return None
    start, end = offsets
    if len(shape) > _MOST_DIMENSIONS or math.prod(shape) * bits != (end - start) * 8:
        return None
    return Stored(dtype, tuple(shape), begin + start, begin + end)


def _are_counts(values: Any) -> bool:
    return isinstance(values, list) and all(
        isinstance(one, int) and not isinstance(one, bool) and 0 <= one < 2**53 for one in values
    )
