"""Several adapters of one base as one: their updates added, or merged as PEFT merges them.

"linear" is the exact sum: ranks add up. "svd" is the nearest to it of the highest rank among them.
TIES (Yadav et al. 2023) and DARE (Yu et al. 2023) drop numbers of the updates themselves, with
PEFT's own functions, and what comes out is brought to that rank likewise. One layer is in memory at
a time; no base model is needed.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import torch
from peft.utils import merge_utils
from torch import Tensor

from easytune.engine.adapter_files import Adapter, Part
from easytune.errors import AdapterMismatch
from easytune.export import Merge
from easytune.export_errors import MergeUnsupported

# Up to here all directions of a layer are computed, above only as many as are kept.
_SMALL = 512
_MORE, _ROUNDS = 16, 4


def combined(
    adapters: Sequence[Adapter],
    weights: Sequence[float],
    method: Merge,
    density: float,
    seed: int,
) -> dict[str, Part]:
    """Return by layer what the adapters come to together, each counted by its weight.

    `density` is the share of numbers that TIES and DARE keep; the same seed drops the same ones.
    Raises MergeUnsupported for an adapter that is more than low-rank products, AdapterMismatch
    for one that has another shape than the others.
    """
    for one in adapters:
        _refuse_special(one)
    layers = dict.fromkeys(name for one in adapters for name in one.parts)
    found: dict[str, Part] = {}
    for name in layers:
        here = [
            replace(one.parts[name], scale=one.parts[name].scale * weight)
            for one, weight in zip(adapters, weights, strict=True)
            if name in one.parts
        ]
        _refuse_other_shapes(adapters, name, here)
        rank = max(part.rank for one in adapters for part in one.parts.values())
        if method in ("linear", "svd"):
            found[name] = _sum(here) if method == "linear" else _shortened(_sum(here), rank)
        else:
            found[name] = _thinned(here, method, density, seed + zlib.crc32(name.encode()), rank)
    return found


def _refuse_special(adapter: Adapter) -> None:
    special = any(p.magnitude is not None or p.bias is not None for p in adapter.parts.values())
    if adapter.needs_peft or adapter.full or special:
        raise MergeUnsupported(str(adapter.folder), "@export.reason.not_plain")


def _refuse_other_shapes(adapters: Sequence[Adapter], name: str, here: Sequence[Part]) -> None:
    shapes = {(part.b.shape[0], part.a.shape[1], part.is_embedding) for part in here}
    if len(shapes) > 1:
        folder = next(one.folder for one in reversed(adapters) if name in one.parts)
        raise AdapterMismatch(str(folder), f"{name} @engine.reason.other_shape")


def _sum(parts: Sequence[Part]) -> Part:
    """Return the weighted sum of some products as one product, exactly."""
    return Part(
        a=torch.cat([part.a.float() for part in parts]),
        b=torch.cat([part.b.float() * part.scale for part in parts], dim=1),
        scale=1.0,
        is_embedding=parts[0].is_embedding,
    )


def _shortened(part: Part, rank: int) -> Part:
    """Return the product of at most `rank` that is nearest to another one.

    The directions of B A are those of the two small triangles that QR leaves: no layer is as large.
    """
    if part.rank <= rank:
        return part
    left, upper = torch.linalg.qr(part.b)
    right, lower = torch.linalg.qr(part.a.t())
    u, s, vh = torch.linalg.svd(upper @ lower.t(), full_matrices=False)
    return _product(left @ u, s, vh @ right.t(), rank, part.is_embedding)


def _thinned(parts: Sequence[Part], method: Merge, density: float, seed: int, rank: int) -> Part:
    """Merge updates as TIES or DARE does, and return the nearest product of at most `rank`."""
    updates = [part.b.float() @ part.a.float() for part in parts]
    weights = torch.tensor([part.scale for part in parts])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        merged = _merge(method, updates, weights, density)
        u, s, vh = _directions(merged, rank)
    return _product(u, s, vh, rank, parts[0].is_embedding)


def _merge(method: Merge, updates: list[Tensor], weights: Tensor, density: float) -> Tensor:
    if method == "ties":
        return merge_utils.ties(updates, weights, density)
    if method == "dare_linear":
        return merge_utils.dare_linear(updates, weights, density)
    return merge_utils.dare_ties(updates, weights, density)


def _directions(update: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    if min(update.shape) <= _SMALL:
        u, s, vh = torch.linalg.svd(update, full_matrices=False)
        return u, s, vh
    u, s, v = torch.svd_lowrank(update, q=min(rank + _MORE, *update.shape), niter=_ROUNDS)
    return u, s, v.t()


def _product(u: Tensor, s: Tensor, vh: Tensor, rank: int, is_embedding: bool) -> Part:
    root = s[:rank].sqrt()
    return Part(
        a=(root[:, None] * vh[:rank]).contiguous(),
        b=(u[:, :rank] * root).contiguous(),
        scale=1.0,
        is_embedding=is_embedding,
    )
