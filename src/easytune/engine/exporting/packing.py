"""Weights rounded to few bits and packed as `compressed-tensors` lays them down, which vLLM reads.

No data is needed: every weight goes to the nearest step of its own scale. A tensor is read, rounded
and written before the next one, so a model of any size takes the memory of its largest tensor.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from easytune.engine.exporting.merging import MergedWeights
from easytune.engine.exporting.shards import Planned
from easytune.engine.exporting.stored import DTYPES, Piece
from easytune.export_errors import ArchitectureUnsupported

Packing = Literal["w8a16", "w4a16", "fp8"]
_FORMATS = {"w8a16": "pack-quantized", "w4a16": "pack-quantized", "fp8": "float-quantized"}
_BITS = {"w8a16": 8, "w4a16": 4, "fp8": 8}
_FP8_LARGEST = 448.0
# Smaller scales cut off the few largest weights of a group and serve the many others better.
_SHRINKS = tuple(1 - step / 40 for step in range(13))
# Routers choose the experts: an error there is not a little noise but another expert.
_ROUTERS = ("gate", "router")
_SHORTEST_GROUP = 16
_ALIGNED = 32


@dataclass(frozen=True)
class _Layer:
    """One linear layer: where its weight lies, and its shape."""

    stored: str
    rows: int
    columns: int
    dtype: str


class PackedWeights:
    """The tensors of a model whose linear layers are packed, each computed when it is asked for."""

    def __init__(self, weights: MergedWeights, packing: Packing, group: int) -> None:
        """`group` weights share a scale in `w4a16`; fewer where layers cannot be cut so.

        Raises ArchitectureUnsupported for a model with nothing to pack.
        """
        self._weights, self.packing = weights, packing
        self._layers = dict(self._linear())
        model = weights.layout.model
        if not self._layers:
            raise ArchitectureUnsupported(packing, type(model).__name__, "@export.reason.no_linear")
        self.group = self._fitting(group) if packing == "w4a16" else None
        self._scales: dict[str, Tensor] = {}
        self.planned = [one for planned in weights.planned for one in self._planned(planned)]

    @property
    def number_format(self) -> str:
        """Return the format with the length of its groups: w4a16-g128."""
        return f"{self.packing}-g{self.group}" if self.group else self.packing

    def configuration(self) -> dict[str, Any]:
        """Return the `quantization_config` that belongs into the model's config.json."""
        from compressed_tensors.quantization import QuantizationConfig, QuantizationStatus

        packed = {self._module(one.stored) for one in self._layers.values()}
        modules = self._weights.layout.modules.items()
        left = [n for n, module in modules if isinstance(module, nn.Linear) and n not in packed]
        found = QuantizationConfig(
            config_groups={"group_0": self._scheme()},
            format=_FORMATS[self.packing],
            ignore=left,
            quantization_status=QuantizationStatus.COMPRESSED,
        )
        return json.loads(found.model_dump_json())

    def pieces(self, one: Planned) -> Iterator[Piece]:
        """Yield the bytes of a tensor in order. Raises MergeNotFinite."""
        path, _, kind = one.name.rpartition(".")
        layer = self._layers.get(f"{path}.weight")
        if layer is None or kind == "bias":
            yield from self._weights.pieces(one)
            return
        if kind == "weight_shape":
            found = torch.tensor([layer.rows, layer.columns])
        elif kind == "weight_scale":
            kept = self._scales.pop(layer.stored, None)
            found = self._scale(layer, self._read(layer)) if kept is None else kept
        else:
            found = self._packed(layer)
        # numpy has no bfloat16: the bytes will do.
        raw: Any = found.contiguous().view(-1).view(torch.uint8).numpy()
        yield memoryview(raw), lambda: None

    def _linear(self) -> Iterator[tuple[str, _Layer]]:
        """Yield the layers to pack: all linear ones but the head and routers."""
        layout = self._weights.layout
        head = layout.model.get_output_embeddings()
        for one in self._weights.planned:
            path = self._module(one.name)
            module = layout.modules.get(path)
            is_weight = one.name.endswith(".weight") and len(one.shape) == 2
            is_left = module is head or path.rpartition(".")[2] in _ROUTERS
            if is_weight and isinstance(module, nn.Linear) and not is_left:
                rows, columns = one.shape
                yield one.name, _Layer(one.name, rows, columns, one.dtype)

    def _module(self, stored: str) -> str:
        """Return the module that a tensor of the files belongs to."""
        parameter = self._weights.layout.by_file.get(stored, "")
        return parameter.rpartition(".")[0]

    def _fitting(self, wished: int) -> int:
        """Return the longest group, at most as wished, that divides every layer's inputs."""
        found = math.gcd(wished, *(one.columns for one in self._layers.values()))
        if found < _SHORTEST_GROUP:
            name = type(self._weights.layout.model).__name__
            raise ArchitectureUnsupported(self.packing, name, "@export.reason.odd_layers")
        return found

    def _planned(self, one: Planned) -> Iterator[Planned]:
        layer = self._layers.get(one.name)
        if layer is None:
            yield one
            return
        path = one.name.removesuffix(".weight")
        groups = layer.columns // self.group if self.group else 1
        if self.packing == "fp8":
            yield Planned(one.name, "F8_E4M3", one.shape)
        else:
            words = math.ceil(layer.columns * _BITS[self.packing] / _ALIGNED)
            yield Planned(f"{path}.weight_packed", "I32", (layer.rows, words))
            yield Planned(f"{path}.weight_shape", "I64", (2,))
        yield Planned(f"{path}.weight_scale", layer.dtype, (layer.rows, groups))

    def _packed(self, layer: _Layer) -> Tensor:
        """Return a layer's weight in few bits, and keep its scales for when they are asked for."""
        from compressed_tensors.compressors import BaseCompressor

        weight = self._read(layer)
        scale = self._scale(layer, weight)
        self._scales[layer.stored] = scale
        compressor: Any = BaseCompressor.get_value_from_registry(_FORMATS[self.packing])
        parts = {"weight": weight, "weight_scale": scale.float()}
        found = compressor.compress(parts, self._scheme())
        return found["weight" if self.packing == "fp8" else "weight_packed"]

    def _read(self, layer: _Layer) -> Tensor:
        return self._weights.tensor(layer.stored).float()

    def _scale(self, layer: _Layer, weight: Tensor) -> Tensor:
        """Return the step of each group, in the model's own number format, (rows, groups)."""
        grouped = weight.view(layer.rows, -1, self.group or layer.columns)
        largest = grouped.abs().amax(dim=2)
        steps = _FP8_LARGEST if self.packing == "fp8" else 2 ** (_BITS[self.packing] - 1) - 0.5
        dtype = DTYPES[layer.dtype]
        scale = (largest / steps).clamp_min(torch.finfo(dtype).tiny).to(dtype)
        return self._closest(grouped, scale) if self.packing == "w4a16" else scale

    def _closest(self, grouped: Tensor, widest: Tensor) -> Tensor:
        """Return for each group the scale, of a few, that loses least of its weights."""
        best, least = widest, torch.full(widest.shape, math.inf)
        for shrink in _SHRINKS:
            scale = (widest * shrink).to(widest.dtype)
            step = scale.float().unsqueeze(2)
            rounded = (grouped / step).round_().clamp_(-8, 7).mul_(step)
            lost = rounded.sub_(grouped).square_().sum(dim=2)
            best = torch.where(lost < least, scale, best)
            least = torch.minimum(lost, least)
        return best

    def _scheme(self) -> Any:
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

        kind = "float" if self.packing == "fp8" else "int"
        strategy = "group" if self.group else "channel"
        weights = QuantizationArgs.model_validate({
            "num_bits": _BITS[self.packing], "type": kind, "strategy": strategy,
            "group_size": self.group, "symmetric": True,
        })  # fmt: skip
        inputs = None
        if self.packing == "fp8":
            # vLLM rounds what meets the weights, too, as it goes along.
            inputs = QuantizationArgs.model_validate(
                {"num_bits": 8, "type": "float", "strategy": "token", "dynamic": True}
            )
        return QuantizationScheme(targets=["Linear"], weights=weights, input_activations=inputs)
