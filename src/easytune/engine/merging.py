"""A single adapter merged into the weights, in memory, and taken out again without a trace.

The base's own tensors are kept aside by reference: taking out puts them back, bit for bit.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from easytune.engine import hardware
from easytune.engine.adapter_files import Adapter, Part
from easytune.inference_errors import MemoryShort

_MARGIN_GB = 0.3


class Merged:
    """The adapter that is merged into a model at the moment, if any."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._own: list[tuple[nn.Module, str, nn.Parameter | None]] = []
        self.adapter: Adapter | None = None

    def put_in(self, adapter: Adapter) -> None:
        """Merge an adapter, in place of another that may be there."""
        if self.adapter is adapter:
            return
        self.take_out()
        try:
            with torch.no_grad():
                for module, name, tensor in self._changes(adapter):
                    self._own.append((module, name, module._parameters[name]))
                    # A new parameter, not new data: a tied weight changes here only.
                    module._parameters[name] = nn.Parameter(tensor, requires_grad=False)
        except BaseException:
            self.take_out()
            raise
        self.adapter = adapter

    def take_out(self) -> None:
        """Put the base's own weights back."""
        for module, name, parameter in reversed(self._own):
            module._parameters[name] = parameter
        self._own.clear()
        self.adapter = None

    def can(self, adapter: Adapter) -> bool:
        """Tell whether an adapter can be merged here: known, not quantized, and it fits."""
        if adapter.needs_peft:
            return False
        if any(not weight.is_floating_point() for weight in self._weights(adapter)):
            return False
        free = hardware.free_memory_gb(self._model.device)
        return self.adapter is adapter or self._needs_gb(adapter) < free

    def short(self, adapter: Adapter) -> MemoryShort:
        """Return what is to be said where an adapter must be merged and does not fit."""
        free = hardware.free_memory_gb(self._model.device)
        return MemoryShort(str(adapter.folder), round(self._needs_gb(adapter), 1), round(free, 1))

    def _weights(self, adapter: Adapter) -> list[Tensor]:
        return [_weight(self._model.get_submodule(name)) for name in adapter.parts]

    def _needs_gb(self, adapter: Adapter) -> float:
        return sum(weight.nbytes for weight in self._weights(adapter)) / 1e9 + _MARGIN_GB

    def _changes(self, adapter: Adapter) -> Iterator[tuple[nn.Module, str, Tensor]]:
        for path, part in adapter.parts.items():
            module = self._model.get_submodule(path)
            strength = adapter.strength if part.magnitude is not None else 1.0
            yield module, "weight", _merged(module, part, strength)
            if part.bias is not None:
                own: Tensor | None = module._parameters.get("bias")
                added = part.bias.to(_weight(module)) * part.scale * strength
                yield module, "bias", added if own is None else own + added
        for path, tensor in adapter.full.items():
            owner, _, name = path.rpartition(".")
            module = self._model.get_submodule(owner)
            own = module._parameters[name]
            assert own is not None
            yield module, name, _between(own, tensor.to(own.device), adapter.strength)


def _merged(module: nn.Module, part: Part, strength: float) -> Tensor:
    """Return the weight with the adapter in it, in the weight's own number format."""
    weight = _weight(module)
    return summed(weight, part, is_turned(module, part), strength).to(weight.dtype)


def _between(own: Tensor, trained: Tensor, strength: float) -> Tensor:
    """Return the weight of a module trained whole, in the number format that it has."""
    if strength == 1:
        return trained.to(own.dtype)
    return torch.lerp(own.float(), trained.float(), strength).to(own.dtype)


def summed(
    weight: Tensor, part: Part, turned: bool, strength: float = 1.0, rows: slice = slice(None)
) -> Tensor:
    """Return some rows of a weight with the adapter in them, in fp32.

    `weight` is (out, in), or (in, out) when `turned`. `strength` scales all that the adapter
    changes. `rows` saves memory; where the rows are needed all together they are computed so.
    """
    a, b = part.a.to(weight.device).float(), part.b.to(weight.device).float()
    if part.magnitude is not None:
        return _with_learned_length(weight, a, b, part, turned, strength)[rows]
    first, second = (a.t(), b.t()) if turned else (b, a)
    # In its own memory, and in place: a second copy in fp32 takes as long as the product.
    found = weight[rows].to(torch.float32, copy=True)
    return found.addmm_(first[rows], second, alpha=part.scale * strength)


def _with_learned_length(
    weight: Tensor, a: Tensor, b: Tensor, part: Part, turned: bool, strength: float
) -> Tensor:
    """DoRA: rows get the learned length, the direction comes from base and adapter."""
    own = weight.float().t() if turned else weight.float()
    found = torch.addmm(own, b, a, alpha=part.scale)
    assert part.magnitude is not None
    found *= (part.magnitude.to(found) / torch.linalg.norm(found, dim=1))[:, None]
    found = found if strength == 1 else torch.lerp(own, found, strength)
    return found.t().contiguous() if turned else found


def _weight(module: nn.Module) -> Tensor:
    return module.weight  # type: ignore[return-value]


def is_turned(module: nn.Module, part: Part) -> bool:
    """Tell whether what a part changes lies as (in, out): embeddings, and GPT-2's layers."""
    return part.is_embedding or is_transposed(module)


def is_transposed(module: nn.Module) -> bool:
    """Tell whether a linear layer keeps its weight as (in, out)."""
    return type(module).__name__ == "Conv1D"
