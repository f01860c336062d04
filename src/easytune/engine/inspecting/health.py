"""The health card of an adapter: how large each layer's update is, and how many directions it has.

The update of a layer is scale · B A. Its singular values come from two small QR decompositions, so
that no matrix of the layer's size is made. The effective rank is exp(entropy) of the singular
values as shares of their sum (Roy and Vetterli 2007, "The effective rank").
"""

import re
import statistics
from collections import defaultdict
from pathlib import Path

import torch
from torch import Tensor

from easytune.engine import adapter_files
from easytune.engine.adapter_files import Part
from easytune.errors import EasyTuneError
from easytune.inspecting import numbers, pinned
from easytune.inspecting.pinned import Base
from easytune.inspection_files import Finding, Health, InspectionOrder, ModuleHealth, Peer

_FEWEST = 4
# Median absolute deviations above the layers of the same kind, and times their median.
_FAR, _TIMES = 6.0, 4.0
_LARGE = 0.5
_SHOWN = 400


def card(order: InspectionOrder, folder: Path) -> Health:
    """Return the figures of an adapter. Raises EasyTuneError for files that cannot be read."""
    base = pinned.read(Path(order.base.folder)) if order.base else None
    found = adapter_files.read(folder)
    modules = _marked([_module(name, part, base) for name, part in found.parts.items()])
    return Health(
        modules=tuple(sorted(modules, key=lambda one: -(one.relative or 0))[:_SHOWN]),
        relative=_together(modules),
        effective_rank=_median([one.effective_rank for one in modules]),
        whole=tuple(sorted({name.rpartition(".")[0] for name in found.full})),
        peers=tuple(peer for path in order.peers if (peer := _peer(Path(path), base))),
    )


def findings(card: Health) -> list[Finding]:
    """Return what of a card deserves a word; none of it is a verdict."""
    found = [
        Finding(
            code="update_outlier",
            severity="medium",
            values={"module": one.module, "relative": f"{one.relative or 0:.1%}"},
        )
        for one in card.modules
        if one.outlier
    ][:5]
    if card.relative is not None and card.relative > _LARGE:
        relative = f"{card.relative:.0%}"
        found.append(Finding(code="update_large", severity="medium", values={"relative": relative}))
    return found


def _module(name: str, part: Part, base: Base | None) -> ModuleHealth:
    values = _singular(part)
    norm = float(values.square().sum().sqrt())
    own = _base_norm(name, base)
    shares = values / values.sum().clamp_min(1e-30)
    entropy = float(-(shares * shares.clamp_min(1e-30).log()).sum())
    return ModuleHealth(
        module=name,
        norm=norm,
        relative=norm / own if own else None,
        effective_rank=float(torch.tensor(entropy).exp()) if norm else 0.0,
        rank=part.rank,
    )


def _singular(part: Part) -> Tensor:
    """Return the singular values of scale · B A, (rank,)."""
    left = torch.linalg.qr(part.b.double())[1]
    right = torch.linalg.qr(part.a.double().T)[1]
    return torch.linalg.svdvals(left @ right.T) * abs(part.scale)


def _base_norm(name: str, base: Base | None) -> float:
    stored = base.stored(name) if base else None
    return numbers.measure(*stored).norm if stored else 0.0


def _together(modules: list[ModuleHealth]) -> float | None:
    """Return the norm of all updates by the norm of all weights that they change."""
    known = [one for one in modules if one.relative]
    weights = sum((one.norm / one.relative) ** 2 for one in known if one.relative)
    return (sum(one.norm**2 for one in known) / weights) ** 0.5 if weights else None


def _marked(modules: list[ModuleHealth]) -> list[ModuleHealth]:
    """Mark layers that change far more than the others of their kind."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for one in modules:
        kinds[re.sub(r"\d+", "#", one.module)].append(one.norm)
    return [
        one.model_copy(
            update={"outlier": _is_far(one.norm, kinds[re.sub(r"\d+", "#", one.module)])}
        )
        for one in modules
    ]


def _is_far(norm: float, others: list[float]) -> bool:
    if len(others) < _FEWEST:
        return False
    middle = statistics.median(others)
    spread = 1.4826 * statistics.median(abs(one - middle) for one in others)
    return norm > middle + _FAR * spread and norm > _TIMES * middle


def _peer(folder: Path, base: Base | None) -> Peer | None:
    """Return the figures of one of the user's own adapters; None when it cannot be read."""
    try:
        found = adapter_files.read(folder)
    except EasyTuneError:
        return None
    modules = [_module(name, part, base) for name, part in found.parts.items()]
    together = _together(modules)
    if together is None:
        return None
    title = folder.parent.parent.name if folder.name == "adapter" else folder.name
    rank = _median([one.effective_rank for one in modules])
    return Peer(title=title, relative=together, effective_rank=rank)


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0
