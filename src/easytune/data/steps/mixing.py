"""Mixing rows of several datasets by weight."""

from collections import Counter
from typing import TYPE_CHECKING

from easytune.data.formats import Layout
from easytune.data.steps.flow import Flow
from easytune.data.steps.options import MixSection, ShuffleSection
from easytune.data.steps.selection import random_of, shuffle
from easytune.data.stored import PREFIX, Reference
from easytune.dataset_errors import DatasetUnknown, KindsMixed

if TYPE_CHECKING:
    import numpy as np

    from easytune.data.versions.rows import Rows

    Places = np.ndarray


def mix(options: MixSection, flow: Flow, found: Counter[str]) -> None:
    """Add rows of other datasets. A weight of 2.5 is each row twice and a random half again.

    Raises KindsMixed, DatasetUnknown, VersionUnknown.
    """
    import numpy as np

    random = random_of(flow, options.seed)
    own = _weighted(flow.usable, options.own_weight, random)
    flow.choose(np.sort(np.concatenate([own, np.flatnonzero(flow.unusable)])), "mix")
    weights = options.weights or (1.0,) * len(options.datasets)
    for name, weight in zip(options.datasets, weights, strict=True):
        rows, reference = _opened(name, flow)
        _refuse_other_kind(flow, rows, name)
        chosen = _weighted(_usable(rows, flow.share), weight, random)
        found["mixed_in"] += len(chosen)
        flow.append(rows, chosen, f"{reference.id}@{reference.number}")
    if options.order == "shuffled" and options.datasets:
        shuffle(ShuffleSection(seed=options.seed), flow, found)


def _opened(name: str, flow: Flow) -> "tuple[Rows, Reference]":
    reference = Reference.parse(name if name.startswith(PREFIX) else PREFIX + name)
    if reference is None:
        raise DatasetUnknown(name)
    rows = flow.library.open(reference.id, reference.number)
    return rows, rows.facts.reference


def _usable(rows: "Rows", share: float) -> "Places":
    """Return the places of the rows without a problem, in the beginning of the version."""
    import numpy as np

    return np.flatnonzero(~rows.unusable()[: round(len(rows) * share)])


def _weighted(places: "Places", weight: float, random: "np.random.Generator") -> "Places":
    """Return places as often as the weight says, in their order."""
    import numpy as np

    whole = int(weight)
    rest = round((weight - whole) * len(places))
    if len(places) and not whole:
        rest = max(rest, 1)
    again = random.choice(places, rest, replace=False) if rest else places[:0]
    return np.sort(np.concatenate([*[places] * whole, again]).astype(np.int64))


def _refuse_other_kind(flow: Flow, rows: "Rows", name: str) -> None:
    """Raise KindsMixed when one set is plain text and the other conversations."""
    there = {_is_text(layout) for layout in flow.layouts.values()}
    new = {_is_text(layout) for layout in rows.facts.layouts.values()}
    if there and new and there != new:
        others = ", ".join(sorted(flow.layouts))
        raise KindsMixed(*((others, name) if True in new else (name, others)))


def _is_text(layout: Layout) -> bool:
    return layout.format == "text"
