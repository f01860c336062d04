"""The rows of one version, read a page or a batch at a time."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import orjson

from easytune.data.stored import Batch, StoredRow
from easytune.data.versions import finding
from easytune.data.versions.disk import room_for
from easytune.data.versions.folder import DatasetFolder
from easytune.data.versions.manifest import VersionFacts
from easytune.data.versions.order import Order, Places
from easytune.data.versions.search import Filter, Found
from easytune.data.versions.segments import Segments
from easytune.dataset_errors import RowUnknown, VersionDamaged

if TYPE_CHECKING:
    import numpy as np

Part = Literal["train", "held_out"]
_FEW = 20_000
_SCATTERED = 20


class Rows:
    """The rows of one version. Nothing is held in memory but their order."""

    def __init__(self, folder: DatasetFolder, facts: VersionFacts) -> None:
        self.facts = facts
        self._folder = folder
        self._segments = Segments(folder.rows)

    @property
    def path(self) -> Path:
        """Return the file that says what the version is made of."""
        return self._folder.manifest_path(self.facts.number)

    def __len__(self) -> int:
        return self.facts.rows

    def page(self, first: int, count: int) -> list[StoredRow]:
        """Return at most `count` rows from position `first`. Raises VersionDamaged."""
        first = max(0, first)
        places = self._order.span(first, max(0, count))
        return self._stored(range(first, first + len(places)), places)

    def row(self, position: int) -> StoredRow:
        """Return one row. Raises RowUnknown, VersionDamaged."""
        return self.at([position])[0]

    def at(self, positions: "Sequence[int] | np.ndarray") -> list[StoredRow]:
        """Return the rows at these positions, in the order asked for.

        Raises RowUnknown, VersionDamaged.
        """
        import numpy as np

        wanted = np.array(positions, np.int64)
        strange = wanted[(wanted < 0) | (wanted >= len(self))]
        if len(strange):
            raise RowUnknown(self.facts.dataset, int(strange[0]), len(self))
        return self._stored(wanted.tolist(), self._order.at(wanted))

    def batches(self, size: int = 10_000, part: Part | None = None) -> Iterator[Batch]:
        """Yield all rows in order, or those of one side of the split, `size` at a time.

        Raises VersionDamaged; StorageFull where the rows are shuffled, see `Segments.unpack`.
        """
        import numpy as np

        if len(self) > _FEW and len(self._order.count) > len(self) // _SCATTERED:
            for name in self._order.segments:
                with self._whole(self.segment_path(name)), room_for(self._folder.path):
                    self._segments.unpack(name)
        if part is None:
            for first in range(0, len(self), size):
                yield self._batch(self._order.span(first, size))
            return
        wanted = np.flatnonzero(self.held_out() == (part == "held_out"))
        for first in range(0, len(wanted), size):
            yield self._batch(self._order.at(wanted[first : first + size]))

    def batch_at(self, positions: "np.ndarray") -> Batch:
        """Return the rows at these positions as a batch. Raises VersionDamaged."""
        return self._batch(self._order.at(positions))

    def ids(self) -> "np.ndarray":
        """Return the ids in order: an array of 16-byte strings (dtype `S16`).

        numpy shows such a string without zeros at its end; `.tobytes()` has all 16 bytes of each.
        Raises VersionDamaged.
        """
        return self.spread(self._segments.ids, "S16")

    def held_out(self) -> "np.ndarray":
        """Return for each position whether the row is held out (bool)."""
        return self._order.places().held_out

    def unusable(self) -> "np.ndarray":
        """Return for each position whether the row cannot be used (bool). Raises VersionDamaged."""
        return self.spread(lambda name: self._segments.problems(name) != "", bool)

    def problem_codes(self, segment: str) -> "np.ndarray":
        """Return the problem's code of each row of a segment, "" for none."""
        return self._segments.problems(segment)

    def spread(self, read: "Callable[[str], np.ndarray]", kind: Any) -> "np.ndarray":
        """Return a column in the order of the version.

        `read` returns it for all rows of the segment it is given the name of; `kind` is what numpy
        calls its entries. Raises VersionDamaged.
        """
        import numpy as np

        found = np.empty(len(self), kind)
        segment, row = self.locations()
        for index, name in enumerate(self._order.segments):
            mine = np.flatnonzero(segment == index)
            with self._whole(self.segment_path(name)):
                found[mine] = read(name)[row[mine]]
        return found

    def locations(self) -> "tuple[np.ndarray, np.ndarray]":
        """Return for each position the place of its segment in `segments`, and its row there."""
        places = self._order.places()
        return places.segment, places.row

    def origins(self, positions: "np.ndarray") -> "tuple[tuple[str, ...], np.ndarray, np.ndarray]":
        """Return names of sources, and of each of these rows its place among them and its number.

        A row of number 0 was made in the app, and has no number.
        """
        places = self._order.at(positions)
        return self._order.sources, places.source, places.number

    @property
    def segments(self) -> tuple[str, ...]:
        """Return the names of the files that hold the rows."""
        return self._order.segments

    def segment_path(self, segment: str) -> Path:
        """Return the Parquet file of a segment."""
        return self._segments.path(segment)

    def facts_path(self, segment: str) -> Path:
        """Return where the facts of a segment are kept; the file may not be there."""
        return self._folder.facts / f"{segment}.parquet"

    def find(self, wanted: Filter, first: int, count: int) -> Found:
        """Return a page of the rows that fit.

        Quick but for roles, lengths and languages of rows whose facts nobody has found yet. Raises
        PatternInvalid for a broken pattern, VersionDamaged.
        """
        found = finding.positions(self, wanted)
        return Found(len(found), self.at(found[max(0, first) :][: max(0, count)]))

    @cached_property
    def _order(self) -> Order:
        path = self._folder.order_path(self.facts.order)
        with self._whole(path):
            return Order.read(path)

    def _stored(self, positions: Sequence[int], places: Places) -> list[StoredRow]:
        batch = self._batch(places)
        return [
            StoredRow(
                position,
                batch.texts[place],
                batch.sources[place],
                batch.numbers[place],
                *batch.problems.get(place, ("", {})),
                batch.held_out[place],
            )
            for place, position in enumerate(positions)
        ]

    def _batch(self, places: Places) -> Batch:
        import numpy as np

        sources = self._order.sources
        batch = Batch(
            texts=[""] * len(places),
            ids=[b""] * len(places),
            sources=[sources[place] for place in places.source.tolist()],
            numbers=places.number.tolist(),
            held_out=places.held_out.tolist(),
        )
        for index in np.unique(places.segment).tolist():
            mine = np.flatnonzero(places.segment == index)
            self._read(batch, self._order.segments[index], mine, places.row[mine])
        return batch

    def _read(self, batch: Batch, name: str, mine: "np.ndarray", rows: "np.ndarray") -> None:
        """Fill in what the segment has of these rows of the batch."""
        with self._whole(self.segment_path(name)):
            found = self._segments.take(name, rows)
        texts, ids = found["text"].to_pylist(), found["id"].to_pylist()
        if len(mine) == len(batch):
            batch.texts, batch.ids = texts, ids
        else:
            for place, text, identity in zip(mine.tolist(), texts, ids, strict=True):
                batch.texts[place], batch.ids[place] = text, identity
        codes = found["problem"]
        if found.num_rows and codes.dictionary.to_pylist() != [""]:
            values = found["values"].to_pylist()
            for place, code, facts in zip(mine.tolist(), codes.to_pylist(), values, strict=True):
                if code:
                    batch.problems[place] = code, orjson.loads(facts)

    @contextmanager
    def _whole(self, file: Path) -> Iterator[None]:
        """Say which version it is that has a file missing, or one that is none any more."""
        import pyarrow as pa

        try:
            yield
        except (FileNotFoundError, pa.ArrowInvalid) as error:
            facts = self.facts
            raise VersionDamaged(facts.dataset, facts.number, file.name) from error
