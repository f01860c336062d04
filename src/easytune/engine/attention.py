"""Attention over rows laid end to end, each row seeing only itself.

Registered with transformers under `PACKED`. The lengths of the rows travel as the keyword argument
`segments` through the model's forward to here. No mask exists, so nothing grows with the pack.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import AttentionInterface

from easytune.engine import causal_products
from easytune.engine.batching import Segments
from easytune.engine.causal_products import bias as _bias

PACKED = "easytune_packed"
# Up to this many tokens plain products beat torch's fused CPU kernel in half precision, whose
# backward is slow there; in fp32 the kernel is never slower and twice as fast at 1,024.
_GEMM_LENGTH = 1024
# Keyword arguments that change what attention computes and that we do not implement.
_UNSUPPORTED = ("s_aux", "position_bias", "head_mask")


class PackingUnsupported(Exception):
    """This model's attention takes something that packed attention does not know."""


def register() -> None:
    """Make `PACKED` known to transformers."""
    AttentionInterface.register(PACKED, packed_attention)


@torch.compiler.disable
def packed_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    segments: Segments | None = None,
    **others: Any,
) -> tuple[Tensor, None]:
    """Return causal attention within each segment, (1, tokens, heads, value width).

    `query` is (1, heads, tokens, width), `key` and `value` may have fewer heads. `segments` are
    the lengths of the rows in order; their sum is the number of tokens.
    """
    lengths = () if segments is None else segments.lengths
    _refuse(module, attention_mask, lengths, query, others)
    groups = query.shape[1] // key.shape[1]
    scale = 1 / math.sqrt(query.shape[-1]) if scaling is None else scaling
    attend = _choose(query, softcap, dropout)
    if attend is _by_length and max(lengths) <= _GEMM_LENGTH:
        together = causal_products.attend(query, key, value, lengths, scale, sliding_window)
        return together, None
    results = [
        attend(q, k, v, groups, scale, sliding_window, softcap, dropout)
        for q, k, v in zip(
            query.split(lengths, 2), key.split(lengths, 2), value.split(lengths, 2), strict=True
        )
    ]
    joined = torch.cat(results, 2) if len(results) > 1 else results[0]
    return joined.transpose(1, 2).contiguous(), None


def _refuse(
    module: torch.nn.Module,
    attention_mask: Tensor | None,
    segments: tuple[int, ...],
    query: Tensor,
    others: dict[str, Any],
) -> None:
    if attention_mask is not None or sum(segments) != query.shape[2] or query.shape[0] != 1:
        raise PackingUnsupported(f"{type(module).__name__} brings a mask or loses the segments")
    if extra := [name for name in _UNSUPPORTED if others.get(name) is not None]:
        raise PackingUnsupported(f"{type(module).__name__} uses {', '.join(extra)}")
    if others.get("is_causal") is False or getattr(module, "is_causal", True) is False:
        raise PackingUnsupported(f"{type(module).__name__} is not causal")


def _repeat(states: Tensor, groups: int) -> Tensor:
    return states if groups == 1 else states.repeat_interleave(groups, dim=1)


_Attend = Callable[[Tensor, Tensor, Tensor, int, float, int | None, float | None, float], Tensor]


def _choose(query: Tensor, softcap: float | None, dropout: float) -> _Attend:
    """Pick the fastest way that computes what is asked."""
    if softcap is not None:
        return _by_products
    slow_kernel = query.device.type == "cpu" and query.dtype != torch.float32
    return _by_length if slow_kernel and dropout == 0 else _fused


def _by_length(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    groups: int,
    scale: float,
    window: int | None,
    cap: float | None,
    drop: float,
) -> Tensor:
    if q.shape[2] > _GEMM_LENGTH:
        return _fused(q, k, v, groups, scale, window, cap, drop)
    return causal_products.attend(q, k, v, q.shape[2:3], scale, window).transpose(1, 2)


def _fused(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    groups: int,
    scale: float,
    window: int | None,
    cap: float | None,
    drop: float,
) -> Tensor:
    """torch's own kernel; a mask only where a window is shorter than the row."""
    length, k, v = q.shape[2], _repeat(k, groups), _repeat(v, groups)
    if window is None or window >= length:
        return functional.scaled_dot_product_attention(
            q, k, v, dropout_p=drop, is_causal=True, scale=scale
        )
    bias = _bias(length, window, q)
    return functional.scaled_dot_product_attention(
        q, k, v, attn_mask=bias[None, None], dropout_p=drop, scale=scale
    )


def _by_products(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    groups: int,
    scale: float,
    window: int | None,
    cap: float | None,
    drop: float,
) -> Tensor:
    """Two matrix products and a softmax, the scale and the mask folded into the first product.

    The heads that share keys lie one below the other, so that keys need not be repeated.
    """
    heads, length = k.shape[1], q.shape[2]
    queries = q.reshape(heads, groups * length, -1)
    bias = _bias(length, window, q).repeat(groups, 1)
    if cap is None:
        scores = torch.baddbmm(bias[None], queries, k[0].transpose(1, 2), alpha=scale)
    else:
        scores = torch.bmm(queries, k[0].transpose(1, 2)).mul(scale / cap).tanh().mul(cap) + bias
    # In half precision too it sums in single precision.
    weights = torch.softmax(scores, -1)
    if drop:
        weights = functional.dropout(weights, drop)
    return torch.bmm(weights, v[0]).view(1, heads * groups, length, -1)
