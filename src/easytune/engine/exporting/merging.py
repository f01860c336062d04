"""A base model's weights with an adapter in them, tensor by tensor, under the names of its files.

Nothing is loaded as a model: a tensor is read where it lies, the adapter's product is added in fp32
and what comes out goes where it is wanted. What the adapter leaves alone is the base's to the bit.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from easytune import model_files
from easytune.engine import merging
from easytune.engine.adapter_files import Adapter, Part
from easytune.engine.exporting import shards
from easytune.engine.exporting.layout import Layout
from easytune.engine.exporting.shards import Planned, Watch, Written
from easytune.engine.exporting.stored import DTYPES, Piece, StoredWeights
from easytune.errors import AdapterMismatch
from easytune.export_errors import BaseQuantized, MergeNotFinite, MergeUnsupported
from easytune.inference_errors import AdapterUnsafe

NumberFormat = Literal["as-base", "bf16", "f16", "f32"]
_WISHED = {"bf16": "BF16", "f16": "F16", "f32": "F32"}
_NAMES = {stored: name for name, stored in _WISHED.items()} | {"F64": "f64"}
# So few that they stay near the processor between one step and the next.
_NUMBERS_AT_ONCE = 1 << 18
_HALF = ("F16", "BF16")


@dataclass(frozen=True)
class _Change:
    """What becomes of one tensor of the output. `source` is the base's tensor it begins with."""

    source: str | None
    part: Part | None = None
    turned: bool = False
    bias: Tensor | None = None
    """What is added, in full."""
    full: Tensor | None = None
    """What takes its place, in full."""


