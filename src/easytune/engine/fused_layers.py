"""Norms and gated activations on a processor: one pass over memory, less kept for the backward.

transformers writes them as a row of operations, each of which reads and writes a tensor that no
cache holds, most of them in fp32. Here the same operations run on a few rows at a time. Which
layers can be computed so is found out by computing: results must be the layer's own, bit by bit.
"""

import types
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from easytune.engine import lora_layer

# What is passed over at once, in bytes of fp32: it stays in a core's own cache.
_PIECE_BYTES = 512 << 10

_Pair = tuple[Tensor, Tensor]
Finish = Callable[[Tensor, Tensor], Tensor]
"""Multiplies normalised states in fp32 by a norm's weight, into the number format of the weight."""


def speed_up(model: nn.Module) -> int:
    """Replace the forward of every layer here that can be, on a processor; return how many.

    A norm whose weight is being learned goes on by itself.
    """
    return sum(_norm(module) or _gated(module) for module in model.modules())


def _norm(module: nn.Module) -> bool:
    """Replace the forward of an RMSNorm."""
    weight, epsilon = getattr(module, "weight", None), _epsilon(module)
    if not isinstance(weight, Tensor) or weight.ndim != 1 or epsilon is None:
        return False
    if weight.device.type != "cpu" or [*module.children()]:
        return False
    probe = torch.linspace(-3, 2, 5 * len(weight)).view(5, -1).to(weight.dtype)
    with torch.no_grad():
        wanted = module(probe)
    for finish in _FINISHES:
        if torch.equal(_RmsNorm.apply(probe, weight, epsilon, finish), wanted):  # type: ignore[arg-type]
            own = module.forward
            module.forward = types.MethodType(_norm_forward(own, epsilon, finish), module)
            return True
    return False


def _norm_forward(own: Callable[..., Tensor], epsilon: float, finish: Finish) -> Callable:
    def forward(module: nn.Module, x: Tensor) -> Tensor:
        weight: Any = module.weight
        if x.dtype != weight.dtype or weight.requires_grad:
            return own(x)
        return _RmsNorm.apply(x, weight, epsilon, finish)  # type: ignore[return-value]

    return forward


def _epsilon(module: nn.Module) -> float | None:
    if not type(module).__name__.endswith("RMSNorm"):
        return None
    found = getattr(module, "variance_epsilon", None)
    return getattr(module, "eps", None) if found is None else found


def _weight_last(states: Tensor, weight: Tensor) -> Tensor:
    """Llama, Qwen and most others: the weight comes after the cast."""
    return weight * states.to(weight.dtype)


def _one_and_weight(states: Tensor, weight: Tensor) -> Tensor:
    """Gemma: what is stored is the distance from one."""
    return states.mul_(1 + weight.float()).to(weight.dtype)


_FINISHES: tuple[Finish, ...] = (_weight_last, _one_and_weight)


def _gated(module: nn.Module) -> bool:
    """Replace the forward of a feed-forward part that is down(silu(gate) * up)."""
    names = ("gate_proj", "up_proj", "down_proj")
    if {name for name, _ in module.named_children()} != {*names, "act_fn"}:
        return False
    gate: Any = module.gate_proj
    weight: Tensor = gate.weight
    if weight.device.type != "cpu" or not weight.is_floating_point():
        return False
    probe = torch.linspace(-3, 2, 5 * weight.shape[1]).view(5, -1).to(weight.dtype)
    with torch.no_grad():
        same = torch.equal(_gated_forward(module, probe), module(probe))
    if same:
        module.forward = types.MethodType(_gated_forward, module)
    return same


def _gated_forward(module: Any, x: Tensor) -> Tensor:
    gate, up, down = module.gate_proj(x), module.up_proj(x), module.down_proj
    given = lora_layer.weights(down, gate) if hasattr(down, "lora_A") else None
    if given is not None:
        return _GatedDown.apply(gate, up, *given)  # type: ignore[return-value]
    return down(_SiluProduct.apply(gate, up))


