"""Choosing and ordering rows at random, and keeping some aside. All by seed."""

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson

from easytune.data.steps.duplicates import near_rows, text_ids
from easytune.data.steps.flow import Flow
from easytune.data.steps.options import SampleSection, ShuffleSection, SplitSection
from easytune.data.steps.texts import Texts

if TYPE_CHECKING:
    import numpy as np

    Places = np.ndarray

_SIMILAR = 0.8


def sample(options: SampleSection, flow: Flow, found: Counter[str]) -> None:
    """Go on with some rows, chosen at random, in their order."""
    import numpy as np

    rows = flow.usable
    wanted = round(len(rows) * options.share)
    if options.rows is not None:
        # A preview looks at the beginning only: it shows what becomes of these rows.
        wanted = min(wanted, round(options.rows * flow.share))
    chosen = random_of(flow, options.seed).choice(len(rows), max(wanted, 1), replace=False)
    flow.keep(rows[np.sort(chosen)], "sample")


def shuffle(options: ShuffleSection, flow: Flow, found: Counter[str]) -> None:
    """Go on with the rows in random order; those that cannot be used stay where they are."""
    import numpy as np

    rows = flow.usable
    order = np.arange(len(flow))
    order[rows] = random_of(flow, options.seed).permutation(rows)
    flow.choose(order)


def split(options: SplitSection, flow: Flow, found: Counter[str]) -> None:
    """Keep a share of the rows aside, never a part of those that belong together."""
    import numpy as np

    rows = flow.usable
    wanted = round(len(rows) * options.share)
    if options.share and len(rows) > 1:
        wanted = min(max(wanted, 1), len(rows) - 1)
    groups = _groups(options, flow)
    order = random_of(flow, options.seed).permutation(int(groups.max()) + 1 if len(rows) else 0)
    sizes = np.bincount(groups, minlength=len(order))
    aside, count = np.zeros(len(order), bool), 0
    for group in order.tolist():
        if count + sizes[group] <= wanted:
            aside[group] = True
            count += int(sizes[group])
    found["held_out"] += count
    flow.held_out = np.zeros(len(flow), bool)
    flow.held_out[rows] = aside[groups]


def random_of(flow: Flow, seed: int | None) -> "np.random.Generator":
    """Return the random numbers of a step: of its own seed, else of the pipeline's."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(flow.seed if seed is None else seed))


def _groups(options: SplitSection, flow: Flow) -> "Places":
    """Return for each usable row the number of the group it belongs to."""
    import numpy as np

    rows = flow.usable
    links = [np.unique(text_ids(flow, Texts()), return_inverse=True)[1]]
    if options.column:
        links.append(_by_column(flow, options.column))
    groups = _joined(links)
    if not options.similar:
        return groups
    place = {int(row): at for at, row in enumerate(rows)}
    near = near_rows(flow, Texts(), _SIMILAR)
    alike = ((place[a], place[b]) for a, b in near if near.likeness(a, b) >= _SIMILAR)
    return _joined([groups], alike)


def _by_column(flow: Flow, column: str) -> "Places":
    """Return the same number for rows with the same value; those without are each alone."""
    import numpy as np

    values: dict[bytes, int] = {}
    known = np.full(len(flow), -1, np.int64)
    for numbers, contents in flow.measure(
        lambda value, layout: value.get(column) if isinstance(value, dict) else None, "comparing"
    ):
        for number, content in zip(numbers, contents, strict=True):
            if content not in (None, "", []):
                known[number] = values.setdefault(orjson.dumps(content), len(values))
    found = known[flow.spread()]
    alone = found < 0
    found[alone] = np.arange(int(alone.sum())) + len(values)
    return found


def _joined(links: "list[Places]", pairs: Iterable[tuple[int, int]] = ()) -> "Places":
    """Return groups of rows that share a number in any of `links`, or that a pair joins."""
    import numpy as np

    parent = list(range(len(links[0])))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for link in links:
        _, first, which = np.unique(link, return_index=True, return_inverse=True)
        for row, other in enumerate(first[which].tolist()):
            parent[root(row)] = root(other)
    for a, b in pairs:
        parent[root(b)] = root(a)
    return np.unique([root(row) for row in range(len(parent))], return_inverse=True)[1]
