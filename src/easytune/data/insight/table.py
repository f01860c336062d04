"""The facts of a version's rows as columns, in the order of the version."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import orjson

from easytune.data.versions.rows import Rows

if TYPE_CHECKING:
    import pyarrow as pa

# Fields whose lack is a lack of a question; where another one lacks, it is the answer.
_ASKED = frozenset({"instruction", "input", "prompt", "question", "query", "system", "text"})
_EMPTY = ("empty", "null", "missing")


class FactTable:
    """Columns of facts and problems, each read from the files when it is asked for.

    A column of a million numbers is 8 MB; texts are only counted, never held for each row. The
    facts of all segments must be there: see `facts.ensure`.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._segments, self._places = rows.locations()

    @cached_property
    def usable(self) -> np.ndarray:
        """Tell of each row whether it can be used (bool)."""
        found = np.zeros(len(self._rows), dtype=bool)
        for positions, codes in self._codes():
            found[positions] = _is_among(codes, ("",))
        return found

    def numbers(self, name: str) -> np.ndarray:
        """Return a column of numbers (int64)."""
        found = np.zeros(len(self._rows), dtype=np.int64)
        for positions, column in self._facts(name):
            found[positions] = column.to_numpy(zero_copy_only=False)
        return found

    def words(self, name: str) -> dict[str, int]:
        """Return in how many usable rows each text of a column is, the most frequent first."""
        import pyarrow as pa

        counts: Counter[str] = Counter()
        for positions, column in self._facts(name):
            kept = column.filter(pa.array(self.usable[positions]))
            counts.update(_counted(kept.flatten() if pa.types.is_list(kept.type) else kept))
        return dict(counts.most_common())

    def is_one_of(self, name: str, words: Sequence[str]) -> np.ndarray:
        """Tell of each row whether a column of texts is one of these (bool)."""
        found = np.zeros(len(self._rows), dtype=bool)
        for positions, column in self._facts(name):
            found[positions] = _is_among(column, words)
        return found

    def problems(self) -> dict[str, int]:
        """Return how many rows cannot be used, by the code of the reason, most frequent first."""
        counts: Counter[str] = Counter()
        for _, codes in self._codes():
            counts.update(_counted(codes))
        del counts[""]
        return dict(counts.most_common())

    def without_answer(self) -> np.ndarray:
        """Return the positions of rows left out because an answer or a turn is empty or missing."""
        found = [
            position
            for positions, codes, values in self._reasons()
            for position, code, value in zip(positions, codes, values, strict=True)
            if code == "no_answer" or (code in _EMPTY and _lacks_answer(value))
        ]
        return np.sort(np.array(found, dtype=np.int64))

    def _reasons(self) -> Iterator[tuple[np.ndarray, list[str], list[str | None]]]:
        """Yield positions, codes and values of the rows that lack something."""
        import pyarrow as pa

        for name, positions, places in self._by_segment():
            columns = _read(self._rows.segment_path(name), ["problem", "values"])
            codes = columns["problem"].combine_chunks().cast(pa.string())
            taken = _is_among(codes, (*_EMPTY, "no_answer"))[places]
            chosen = columns.take(pa.array(places[taken]))
            problems, values = (chosen[column].to_pylist() for column in ("problem", "values"))
            yield positions[taken], problems, values

    def _facts(self, column: str) -> "Iterator[tuple[np.ndarray, pa.Array]]":
        """Yield a column of facts in parts, with the positions each stands for."""
        import pyarrow as pa

        for name, positions, places in self._by_segment():
            whole = _read(self._rows.facts_path(name), [column])[column]
            yield positions, whole.combine_chunks().take(pa.array(places))

    def _codes(self) -> "Iterator[tuple[np.ndarray, pa.Array]]":
        """Yield the codes of problems likewise; a row that can be used has an empty one."""
        import pyarrow as pa

        for name, positions, places in self._by_segment():
            whole = _read(self._rows.segment_path(name), ["problem"])["problem"]
            yield positions, whole.combine_chunks().take(pa.array(places)).cast(pa.string())

    def _by_segment(self) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
        """Yield each segment with the positions of its rows and their places in its file."""
        for place, name in enumerate(self._rows.segments):
            positions = np.flatnonzero(self._segments == place)
            yield name, positions, self._places[positions]


def _read(path: Path, columns: list[str]) -> "pa.Table":
    import pyarrow.parquet as parquet

    # `read_table` would first import what reads folders of files, for a second.
    with parquet.ParquetFile(path, memory_map=True) as file:
        return file.read(columns)


def _counted(texts: Any) -> dict[str, int]:
    return {entry["values"]: entry["counts"] for entry in texts.value_counts().to_pylist()}


def _is_among(texts: Any, words: Sequence[str]) -> np.ndarray:
    """Tell of each text of a column whether it is one of the words (bool)."""
    encoded = texts.dictionary_encode()
    known = np.array([word in words for word in encoded.dictionary.to_pylist()], dtype=bool)
    return known[encoded.indices.to_numpy()]


def _lacks_answer(values: str | None) -> bool:
    field = orjson.loads(values or "{}").get("field", "")
    return field not in _ASKED
