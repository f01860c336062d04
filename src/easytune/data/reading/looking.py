"""A look at the first rows of a file, from which its format is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from easytune.data import formats
from easytune.data.formats import Layout
from easytune.data.reading.archives import Shelf
from easytune.data.reading.kinds import read
from easytune.data.reading.places import Place
from easytune.data.reading.records import LONGEST, Unparsed
from easytune.data.reading.streams import Opened
from easytune.data.rows import Problem
from easytune.errors import ColumnMissing, FileEmpty, FileUnreadable

_ROWS = 200
_BYTES = 8 << 20
# Only where not even one row fits into less.
_MOST_BYTES = 2 * LONGEST


@dataclass(frozen=True)
class Look:
    """What the first rows of a file tell: they themselves, the columns, and the layout.

    `bytes` is the size of the file on disk; of an archive's member, unpacked.
    """

    place: Place
    bytes: int
    encoding: str
    rows: tuple[tuple[int, Any], ...]
    columns: tuple[str, ...]
    layout: Layout | None

    @property
    def values(self) -> list[Any]:
        """Return the rows that could be read."""
        return [value for _, value in self.rows if not isinstance(value, Unparsed)]

    @property
    def problems(self) -> int:
        """Return how many of the rows cannot be used."""
        broken = len(self.rows) - len(self.values)
        if self.layout is None:
            return broken
        layout = self.layout
        found = (formats.convert(value, 0, "", layout) for value in self.values)
        return broken + sum(isinstance(each, Problem) for each in found)


def look(place: Place, shelf: Shelf, columns: Mapping[str, str] | None = None) -> Look:
    """Return what the first 200 rows of a file tell; at most about 8 MB are read.

    `columns` maps by hand. Raises FileMissing, FileEmpty, FileUnreadable, ColumnMissing.
    """
    rows: list[tuple[int, Any]] = []
    for at_most in (_BYTES, _MOST_BYTES):
        with Opened(place, shelf, at_most) as opened:
            rows = _first_rows(opened)
        if not opened.cut or any(not isinstance(value, Unparsed) for _, value in rows):
            break
    if not rows:
        raise FileEmpty(path=place.name)
    if all(isinstance(value, Unparsed) for _, value in rows):
        number, first = rows[0]
        reason = f"@data.reason.{first.code} (@data.row {number})"
        raise FileUnreadable(place.name, number, reason)
    found = Look(place, opened.total, opened.encoding, tuple(rows), (), None)
    present = tuple(formats.columns_of(found.values))
    return replace(found, columns=present, layout=_layout(place, found.values, present, columns))


def _first_rows(opened: Opened) -> list[tuple[int, Any]]:
    rows: list[tuple[int, Any]] = []
    try:
        for chunk in read(opened):
            rows += zip(chunk.numbers, chunk.values, strict=True)
            if len(rows) > _ROWS:
                break
    except FileUnreadable:
        if not opened.cut:
            raise
    # Where reading ended early, the last row did so, too.
    return rows[:-1][:_ROWS] if opened.cut and len(rows) > 1 else rows[:_ROWS]


def _layout(
    place: Place, values: Sequence[Any], present: tuple[str, ...], columns: Mapping[str, str] | None
) -> Layout | None:
    own = formats.recognise(values)
    if not columns or (own and not set(columns.values()) & set(present)):
        return Layout(own) if own else None
    for column in columns.values():
        if present and column not in present:
            raise ColumnMissing(path=place.name, column=column, columns=", ".join(present))
    return formats.mapped_layout(columns)
