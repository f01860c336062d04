"""A faster forward and backward for plain LoRA layers.

PEFT keeps A and B in fp32 and casts the layer's input up to them. Here A and B, which are small,
are cast down instead, and only the input and the low-rank product are kept for the backward.
"""

import types
from collections import Counter
from typing import Any, Literal

import torch
from peft.tuners.lora import Linear as LoraLinear
from torch import Tensor, nn
from torch.nn.functional import linear

Obstacle = Literal["dora", "dropout", "quantized", "unusual"]
"""Why a layer is more than W x + s B A x with a frozen ordinary W."""


def speed_up(model: nn.Module) -> dict[Obstacle, int]:
    """Replace the forward of every LoRA layer that can be; count the others by what they have."""
    found: Counter[Obstacle] = Counter()
    for layer in model.modules():
        if hasattr(layer, "lora_A") and hasattr(layer, "base_layer"):
            obstacle = _obstacle(layer)
            if obstacle is None:
                layer.forward = types.MethodType(_forward, layer)
            else:
                found[obstacle] += 1
    return dict(found)


def _obstacle(layer: Any) -> Obstacle | None:
    base = layer.base_layer
    if getattr(layer, "lora_variant", None):
        return "dora"
    if not base.weight.is_floating_point():
        return "quantized"
    if type(layer) is not LoraLinear or type(base) is not nn.Linear or base.weight.requires_grad:
        return "unusual"
    if not all(isinstance(dropout, nn.Identity) for dropout in layer.lora_dropout.values()):
        return "dropout"
    is_plain = not layer.fan_in_fan_out and all(b.bias is None for b in layer.lora_B.values())
    return None if is_plain else "unusual"


def _forward(layer: LoraLinear, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    name = layer.active_adapters[0] if len(layer.active_adapters) == 1 else None
    if name is None or name not in layer.lora_A or not _applies(layer, x, kwargs):
        return type(layer).forward(layer, x, *args, **kwargs)
    base = layer.base_layer
    a, b = layer.lora_A[name].weight, layer.lora_B[name].weight
    return _LoraProduct.apply(x, base.weight, base.bias, a, b, layer.scaling[name])  # type: ignore[return-value]


def _applies(layer: LoraLinear, x: Tensor, kwargs: dict[str, Any]) -> bool:
    return not (
        kwargs
        or layer.disable_adapters
        or layer.merged
        or x.dtype != layer.base_layer.weight.dtype
        or torch.is_autocast_enabled(x.device.type)
    )


class _LoraProduct(torch.autograd.Function):
    """x W^T + bias + scaling (x A^T) B^T."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, a: Tensor, b: Tensor, scale: float
    ) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        low = rows @ a.to(x.dtype).t()
        result = linear(rows, weight, bias).addmm_(low, b.to(x.dtype).t(), alpha=scale)
        ctx.save_for_backward(rows, low, weight, a, b)
        ctx.scale, ctx.shape = scale, x.shape
        return result.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        rows, low, weight, a, b = ctx.saved_tensors
        slope = outer[0].reshape(-1, outer[0].shape[-1])
        low_slope = (slope @ b.to(slope.dtype)).mul_(ctx.scale)
        to_x = None
        if ctx.needs_input_grad[0]:
            to_x = (slope @ weight).addmm_(low_slope, a.to(slope.dtype)).view(ctx.shape)
        to_a = (low_slope.t() @ rows).to(a.dtype)
        # Narrow times wide is faster than wide times narrow.
        to_b = (low.t() @ slope).t().mul(ctx.scale).to(b.dtype)
        return to_x, None, None, to_a, to_b, None
