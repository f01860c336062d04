"""Taking a pipeline over a version: into a draft of a new one, or on its first rows to look at."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple

from easytune.data.progress import Progress, silent
from easytune.data.steps.catalogue import STEPS
from easytune.data.steps.flow import PARENT, Flow, Work, split_place
from easytune.data.steps.pipeline import Pipeline, StepSpec
from easytune.data.steps.step import StepCount
from easytune.data.steps.writing import write
from easytune.data.stored import StoredRow, parse
from easytune.dataset_errors import NothingLeft

if TYPE_CHECKING:
    import numpy as np

    from easytune.data.versions.draft import Draft
    from easytune.data.versions.library import Library
    from easytune.data.versions.rows import Rows

_LOOKED_AT = 2_000


class Pair(NamedTuple):
    """A row before and after a pipeline.

    `after` is None when a step dropped the row; `step` names that one, else it is empty. A row
    that was split stands in one pair for each of its parts.
    """

    before: StoredRow
    after: Any | None
    step: str


@dataclass(frozen=True)
class Previewed:
    """What a pipeline does to the beginning of a version.

    `counts` has an entry per step, over the `looked_at` first rows; the version has `rows`.
    """

    pairs: list[Pair]
    counts: list[StepCount]
    looked_at: int
    rows: int


def run(
    pipeline: Pipeline,
    rows: "Rows",
    library: "Library",
    draft: "Draft",
    progress: Progress = silent,
    seed: int = 42,
) -> list[StepCount]:
    """Take all steps over the rows of a version and put what comes out into a draft.

    The draft is not committed; its `layouts` are set. Rows that cannot be used pass untouched; so
    do those that no step changes, without being stored again. Rows of datasets that are mixed in
    come from `library`. Raises NothingLeft, KindsMixed, StorageFull, what `library` raises for a
    dataset, and TaskCancelled.
    """
    flow = Flow(rows, library, progress, seed, None)
    try:
        counts = list(_taken(pipeline, flow))
        write(flow, rows, draft)
    finally:
        flow.close()
    return counts


def preview(
    pipeline: Pipeline, rows: "Rows", library: "Library", limit: int = 200, seed: int = 42
) -> Previewed:
    """Return the first `limit` rows that would change or go, among the first 2,000 of a version.

    Rows of other datasets are not shown. Raises what `run` raises, but not NothingLeft.
    """
    flow = Flow(rows, library, silent, seed, _LOOKED_AT)
    try:
        looked_at = len(flow)
        counts = list(_taken(pipeline, flow, may_end=True))
        pairs = _pairs(flow, rows, looked_at, limit)
    finally:
        flow.close()
    return Previewed(pairs, counts, looked_at, len(rows))


def _taken(pipeline: Pipeline, flow: Flow, may_end: bool = False) -> Iterator[StepCount]:
    """Take the steps, row steps that follow each other in one pass over the rows.

    Raises NothingLeft after the step that dropped the last usable row, unless that may be.
    """
    for single, group in groupby(pipeline.steps, lambda spec: STEPS[spec.name].each is not None):
        specs = list(group)
        counts = _each(specs, flow) if single else _whole(specs, flow)
        for count in counts:
            if count.rows_in and not count.rows_out and not may_end:
                raise NothingLeft(count.rows_in, count.step)
            yield count


def _each(specs: list[StepSpec], flow: Flow) -> list[StepCount]:
    tallies = [Counter[str]() for _ in specs]
    works: list[Work] = []
    layouts = flow.layouts
    for spec, tally in zip(specs, tallies, strict=True):
        step = STEPS[spec.name]
        assert step.each is not None
        works.append(Work(spec.name, step.each(spec.options, tally), layouts))
        change = step.layout
        if change is not None:
            layouts = {source: change(spec.options, one) for source, one in layouts.items()}
    flow.transform(works, layouts)
    return [
        StepCount(w.name, w.rows_in, w.rows_out, w.changed, w.dropped, dict(sorted(tally.items())))
        for w, tally in zip(works, tallies, strict=True)
    ]


def _whole(specs: list[StepSpec], flow: Flow) -> Iterator[StepCount]:
    for spec in specs:
        step, tally = STEPS[spec.name], Counter[str]()
        assert step.whole is not None
        before, places, aside = len(flow.usable), flow.places, flow.held_out
        if before:
            step.whole(spec.options, flow, tally)
        after = len(flow.usable)
        moved = _moved(places, aside, flow) if before == after else 0
        dropped = max(before - after, 0)
        yield StepCount(spec.name, before, after, moved, dropped, dict(sorted(tally.items())))


def _moved(places: "np.ndarray", aside: "np.ndarray", flow: Flow) -> int:
    """Return how many rows have changed their place or their side."""
    return int(((places != flow.places) | (aside != flow.held_out)).sum())


def _pairs(flow: Flow, rows: "Rows", looked_at: int, limit: int) -> list[Pair]:
    """Return what became of the first rows that did not stay as they were."""
    stores, places = split_place(flow.places)
    became: dict[int, list[int]] = {}
    for number, origin in enumerate(flow.origins.tolist()):
        if origin >= 0 and stores[number] != PARENT:
            became.setdefault(origin, []).append(int(places[number]))
    there = set(flow.origins.tolist())
    chosen = [o for o in range(looked_at) if o in became or o not in there][:limit]
    pairs: list[Pair] = []
    for before in rows.at(chosen) if chosen else []:
        values = [_value(flow, place) for place in became.get(before.position, [])]
        pairs += [Pair(before, value, "") for value in values]
        if not values:
            pairs.append(Pair(before, None, flow.lost.get(before.position, "")))
    return pairs


def _value(flow: Flow, place: int) -> Any:
    import numpy as np

    return parse(flow.spool.take(np.array([place])).texts[0])
