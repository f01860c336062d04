"""Causal attention by plain matrix products, in blocks of queries: each sees its keys and no more.

For processors in half precision, where torch's own kernel is slow in the backward. All rows of a
pack are one step for autograd; the weights of attention are kept, so rows must not be long.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

# Queries of a block: small enough to leave out most of what is above the diagonal, large enough
# for fast products.
_BLOCK = 128


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    segments: Sequence[int],
    scale: float,
    window: int | None = None,
) -> Tensor:
    """Return causal attention within each segment, (1, tokens, heads, value width).

    `query` is (1, heads, tokens, width), `key` and `value` may have fewer heads. With `window` a
    token sees so many tokens, itself included.
    """
    return _CausalProducts.apply(query, key, value, tuple(segments), scale, window)  # type: ignore[return-value]


def bias(length: int, window: int | None, like: Tensor) -> Tensor:
    """Return 0 where a position may look and -inf elsewhere, (length, length)."""
    effective = None if window is None or window >= length else window
    size = 1 << (length - 1).bit_length() if length > 1 else 1
    return _cached_bias(size, effective, like.dtype, like.device)[:length, :length]


@cache
def _cached_bias(size: int, window: int | None, dtype: torch.dtype, device: torch.device) -> Tensor:
    allowed = torch.ones(size, size, dtype=torch.bool, device=device).tril()
    if window is not None:
        allowed = allowed.triu(1 - window)
    return torch.zeros(size, size, dtype=dtype, device=device).masked_fill_(~allowed, -torch.inf)


def _rows(segments: Sequence[int]) -> Iterator[slice]:
    start = 0
    for length in segments:
        yield slice(start, start + length)
        start += length


def _blocks(length: int, window: int | None) -> Iterator[tuple[slice, slice]]:
    """Yield the queries of each block of a row, and the keys that one of them sees."""
    for start in range(0, length, _BLOCK):
        end = min(start + _BLOCK, length)
        first = 0 if window is None else max(0, start + 1 - window)
        yield slice(start, end), slice(first, end)


def _weights(q: Tensor, k: Tensor, block: slice, window: int | None, scale: float) -> Tensor:
    """Return the softmax of scores; `q` are the queries of all heads that share keys `k`."""
    count, seen = block.stop - block.start, k.shape[1]
    scores = q.new_empty(q.shape[0], q.shape[1], seen).baddbmm_(q, k.mT, beta=0, alpha=scale)
    by_head = scores.view(q.shape[0], -1, count, seen)
    if window is None:
        by_head[..., seen - count :] += bias(count, None, q)
    else:
        by_head += bias(block.stop, window, q)[block, block.stop - seen :]
    # In half precision too it sums in single precision.
    return torch.softmax(scores, -1)


def _grouped(states: Tensor, heads: int) -> Tensor:
    """Lay heads that share keys one below the other: (heads, groups x n, width)."""
    return states.reshape(heads, -1, states.shape[-1])


def _put(grouped: Tensor, target: Tensor) -> None:
    """Undo `_grouped`, into (n, heads x groups, width)."""
    count, heads, width = target.shape
    target.copy_(grouped.view(heads, count, width).transpose(0, 1))


class _CausalProducts(torch.autograd.Function):
    """softmax(scale Q K^T + mask) V for rows laid end to end."""

    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        segments: tuple[int, ...],
        scale: float,
        window: int | None,
    ) -> Tensor:
        heads = key.shape[1]
        result = query.new_empty(query.shape[2], query.shape[1], value.shape[-1])
        kept = []
        for row in _rows(segments):
            q, k, v = query[0, :, row], key[0, :, row].contiguous(), value[0, :, row].contiguous()
            target = result[row]
            for block, seen in _blocks(q.shape[1], window):
                weights = _weights(_grouped(q[:, block], heads), k[:, seen], block, window, scale)
                _put(torch.bmm(weights, v[:, seen]), target[block])
                kept.append(weights)
        ctx.save_for_backward(query, key, value, *kept)
        ctx.segments, ctx.scale, ctx.window = segments, scale, window
        return result[None]

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        query, key, value, *kept = ctx.saved_tensors
        slopes = [torch.empty_like(one[0].transpose(0, 1), memory_format=torch.contiguous_format)
                  for one in (query, key, value)]  # fmt: skip
        weights = iter(kept)
        for row in _rows(ctx.segments):
            _row_backward(
                [one[0, :, row] for one in (query, key, value)],
                outer[0][0, row].transpose(0, 1),
                weights,
                [slope[row] for slope in slopes],
                ctx.scale,
                ctx.window,
            )
        to_q, to_k, to_v = (slope.transpose(0, 1)[None] for slope in slopes)
        return to_q, to_k, to_v, None, None, None


def _row_backward(
    given: list[Tensor],
    outer: Tensor,
    kept: Iterator[Tensor],
    slopes: list[Tensor],
    scale: float,
    window: int | None,
) -> None:
    """Write the slopes of one row's queries, keys and values."""
    query, (key, value) = given[0], (one.contiguous() for one in given[1:])
    heads, to_k, to_v = len(key), torch.zeros_like(key), torch.zeros_like(value)
    for block, seen in _blocks(query.shape[1], window):
        weights, k, v = next(kept), key[:, seen], value[:, seen]
        q, slope = _grouped(query[:, block], heads), _grouped(outer[:, block], heads)
        to_v[:, seen].baddbmm_(weights.mT, slope)
        to_scores = torch.ops.aten._softmax_backward_data(
            torch.bmm(slope, v.mT), weights, -1, weights.dtype
        )
        to_k[:, seen].baddbmm_(to_scores.mT, q, alpha=scale)
        to_q = torch.empty_like(q).baddbmm_(to_scores, k, beta=0, alpha=scale)
        _put(to_q, slopes[0][block])
    slopes[1].copy_(to_k.transpose(0, 1))
    slopes[2].copy_(to_v.transpose(0, 1))
