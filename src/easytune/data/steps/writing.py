"""Putting what comes out of a pipeline into a draft; what is there already is not stored again."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from easytune.data import formats
from easytune.data.rows import Problem
from easytune.data.steps.flow import PARENT, SPOOL, Flow, split_place
from easytune.data.steps.stores import CHUNK_ROWS, Cursor, put
from easytune.data.stored import Batch, parse

if TYPE_CHECKING:
    import numpy as np

    from easytune.data.versions.draft import Draft
    from easytune.data.versions.rows import Rows

    Places = np.ndarray

# Each call to the draft has a price: where runs are short, it may find known rows by their id.
_RUNS_PER_CHUNK = 40


def write(flow: Flow, rows: "Rows", draft: "Draft") -> None:
    """Append all rows of a flow to a draft, and tell it how their files are understood."""
    import numpy as np

    draft.layouts = dict(flow.layouts)
    stores, _ = split_place(flow.places)
    keepable = _continues(rows, draft)
    if not (keepable and (stores == PARENT).all()):
        _make_readable(flow)
        stores, _ = split_place(flow.places)
    writer = _Writer(flow, draft)
    for first in range(0, len(flow), CHUNK_ROWS):
        chunk = np.arange(first, min(first + CHUNK_ROWS, len(flow)))
        runs = _runs(flow, chunk)
        own = (stores[chunk] == PARENT).all()
        if keepable and (own or len(runs) <= _RUNS_PER_CHUNK):
            for run in runs:
                writer.keep_or_add(run)
        else:
            writer.add(chunk)
        flow.progress("write", int(chunk[-1]) + 1, len(flow))


def _continues(rows: "Rows", draft: "Draft") -> bool:
    """Tell whether the draft is of the dataset and version that the rows come from."""
    parent = draft.parent
    same = draft.folder.path.name == rows.facts.dataset
    return parent is not None and same and parent.number == rows.facts.number


def _make_readable(flow: Flow) -> None:
    """Copy what lies in a version in another order than it is needed in."""
    import numpy as np

    stores, _ = split_place(flow.places)
    for store in np.unique(stores).tolist():
        mine = flow.places[stores == store]
        if store != SPOOL and (mine[1:] < mine[:-1]).any():
            flow.copy_to_spool(store)


def _runs(flow: Flow, chunk: "Places") -> "list[Places]":
    """Divide rows where the next one does not follow in its version, or on its side."""
    import numpy as np

    places, aside = flow.places[chunk], flow.held_out[chunk]
    stores, _ = split_place(places)
    follows = (np.diff(places) == 1) & (stores[1:] == PARENT)
    both_new = (stores[1:] != PARENT) & (stores[:-1] != PARENT)
    same = (follows & (aside[1:] == aside[:-1]) & (stores[:-1] == PARENT)) | both_new
    return np.split(chunk, np.flatnonzero(~same) + 1)


class _Writer:
    """Reads rows in the order of the flow and hands them to the draft."""

    def __init__(self, flow: Flow, draft: "Draft") -> None:
        self._flow, self._draft = flow, draft
        self._cursors: dict[int, Cursor] = {}

    def keep_or_add(self, run: "Places") -> None:
        """Append rows that follow each other in the parent, or that are all new."""
        stores, places = split_place(self._flow.places[run[:1]])
        if stores[0] == PARENT:
            aside = bool(self._flow.held_out[run[0]])
            self._draft.keep(int(places[0]), len(run), aside)
        else:
            self.add(run)

    def add(self, numbers: "Places") -> None:
        """Append rows with their texts."""
        self._draft.add(self._batch(numbers))

    def _batch(self, numbers: "Places") -> Batch:
        import numpy as np

        count = len(numbers)
        batch = Batch([""] * count, [b""] * count, [""] * count, [0] * count)
        batch.held_out = self._flow.held_out[numbers].tolist()
        stores, places = split_place(self._flow.places[numbers])
        for store in np.unique(stores).tolist():
            at = np.flatnonzero(stores == store)
            # A row may be there several times; the cursor gives each once.
            different, which = np.unique(places[at], return_inverse=True)
            found = self._cursor(store).take(different)
            if store == SPOOL:
                self._check(found, different)
            for each, place in zip(which.tolist(), at.tolist(), strict=True):
                put(batch, place, found, each)
        return batch

    def _cursor(self, store: int) -> Cursor:
        if store not in self._cursors:
            self._cursors[store] = self._flow.stores[store].cursor()
        return self._cursors[store]

    def _check(self, batch: Batch, places: "Places") -> None:
        """Note which rows cannot be used as they have become."""
        for row, problem in self._problems(batch, places):
            batch.problems[row] = problem.code, problem.values

    def _problems(self, batch: Batch, places: "Places") -> Iterator[tuple[int, Problem]]:
        for row, place in enumerate(places.tolist()):
            layout = self._flow.layout(batch.sources[row])
            if layout.format is None or self._flow.spool.is_copy(place):
                continue
            source, number = batch.sources[row], batch.numbers[row]
            found = formats.convert(parse(batch.texts[row]), number, source, layout)
            if isinstance(found, Problem):
                yield row, found
