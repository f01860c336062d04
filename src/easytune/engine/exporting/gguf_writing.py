"""Writes a GGUF file tensor by tensor: never more than one tensor of the model is in memory."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind
from gguf import LlamaFileType
from transformers import PretrainedConfig

from easytune.engine.exporting import gguf_metadata, gguf_tensors
from easytune.engine.exporting.gguf_tensors import Planned, Weights
from easytune.engine.exporting.gguf_tokenizer import Vocabulary
from easytune.export_errors import GgufValuesTooLarge
from easytune.exporters.gguf_families import Family

Progress = Callable[[int, int], None]

KINDS: dict[str, tuple[Kind, LlamaFileType]] = {
    "f32": (Kind.F32, LlamaFileType.ALL_F32),
    "f16": (Kind.F16, LlamaFileType.MOSTLY_F16),
    "bf16": (Kind.BF16, LlamaFileType.MOSTLY_BF16),
    "q8_0": (Kind.Q8_0, LlamaFileType.MOSTLY_Q8_0),
}
_AS_THEY_ARE = {Kind.F16: torch.float16, Kind.BF16: torch.bfloat16}
_NUMBERS_AT_ONCE = 4_000_000
_GGUF_QUANTIZATION = 2


def write(
    path: Path,
    weights: Weights,
    config: PretrainedConfig,
    family: Family,
    vocabulary: Vocabulary,
    number_format: str,
    name: str,
    progress: Progress,
) -> None:
    """Write a model as GGUF. `progress` is told bytes written and bytes in all.

    Raises GgufSettingUnsupported or GgufTensorUnknown for what llama.cpp does not have, and
    GgufValuesTooLarge when a number does not fit the format.
    """
    kind, file_type = KINDS[number_format]
    planned = gguf_tensors.plan(weights.shapes, config, family, kind)
    writer = gguf.GGUFWriter(path, family.architecture)
    writer.add_type("model")
    writer.add_name(name)
    writer.add_file_type(file_type)
    writer.add_quantization_version(_GGUF_QUANTIZATION)
    gguf_metadata.write(writer, config, family)
    vocabulary.write(writer)
    write_tensors(writer, planned, weights, progress)


def write_tensors(
    writer: gguf.GGUFWriter, planned: list[Planned], weights: Weights, progress: Progress
) -> None:
    """Write header and tensors, and close the file."""
    for tensor in planned:
        writer.add_tensor_info(
            tensor.name, tensor.shape, np.dtype(np.float32), tensor.bytes, raw_dtype=tensor.kind
        )
    total, done = sum(tensor.bytes for tensor in planned), 0
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in planned:
            stream = _Stream(
                tensor, weights, lambda size, start=done: progress(start + size, total)
            )
            writer.write_tensor_data(cast("Any", stream), gguf.GGUFEndian.LITTLE)
            done += tensor.bytes
        writer.flush()
    finally:
        writer.close()


class _Stream:
    """What `GGUFWriter.write_tensor_data` needs of an array, written block by block."""

    def __init__(self, tensor: Planned, weights: Weights, progress: Callable[[int], None]) -> None:
        self.tensor = tensor
        self.weights = weights
        self.progress = progress
        self.nbytes = tensor.bytes

    def tofile(self, file: BinaryIO) -> None:
        written = 0
        for block in self._blocks():
            encoded = _encoded(block, self.tensor)
            file.write(np.ascontiguousarray(encoded).data)
            written += encoded.nbytes
            self.progress(written)

    def _blocks(self) -> Iterator[np.ndarray]:
        if self.tensor.values is not None:
            yield self.tensor.values
        for part in self.tensor.parts:
            yield from _rows(part.of(self.weights.read(part.name)), self.tensor)


def _rows(tensor: torch.Tensor, wanted: Planned) -> Iterator[np.ndarray]:
    """Yield rows as fp32, or as the bytes that they have where the file keeps those."""
    width = wanted.shape[-1]
    flat = tensor.reshape(-1, width)
    step = max(1, _NUMBERS_AT_ONCE // width)
    for start in range(0, len(flat), step):
        rows = flat[start : start + step].contiguous()
        if _AS_THEY_ARE.get(wanted.kind) == tensor.dtype:
            yield rows.view(torch.uint8).numpy()
        else:
            yield rows.to(torch.float32).numpy()


def _encoded(block: np.ndarray, tensor: Planned) -> np.ndarray:
    if block.dtype == np.uint8:
        return block
    largest = float(np.abs(block).max(initial=0))
    limit = np.finfo(np.float16).max if tensor.kind in (Kind.F16, Kind.Q8_0) else np.inf
    # A q8_0 block of 32 numbers is scaled by a half-precision number: largest / 127.
    reach = largest / 127 if tensor.kind == Kind.Q8_0 else largest
    if not np.isfinite(largest) or reach > limit:
        raise GgufValuesTooLarge(
            tensor=tensor.name, value=f"{largest:g}", format=tensor.kind.name.lower()
        )
    return gguf.quants.quantize(block, tensor.kind)