class MergedWeights:
    """The tensors of a merged model, each computed when it is asked for."""

    def __init__(
        self,
        base: Path,
        adapter: Adapter | None = None,
        strength: float = 1.0,
        number_format: NumberFormat = "as-base",
        allow_remote_code: bool = False,
    ) -> None:
        """`strength` scales all that the adapter changes.

        Raises BaseQuantized, MergeUnsupported, AdapterMismatch, AdapterUnsafe, ModelIncomplete,
        ModelUnloadable or RemoteCodeRefused.
        """
        refuse_quantized(base)
        self._stored, self._strength = StoredWeights(base), strength
        self._main = main_format(self._stored)
        self.layout = Layout(base, self._stored.tensors, allow_remote_code)
        self._changes = {name: _Change(name) for name in self._stored.tensors}
        self.is_untied = False
        """Whether tensors that the base ties to each other have become different."""
        if adapter is not None and strength != 0:
            self._plan(adapter)
        self.number_format, self._wish = self._formats(number_format)
        self.planned = [self._planned(name) for name in self._changes]

    def tensor(self, name: str) -> Tensor:
        """Return a tensor in its own memory. Raises MergeNotFinite."""
        one = self._planned(name)
        found = torch.cat(list(self._rows(name, one.dtype))) if one.shape else self._single(name)
        return found.view(one.shape)

    def pieces(self, one: Planned) -> Iterator[Piece]:
        """Yield the bytes of a tensor in order. Raises MergeNotFinite."""
        change = self._changes[one.name]
        if change == _Change(change.source) and self._dtype(change) == one.dtype:
            assert change.source is not None
            yield from self._stored.pieces(change.source)
            return
        rows = self._rows(one.name, one.dtype) if one.shape else iter([self._single(one.name)])
        for found in rows:
            numbers: Any = found.contiguous().view(-1).view(torch.uint8).numpy()
            yield memoryview(numbers), _nothing

    def _plan(self, adapter: Adapter) -> None:
        if adapter.needs_peft:
            raise MergeUnsupported(str(adapter.folder), "@export.reason.needs_peft")
        for path, part in adapter.parts.items():
            module = self.layout.modules.get(path)
            own = self.layout.parameters.get(f"{path}.weight")
            if module is None or own is None:
                raise AdapterMismatch(str(adapter.folder), f"{path} @engine.reason.no_layer")
            turned = merging.is_turned(module, part)
            self._check_shape(adapter, path, part, tuple(own.shape), turned)
            self._change(adapter, f"{path}.weight", part=part, turned=turned)
            if part.bias is not None:
                self._change(adapter, f"{path}.bias", bias=part.bias.float() * part.scale)
        for name, tensor in adapter.full.items():
            own = self.layout.parameters.get(name)
            if own is None or own.shape != tensor.shape:
                raise AdapterMismatch(str(adapter.folder), f"{name} @engine.reason.no_layer")
            self._change(adapter, name, full=tensor)
        self._check_copies(adapter)

    def _change(self, adapter: Adapter, parameter: str, **change: object) -> None:
        """Note a change of a parameter; others that the base ties to it stay as they were."""
        if parameter not in self.layout.parameters:
            raise MergeUnsupported(str(adapter.folder), f"{parameter} @export.reason.no_bias")
        names = {one: self.layout.file_of.get(one) for one in self.layout.tied(parameter)}
        origin = self._origin(parameter)
        if origin is None:
            raise MergeUnsupported(str(adapter.folder), f"{parameter} @export.reason.fused")
        for other, stored in names.items():
            if stored is None and other not in self._changes:
                # It was tied to a tensor that is not what it was any more.
                self._changes[other] = _Change(origin)
        self.is_untied |= len(names) > 1
        own = names[parameter] or parameter
        self._changes[own] = _Change(origin, **change)  # type: ignore[arg-type]

    def _origin(self, parameter: str) -> str | None:
        """Return the tensor in the files that a parameter, or one tied to it, comes from."""
        if parameter not in self.layout.parameters:
            return None
        names = [parameter, *self.layout.tied(parameter)]
        return next((found for one in names if (found := self.layout.file_of.get(one))), None)

    def _check_shape(
        self, adapter: Adapter, path: str, part: Part, shape: tuple[int, ...], turned: bool
    ) -> None:
        found = (part.b.shape[0], part.a.shape[1])
        lengths = {len(one) for one in (part.magnitude, part.bias) if one is not None}
        if (found[::-1] if turned else found) != shape or lengths - {found[0]}:
            reason = f"{path} {found}, {shape} @engine.reason.other_shape"
            raise AdapterMismatch(str(adapter.folder), reason)

    def _check_copies(self, adapter: Adapter) -> None:
        """Make sure that base weights which came along are the base's own."""
        for name, tensor in adapter.base_copies.items():
            stored = self._origin(name.replace(".base_layer", ""))
            if stored is not None:
                with self._stored.tensor(stored) as own:
                    if torch.equal(own, tensor.to(own.dtype)):
                        continue
            raise AdapterUnsafe(str(adapter.folder), f"{name} @engine.reason.not_adapter")

    def _formats(self, wish: NumberFormat) -> tuple[str, str | None]:
        """Return the name of the format that most numbers have, and what others become."""
        if wish == "as-base":
            return _NAMES.get(self._main, self._main.lower()), None
        return wish, _WISHED[wish]

    def _planned(self, name: str) -> Planned:
        change = self._changes[name]
        assert change.source is not None
        shape = self._stored.tensors[change.source].shape
        return Planned(name, self._wanted(change), shape)

    def _dtype(self, change: _Change) -> str:
        assert change.source is not None
        return self._stored.tensors[change.source].dtype

    def _wanted(self, change: _Change) -> str:
        own = self._dtype(change)
        if self._wish is None or not DTYPES[own].is_floating_point:
            return own
        # A few tensors of a half-precision model are kept in fp32 for a reason.
        is_kept = own == "F32" and self._wish in _HALF and self._main in _HALF
        return own if is_kept else self._wish

    def _rows(self, name: str, dtype: str) -> Iterator[Tensor]:
        """Yield the rows of a tensor, some at a time, each checked to be finite."""
        change = self._changes[name]
        assert change.source is not None
        with self._stored.tensor(change.source) as own:
            width = max(1, math.prod(own.shape[1:]))
            whole = change.part is not None and change.part.magnitude is not None
            step = len(own) if whole else max(1, _NUMBERS_AT_ONCE // width)
            for start in range(0, len(own), step):
                rows = slice(start, start + step)
                found = self._changed(own, change, rows).to(DTYPES[dtype])
                # Where nothing is changed there may be no copy yet.
                found = found.clone() if found.data_ptr() == own[rows].data_ptr() else found
                yield _finite(found, name)

    def _changed(self, own: Tensor, change: _Change, rows: slice) -> Tensor:
        strength = self._strength
        if change.part is not None:
            return merging.summed(own, change.part, change.turned, strength, rows)
        if change.bias is not None:
            return own[rows].float() + change.bias[rows] * strength
        if change.full is not None:
            full = change.full[rows].float()
            return full if strength == 1 else torch.lerp(own[rows].float(), full, strength)
        return own[rows]

    def _single(self, name: str) -> Tensor:
        change = self._changes[name]
        assert change.source is not None
        with self._stored.tensor(change.source) as own:
            return own.clone().to(DTYPES[self._wanted(change)])


def write(
    weights: MergedWeights,
    folder: Path,
    shard_bytes: int,
    mark: str,
    watch: Watch,
    before: Path | None = None,
) -> Written:
    """Write merged weights as sharded safetensors, and return what has been written.

    `mark` stands for the base, the adapter and how they are merged: files that an earlier attempt
    wrote under the same mark, into the folder or into `before`, are kept. Raises MergeNotFinite,
    and what `watch` raises.
    """
    mark = f"{mark} {weights.number_format}"
    return shards.write(folder, weights.planned, weights.pieces, shard_bytes, mark, watch, before)


def refuse_quantized(base: Path) -> None:
    """Raise BaseQuantized when the weights of a model are stored in a quantized form."""
    if method := model_files.quantization(base):
        raise BaseQuantized(model=str(base), base=str(base), method=method)


def main_format(stored: StoredWeights) -> str:
    """Return the format in which most of a model's bytes are stored, as safetensors calls it."""
    sizes: dict[str, int] = {}
    for one in stored.tensors.values():
        sizes[one.dtype] = sizes.get(one.dtype, 0) + one.end - one.begin
    return max(sizes, key=lambda dtype: sizes[dtype], default="F32")


def _finite(found: Tensor, name: str) -> Tensor:
    if found.is_floating_point() and found.numel():
        # The extremes tell as well as a look at each number, ten times as fast.
        low, high = (float(one) for one in found.aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise MergeNotFinite(name)
    return found


def _nothing() -> None:
    """Numbers of our own need not be given back."""
