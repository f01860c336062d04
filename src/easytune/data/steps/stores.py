"""Where the rows of a pipeline lie while it works: versions, and a file for what has changed."""

import tempfile
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from easytune.data.stored import ID_BYTES, Batch
from easytune.data.versions.disk import room_for

if TYPE_CHECKING:
    import numpy as np

    from easytune.data.versions.rows import Rows

    Places = np.ndarray

_IN_MEMORY_BYTES = 16_000_000
CHUNK_ROWS = 5_000


class Cursor(Protocol):
    """Reads the rows of a store once, from its beginning to its end."""

    def take(self, places: "Places") -> Batch:
        """Return rows at rising places, none before the last one that was taken."""
        ...


class Store(Protocol):
    """Rows that can be read in their order."""

    def cursor(self) -> Cursor:
        """Begin to read."""
        ...

    def ids(self) -> "np.ndarray":
        """Return the ids in order (dtype `S16`)."""
        ...


class VersionStore:
    """The rows of a version. `prefix` goes before the names of its sources."""

    def __init__(self, rows: "Rows", prefix: str = "") -> None:
        self._rows, self._prefix = rows, prefix

    def cursor(self) -> Cursor:
        """Begin to read."""
        return _VersionCursor(self._rows.batches(CHUNK_ROWS), self._prefix)

    def ids(self) -> "np.ndarray":
        """Return the ids in order."""
        return self._rows.ids()


class _VersionCursor:
    def __init__(self, batches: Iterator[Batch], prefix: str) -> None:
        self._batches, self._prefix = batches, prefix
        self._batch, self._first = Batch(), 0

    def take(self, places: "Places") -> Batch:
        found, done = Batch(), 0
        while done < len(places):
            end = self._first + len(self._batch)
            until = int(places.searchsorted(end))
            self._copy((places[done:until] - self._first).tolist(), found)
            done = until
            if done < len(places):
                self._first, self._batch = end, next(self._batches)
        return found

    def _copy(self, rows: list[int], found: Batch) -> None:
        batch, first = self._batch, len(found)
        found.texts += [batch.texts[row] for row in rows]
        found.ids += [batch.ids[row] for row in rows]
        found.sources += [self._prefix + batch.sources[row] for row in rows]
        found.numbers += [batch.numbers[row] for row in rows]
        if batch.problems:
            known = ((place, batch.problems.get(row)) for place, row in enumerate(rows, first))
            found.problems |= {place: problem for place, problem in known if problem}


class Spool:
    """Rows that a pipeline has made, in a file without a name: it goes when the process does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # What is small stays in memory, as a preview does. Closed with the pipeline, by `close`.
        self._file: IO[bytes] = tempfile.SpooledTemporaryFile(  # noqa: SIM115
            _IN_MEMORY_BYTES, dir=str(folder) if folder.is_dir() else None
        )
        self._ends = array("q", [0])
        self._ids = bytearray()
        self._names: dict[str, int] = {}
        self._sources, self._numbers = array("i"), array("q")
        self._problems: dict[int, tuple[str, dict[str, Any]]] = {}
        self._copied: set[int] = set()

    def __len__(self) -> int:
        return len(self._numbers)

    def close(self) -> None:
        """Give the room back."""
        self._file.close()

    def add(self, text: str, identity: bytes, source: str, number: int) -> int:
        """Append a row and return its place. Raises StorageFull."""
        content = text.encode("utf-8", "surrogatepass")
        with room_for(self._folder):
            self._file.write(content)
        self._ends.append(self._ends[-1] + len(content))
        self._ids += identity
        self._sources.append(self._names.setdefault(source, len(self._names)))
        self._numbers.append(number)
        return len(self) - 1

    def copy(self, batch: Batch, row: int) -> int:
        """Append a row of a batch as it is, with its problem, and return its place."""
        place = self.add(batch.texts[row], batch.ids[row], batch.sources[row], batch.numbers[row])
        self._copied.add(place)
        if row in batch.problems:
            self._problems[place] = batch.problems[row]
        return place

    def is_copy(self, place: int) -> bool:
        """Tell whether a row is as it was in the version it comes from."""
        return place in self._copied

    def cursor(self) -> "Spool":
        """Begin to read; places may come in any order."""
        return self

    def take(self, places: "Places") -> Batch:
        """Return the rows at these places."""
        found, names = Batch(), list(self._names)
        for row, place in enumerate(places.tolist()):
            found.texts.append(self._text(place))
            found.ids.append(bytes(self._ids[place * ID_BYTES : (place + 1) * ID_BYTES]))
            found.sources.append(names[self._sources[place]])
            found.numbers.append(self._numbers[place])
            if place in self._problems:
                found.problems[row] = self._problems[place]
        # Where the next row is added.
        self._file.seek(self._ends[-1])
        return found

    def ids(self) -> "np.ndarray":
        """Return the ids in order."""
        import numpy as np

        return np.frombuffer(bytes(self._ids), "S16")

    def _text(self, place: int) -> str:
        first, end = self._ends[place], self._ends[place + 1]
        self._file.seek(first)
        return self._file.read(end - first).decode("utf-8", "surrogatepass")


def put(into: Batch, at: int, found: Batch, row: int) -> None:
    """Put a row of `found` at a place of a batch that is long enough already."""
    into.texts[at], into.ids[at] = found.texts[row], found.ids[row]
    into.sources[at], into.numbers[at] = found.sources[row], found.numbers[row]
    if row in found.problems:
        into.problems[at] = found.problems[row]
