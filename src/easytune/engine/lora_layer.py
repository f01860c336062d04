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

Weights = tuple[Tensor, Tensor | None, Tensor, Tensor, float]
"""W, its bias, A, B and the scale of their product."""
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


def weights(layer: Any, x: Tensor) -> Weights | None:
    """Return what our product takes beside `x`; None where a layer is more than that, or hooked."""
    if _obstacle(layer) or layer._forward_hooks or layer._forward_pre_hooks:
        return None
    return _weights(layer, x, {})


def product(rows: Tensor, given: Weights) -> tuple[Tensor, Tensor]:
    """Return W x + bias + scale B A x for each row, and A x."""
    weight, bias, a, b, scale = given
    low = rows @ a.to(rows.dtype).t()
    return linear(rows, weight, bias).addmm_(low, b.to(rows.dtype).t(), alpha=scale), low


def slopes(
    slope: Tensor, low: Tensor, given: Weights, wants_x: bool = True
) -> tuple[Tensor | None, Tensor, Tensor]:
    """Return the slopes of x, of A x and of B, given that of the product."""
    weight, _, a, b, scale = given
    low_slope = (slope @ b.to(slope.dtype)).mul_(scale)
    to_x = (slope @ weight).addmm_(low_slope, a.to(slope.dtype)) if wants_x else None
    # Narrow times wide is faster than wide times narrow.
    return to_x, low_slope, (low.t() @ slope).t().mul(scale).to(b.dtype)


def _forward(layer: LoraLinear, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    given = _weights(layer, x, kwargs)
    if given is None:
        return type(layer).forward(layer, x, *args, **kwargs)
    return _LoraProduct.apply(x, *given)  # type: ignore[return-value]


def _weights(layer: LoraLinear, x: Tensor, kwargs: dict[str, Any]) -> Weights | None:
    name = layer.active_adapters[0] if len(layer.active_adapters) == 1 else None
    if name is None or name not in layer.lora_A or not _applies(layer, x, kwargs):
        return None
    base: Any = layer.base_layer
    a: Any = layer.lora_A[name]
    b: Any = layer.lora_B[name]
    return base.weight, base.bias, a.weight, b.weight, layer.scaling[name]


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
        result, low = product(rows, (weight, bias, a, b, scale))
        ctx.save_for_backward(rows, low, weight, a, b)
        ctx.scale, ctx.shape = scale, x.shape
        return result.view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        rows, low, weight, a, b = ctx.saved_tensors
        slope = outer[0].reshape(-1, outer[0].shape[-1])
        given = (weight, None, a, b, ctx.scale)
        to_x, low_slope, to_b = slopes(slope, low, given, ctx.needs_input_grad[0])
        to_a = (low_slope.t() @ rows).to(a.dtype)
        to_x = None if to_x is None else to_x.view(ctx.shape)
        return to_x, None, None, to_a, to_b, None