def _pieces(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield a few rows of each tensor at a time."""
    flat = [one.view(-1, one.shape[-1]) for one in tensors]
    rows = max(1, _PIECE_BYTES // (4 * flat[0].shape[-1]))
    yield from zip(*(one.split(rows) for one in flat), strict=True)


class _RmsNorm(torch.autograd.Function):
    """x / sqrt(mean(x²) + epsilon), in fp32, times a weight."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, epsilon: float, finish: Finish) -> Tensor:
        x = x.contiguous()
        result, scale = torch.empty_like(x), x.new_empty(*x.shape[:-1], 1, dtype=torch.float32)
        for some, target, factor in _pieces(x, result, scale):
            states = some.float()
            torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + epsilon, out=factor)
            target.copy_(finish(states * factor, weight))
        ctx.save_for_backward(x, weight, scale)
        ctx.finish = finish
        return result

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, scale = ctx.saved_tensors
        slope = outer[0].contiguous()
        result = torch.empty_like(x)
        whole = 1 + weight.float() if ctx.finish is _one_and_weight else weight
        for some, factor, given, target in _pieces(x, scale, slope, result):
            states, to_states = some.float().mul(factor), given.mul(whole).float()
            share = (states * to_states).mean(-1, keepdim=True)
            target.copy_(to_states.sub_(states.mul_(share)).mul_(factor))
        return result, None, None, None


def _multiplied(gate: Tensor, up: Tensor) -> Tensor:
    """Return silu(gate) * up."""
    result = torch.empty_like(gate)
    for g, u, target in _pieces(gate, up, result):
        torch.mul(silu(g), u, out=target)
    return result


def _gate_slopes(gate: Tensor, up: Tensor, slope: Tensor, product: Tensor | None = None) -> _Pair:
    """Return the slopes of gate and up; write their product anew into `product`."""
    to_gate, to_up = torch.empty_like(gate), torch.empty_like(up)
    again = to_up if product is None else product
    for g, u, given, for_gate, for_up, target in _pieces(gate, up, slope, to_gate, to_up, again):
        active = silu(g)
        if product is not None:
            torch.mul(active, u, out=target)
        torch.mul(given, active, out=for_up)
        for_gate.copy_(torch.ops.aten.silu_backward(given * u, g))
    return to_gate, to_up


class _SiluProduct(torch.autograd.Function):
    """silu(gate) * up; the activation is computed again in the backward."""

    @staticmethod
    def forward(ctx: Any, gate: Tensor, up: Tensor) -> Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        ctx.save_for_backward(gate, up)
        return _multiplied(gate, up)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> _Pair:
        gate, up = ctx.saved_tensors
        return _gate_slopes(gate, up, outer[0].contiguous())


class _GatedDown(torch.autograd.Function):
    """The layer down(silu(gate) * up) with its adapter; what goes into it is computed again."""

    @staticmethod
    def forward(
        ctx: Any,
        gate: Tensor,
        up: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        a: Tensor,
        b: Tensor,
        scale: float,
    ) -> Tensor:
        gate, up = gate.contiguous(), up.contiguous()
        rows = _multiplied(gate, up).view(-1, gate.shape[-1])
        result, low = lora_layer.product(rows, (weight, bias, a, b, scale))
        ctx.save_for_backward(gate, up, low, weight, a, b)
        ctx.scale = scale
        return result.view(*gate.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        gate, up, low, weight, a, b = ctx.saved_tensors
        slope = outer[0].reshape(-1, outer[0].shape[-1])
        to_rows, low_slope, to_b = lora_layer.slopes(slope, low, (weight, None, a, b, ctx.scale))
        assert to_rows is not None
        rows = torch.empty_like(to_rows)
        to_gate, to_up = _gate_slopes(gate, up, to_rows, rows)
        to_a = (low_slope.t() @ rows).to(a.dtype)
        return to_gate, to_up, None, None, to_a, to_b, None
