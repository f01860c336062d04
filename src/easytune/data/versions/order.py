"""The order of a version: which rows of which segments, one after the other.

Kept as runs of neighbouring rows, so that a million imported rows are a handful of entries.
numpy and pyarrow are imported where they are needed: whoever lists versions needs neither.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Places:
    """Where each of some rows lies, as columns of the same length.

    `segment` and `source` are places in the lists of the `Order` they belong to, `row` counts in
    the segment, `number` is the row's number in its source.
    """

    segment: "np.ndarray"
    row: "np.ndarray"
    held_out: "np.ndarray"
    source: "np.ndarray"
    number: "np.ndarray"

    def __len__(self) -> int:
        return len(self.row)

    def take(self, positions: "np.ndarray") -> "Places":
        """Return the places at these positions."""
        return Places(*(column[positions] for column in self._columns()))

    def _columns(self) -> "tuple[np.ndarray, ...]":
        return (self.segment, self.row, self.held_out, self.source, self.number)

    @staticmethod
    def joined(parts: "Sequence[Places]") -> "Places":
        """Return all parts one after the other; at least one is needed."""
        import numpy as np

        columns = zip(*(part._columns() for part in parts), strict=True)
        return Places(*(np.concatenate(column) for column in columns))


@dataclass(frozen=True)
class Order:
    """Runs of rows: `count` rows of a segment from row `first`, and what they have in common.

    `number` is that of the run's first row; the others follow. Rows of number 0 have none.
    """

    segments: tuple[str, ...]
    sources: tuple[str, ...]
    segment: "np.ndarray"
    first: "np.ndarray"
    count: "np.ndarray"
    held_out: "np.ndarray"
    source: "np.ndarray"
    number: "np.ndarray"

    @classmethod
    def of(cls, places: Places, segments: list[str], sources: list[str]) -> "Order":
        """Return rows as runs. Segments and sources that no row has are left out."""
        import numpy as np

        used_segments, segment = np.unique(places.segment, return_inverse=True)
        used_sources, source = np.unique(places.source, return_inverse=True)
        starts = np.flatnonzero(_breaks(places))
        return cls(
            tuple(segments[place] for place in used_segments.tolist()),
            tuple(sources[place] for place in used_sources.tolist()),
            segment[starts].astype(np.int32),
            places.row[starts].astype(np.int64),
            np.diff(np.append(starts, len(places))).astype(np.int64),
            places.held_out[starts].astype(bool),
            source[starts].astype(np.int32),
            places.number[starts].astype(np.int64),
        )

    @classmethod
    def read(cls, path: Path) -> "Order":
        """Return an order as `write` wrote it. Raises OSError, pyarrow.ArrowInvalid."""
        import pyarrow.parquet as parquet

        # `read_table` would load Arrow's datasets, which nobody here needs.
        with parquet.ParquetFile(path) as file:
            table = file.read()
        segments, segment = _names(table["segment"])
        sources, source = _names(table["source"])
        first, count, held_out, number = (
            table[name].to_numpy() for name in ("first", "count", "held_out", "number")
        )
        return cls(segments, sources, segment, first, count, held_out, source, number)

    def write(self, path: Path) -> None:
        """Write the order as Parquet."""
        import pyarrow as pa
        import pyarrow.parquet as parquet

        def named(places: "np.ndarray", names: tuple[str, ...]) -> pa.DictionaryArray:
            return pa.DictionaryArray.from_arrays(places, pa.array(names, pa.string()))

        columns = {
            "segment": named(self.segment, self.segments),
            "first": self.first,
            "count": self.count,
            "held_out": self.held_out,
            "source": named(self.source, self.sources),
            "number": self.number,
        }
        parquet.write_table(pa.table(columns), path, compression="zstd")

    def __len__(self) -> int:
        return int(self.count.sum())

    def places(self) -> Places:
        """Return where every row lies, in order."""
        import numpy as np

        return self._expand(np.arange(len(self.count)), np.zeros(1, np.int64), self.count)

    def span(self, first: int, count: int) -> Places:
        """Return where `count` rows from position `first` lie, without expanding all others."""
        import numpy as np

        ends = np.cumsum(self.count)
        last = min(first + count, int(ends[-1]) if len(ends) else 0)
        if last <= first:
            return self._expand(np.arange(0), np.zeros(0, np.int64), np.zeros(0, np.int64))
        runs = np.arange(np.searchsorted(ends, first, "right"), np.searchsorted(ends, last) + 1)
        starts = ends[runs] - self.count[runs]
        skipped = np.maximum(first - starts, 0)
        taken = np.minimum(last - starts, self.count[runs]) - skipped
        return self._expand(runs, skipped, taken)

    def at(self, positions: "np.ndarray") -> Places:
        """Return where the rows at these positions lie."""
        import numpy as np

        ends = np.cumsum(self.count)
        runs = np.searchsorted(ends, positions, "right")
        within = positions - (ends[runs] - self.count[runs])
        return self._rows(runs, within)

    def _expand(self, runs: "np.ndarray", skipped: Any, taken: "np.ndarray") -> Places:
        import numpy as np

        total = int(taken.sum())
        starts = np.cumsum(taken) - taken
        within = np.arange(total) - np.repeat(starts - skipped, taken)
        return self._rows(np.repeat(runs, taken), within)

    def _rows(self, runs: "np.ndarray", within: "np.ndarray") -> Places:
        import numpy as np

        number = self.number[runs]
        return Places(
            self.segment[runs],
            self.first[runs] + within,
            self.held_out[runs],
            self.source[runs],
            np.where(number > 0, number + within, 0),
        )


def _breaks(places: Places) -> "np.ndarray":
    """Return for each row whether a run begins there."""
    import numpy as np

    new = np.ones(len(places), bool)
    numbered = (places.number[:-1] > 0) & (np.diff(places.number) == 1)
    joined = numbered & (np.diff(places.row) == 1)
    for column in (places.segment, places.source, places.held_out):
        joined &= column[1:] == column[:-1]
    new[1:] = ~joined
    return new


def _names(column: Any) -> "tuple[tuple[str, ...], np.ndarray]":
    encoded = column.combine_chunks().dictionary_encode()
    return tuple(encoded.dictionary.to_pylist()), encoded.indices.to_numpy()
