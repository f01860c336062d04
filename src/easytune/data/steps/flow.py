"""The rows of a pipeline between two steps: which ones, in which order, on which side.

Texts stay where they are: a step that chooses or orders rows moves numbers only. A step that
changes rows reads them once in the order of the disk and writes down those that it changed.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from easytune.data.formats import Layout
from easytune.data.progress import Progress
from easytune.data.steps import columns
from easytune.data.steps.step import Transform
from easytune.data.steps.stores import CHUNK_ROWS, Spool, Store, VersionStore
from easytune.data.stored import Batch, parse, row_id, row_text

if TYPE_CHECKING:
    import numpy as np

    from easytune.data.versions.library import Library
    from easytune.data.versions.rows import Rows

    Places = np.ndarray

Found = TypeVar("Found")
PARENT, SPOOL = 0, 1
_SHIFT = 40
_TELL_ROWS = 500
_SAMPLED_ROWS = 50


@dataclass
class Work:
    """One row step while rows go through it: what it does, how its files are understood."""

    name: str
    transform: Transform
    layouts: dict[str, Layout]
    rows_in: int = 0
    rows_out: int = 0
    changed: int = 0
    dropped: int = 0


class Flow:
    """Rows between two steps, as arrays: `places` (store and row there), `held_out`, `origins`.

    `origins` is the row of the version that each comes from, -1 for those of other datasets.
    `unusable` marks rows with a problem, which no step touches.
    """

    def __init__(
        self, rows: "Rows", library: "Library", progress: Progress, seed: int, first: int | None
    ) -> None:
        """Begin with all rows of a version, or with its `first` ones only."""
        import numpy as np

        self.library, self.progress, self.seed = library, progress, seed
        self.total = len(rows)
        count = len(rows) if first is None else min(first, len(rows))
        self.share = count / max(len(rows), 1)
        self.spool = Spool(library.folder)
        self.stores: list[Store] = [VersionStore(rows), self.spool]
        self.layouts: dict[str, Layout] = dict(rows.facts.layouts)
        self.places = np.arange(count, dtype=np.int64)
        self.origins = self.places.copy()
        self.held_out = rows.held_out()[:count].copy()
        self.unusable = rows.unusable()[:count].copy()
        self.lost: dict[int, str] = {}
        self._samples: dict[str, list[Any]] = {}

    def __len__(self) -> int:
        return len(self.places)

    @property
    def usable(self) -> "Places":
        """Return which rows steps may touch, as numbers in the flow's order."""
        import numpy as np

        return np.flatnonzero(~self.unusable)

    def close(self) -> None:
        """Give the room of changed rows back."""
        self.spool.close()

    # --- choosing -----------------------------------------------------------

    def choose(self, rows: "Places", step: str = "") -> None:
        """Go on with these rows in this order; a row may be there several times."""
        import numpy as np

        if step and self.is_small:
            gone = np.setdiff1d(self.origins, self.origins[rows])
            self.lost |= dict.fromkeys(gone.tolist(), step)
        for name in ("places", "origins", "held_out", "unusable"):
            setattr(self, name, getattr(self, name)[rows])

    def keep(self, rows: "Places", step: str) -> None:
        """Go on with these of the usable rows, in the order of the flow, and all unusable ones."""
        import numpy as np

        stays = self.unusable.copy()
        stays[rows] = True
        self.choose(np.flatnonzero(stays), step)

    def append(self, rows: "Rows", chosen: "Places", name: str) -> None:
        """Append rows of another version, which its sources' names are led by `name` to tell."""
        import numpy as np

        prefix = f"{name}/"
        self.layouts |= {prefix + source: one for source, one in rows.facts.layouts.items()}
        self.stores.append(VersionStore(rows, prefix))
        places = chosen.astype(np.int64) + ((len(self.stores) - 1) << _SHIFT)
        self.places = np.concatenate([self.places, places])
        self.origins = np.concatenate([self.origins, np.full(len(chosen), -1, np.int64)])
        self.held_out = np.concatenate([self.held_out, rows.held_out()[chosen]])
        self.unusable = np.concatenate([self.unusable, np.zeros(len(chosen), bool)])

    @property
    def is_small(self) -> bool:
        """Tell whether so few rows are looked at that each can be followed."""
        return len(self) <= CHUNK_ROWS

    # --- reading ------------------------------------------------------------

    def batches(self, rows: "Places | None" = None) -> "Iterator[tuple[Places, Batch]]":
        """Yield (numbers in the flow, their rows) in the order of the disk, each row once.

        A row that is there several times comes with the first of its numbers; see `spread`.
        `rows` chooses some.
        """
        import numpy as np

        numbers = self.usable if rows is None else rows
        places, first = np.unique(self.places[numbers], return_index=True)
        for store, reader in enumerate(self.stores):
            low, high = np.searchsorted(places, [store << _SHIFT, (store + 1) << _SHIFT])
            cursor = reader.cursor() if high > low else None
            for start in range(low, high, CHUNK_ROWS):
                end = min(start + CHUNK_ROWS, high)
                if cursor:
                    here = places[start:end] - (store << _SHIFT)
                    yield numbers[first[start:end]], cursor.take(here)

    def spread(self, rows: "Places | None" = None) -> "Places":
        """Return for each of these rows the number under which `batches` gives its content."""
        import numpy as np

        numbers = self.usable if rows is None else rows
        _, first, which = np.unique(self.places[numbers], return_index=True, return_inverse=True)
        return numbers[first[which]]

    def measure(
        self, take: Callable[[Any, Layout], Found], phase: str, rows: "Places | None" = None
    ) -> "Iterator[tuple[Sequence[int], list[Found]]]":
        """Yield (numbers in the flow, what `take` says of their content), as `batches` does."""
        done, total = 0, len(self.usable if rows is None else rows)
        for numbers, batch in self.batches(rows):
            found = []
            for text, source in zip(batch.texts, batch.sources, strict=True):
                found.append(take(parse(text), self.layout(source)))
                if len(found) % _TELL_ROWS == 0:
                    self.progress(phase, done + len(found), total)
            yield numbers.tolist(), found
            done += len(found)
            self.progress(phase, done, total)

    def ids(self) -> "np.ndarray":
        """Return the id of each row."""
        import numpy as np

        found = np.empty(len(self), "S16")
        held = self.places >> _SHIFT
        for store in np.unique(held).tolist():
            mine = held == store
            found[mine] = self.stores[store].ids()[self.places[mine] - (store << _SHIFT)]
        return found

    def layout(self, source: str) -> Layout:
        """Return how the rows of a file are understood."""
        return self.layouts.get(source) or Layout()

    # --- changing -----------------------------------------------------------

    def transform(self, works: list[Work], layouts: dict[str, Layout]) -> None:
        """Let all usable rows go through row steps, one after the other.

        `layouts` tells how files are understood afterwards.
        """
        import numpy as np

        numbers = self.usable
        often = Counter(self.spread().tolist()) if len(numbers) else Counter()
        made: dict[int, list[int]] = {}
        done = 0
        for some, batch in self.batches():
            for row, number in enumerate(some.tolist()):
                outcome = self._through(works, batch, row, number, often[number])
                if outcome is not None:
                    made[number] = outcome
                if row % _TELL_ROWS == 0:
                    self.progress("preprocess", done + row, len(often))
            done += len(some)
            self.progress("preprocess", done, len(often))
        self.layouts = {
            source: columns.understood(layout, self._samples.pop(source, []))
            for source, layout in layouts.items()
        }
        same = np.arange(len(self))
        same[numbers] = self.spread()
        self._replace(same, made)

    def copy_to_spool(self, store: int) -> None:
        """Copy the rows that lie in a store, so that they can be read in any order."""
        import numpy as np

        mine = np.flatnonzero(self.places >> _SHIFT == store)
        copies = {
            number: self.spool.copy(batch, row)
            for some, batch in self.batches(mine)
            for row, number in enumerate(some.tolist())
        }
        spread = [copies[number] for number in self.spread(mine).tolist()]
        self.places[mine] = np.array(spread, np.int64) + (SPOOL << _SHIFT)

    def _through(
        self, works: list[Work], batch: Batch, row: int, number: int, often: int
    ) -> list[int] | None:
        """Return the new places of one row; None when it is not changed.

        `often` is how many times the row is there, for the counts.
        """
        source, before = batch.sources[row], parse(batch.texts[row])
        values = [before]
        for work in works:
            layout = work.layouts.get(source) or Layout()
            values, earlier = [], values
            for value in earlier:
                became = work.transform(value, layout)
                work.rows_in += often
                work.rows_out += often * len(became)
                work.dropped += often * (not became)
                work.changed += often * (bool(became) and became != [value])
                values += became
            if not values:
                self._lose(number, work.name)
                return []
        if len(values) == 1 and values[0] is before:
            return None
        sample = self._samples.setdefault(source, [])
        if len(sample) < _SAMPLED_ROWS:
            sample += values
        return [self._added(value, batch, row) for value in values]

    def _added(self, value: Any, batch: Batch, row: int) -> int:
        place = self.spool.add(
            row_text(value), row_id(value), batch.sources[row], batch.numbers[row]
        )
        return place + (SPOOL << _SHIFT)

    def _lose(self, number: int, step: str) -> None:
        if self.is_small:
            self.lost[int(self.origins[number])] = step

    def _replace(self, same: "Places", made: dict[int, list[int]]) -> None:
        """Put the new places of rows where the old ones were; `same` tells equal rows."""
        import numpy as np

        if not made:
            return
        counts = np.ones(len(self), np.int64)
        for number, places in made.items():
            counts[number] = len(places)
        counts = counts[same]
        rows = np.repeat(np.arange(len(self)), counts)
        part = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        new = self.places[rows]
        changed = np.zeros(len(self), bool)
        changed[list(made)] = True
        for at in np.flatnonzero(changed[same[rows]]).tolist():
            new[at] = made[int(same[rows[at]])][int(part[at])]
        self.choose(rows)
        self.places = new


def split_place(places: "Places") -> "tuple[Places, Places]":
    """Return the store and the row there of each place."""
    return places >> _SHIFT, places & ((1 << _SHIFT) - 1)
