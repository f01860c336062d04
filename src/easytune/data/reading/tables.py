"""CSV and TSV. A record that is broken costs its own line, not those after it."""

import csv
import io
from codecs import getincrementaldecoder
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

from easytune.data.decoding import unreadable
from easytune.data.reading.records import LONGEST, Chunk, Unparsed, chunks, mended, too_long
from easytune.data.reading.streams import Opened
from easytune.errors import FileEmpty, FileUnreadable


def read_csv(opened: Opened) -> Iterator[Chunk]:
    """Yield a row per record below the header; commas, semicolons or tabs stand between cells."""
    lines = _Lines(opened.utf8())
    header = lines.first()
    return _rows(opened.name, lines, max(",;\t", key=header.count))


def read_tsv(opened: Opened) -> Iterator[Chunk]:
    """Yield a row per record below the header; tabs stand between cells."""
    return _rows(opened.name, _Lines(opened.utf8()), "\t")


def header_names(cells: Iterable[str], name: str) -> list[str]:
    """Return the columns that a header names; one without a name is called by its place.

    Raises FileUnreadable when a name stands there twice.
    """
    names = [cell.strip() or f"column_{place}" for place, cell in enumerate(cells, start=1)]
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        listed = ", ".join(twice)
        raise FileUnreadable(name, 1, f"@data.unreadable.named_twice: {listed} (@data.line 1)")
    return names


class _RecordTooLong(Exception):
    """A line, or a cell that a quotation mark opens, goes on for longer than `LONGEST`."""


class _Lines:
    """The lines of a text, which a record that went wrong can give back."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._lines = _split(blocks)
        self._again: deque[str] = deque()
        self.taken: list[str] = []
        self._size = 0

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.popleft() if self._again else next(self._lines)
        self.taken.append(line)
        self._size += len(line)
        if self._size > LONGEST:
            raise _RecordTooLong
        return line

    def first(self) -> str:
        """Return the first line and leave it there."""
        line = next(self._lines, "")
        self._again.append(line)
        return line

    def next_record(self) -> None:
        """Forget what the record before was made of."""
        self.taken = []
        self._size = 0

    def give_back(self) -> None:
        """Let the next record begin one line after this one began."""
        self._again.extendleft(reversed(self.taken[1:]))


def _split(blocks: Iterable[bytes]) -> Iterator[str]:
    """Yield lines with their ends, whichever of the three; of one too long, its beginning."""
    decoder = getincrementaldecoder("utf-8")("surrogateescape")
    left = ""
    skipping = False
    for block in blocks:
        text = decoder.decode(block)
        if skipping:
            _, ended, text = text.partition("\n")
            skipping = not ended
        # A block may end between the two characters of a Windows line end.
        lines = list(io.StringIO(left + text, newline=""))
        left = lines.pop() if lines else ""
        yield from lines
        if len(left) > LONGEST:
            yield left
            left, skipping = "", True
    yield from io.StringIO(left + decoder.decode(b"", final=True), newline="")


def _rows(name: str, lines: _Lines, delimiter: str) -> Iterator[Chunk]:
    csv.field_size_limit(LONGEST)
    records = _records(lines, delimiter)
    header = next(records, None)
    if header is None:
        raise FileEmpty(path=name)
    if isinstance(header, Unparsed):
        raise unreadable(name, "header", 1)
    names = header_names(header, name)
    return chunks(enumerate((_row(names, cells, lines) for cells in records), start=1))


def _row(names: list[str], cells: list[str] | Unparsed, lines: _Lines) -> Any:
    if isinstance(cells, Unparsed):
        return cells
    if len(cells) > len(names):
        values = {"cells": len(cells), "columns": len(names)}
        return Unparsed("too_many_cells", _text(lines.taken), values)
    return dict(zip(names, cells, strict=False))


def _records(lines: _Lines, delimiter: str) -> Iterator[list[str] | Unparsed]:
    """Yield the cells of each record that is not blank, or what is wrong with it."""
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        lines.next_record()
        try:
            cells = next(reader)
        except StopIteration:
            return
        except (csv.Error, _RecordTooLong) as problem:
            yield _wrong(lines, problem)
            lines.give_back()
            continue
        if cells:
            yield cells


def _wrong(lines: _Lines, problem: Exception) -> Unparsed:
    first = lines.taken[0]
    if len(first) > LONGEST or (len(lines.taken) == 1 and isinstance(problem, _RecordTooLong)):
        return too_long(first)
    never_closed = isinstance(problem, _RecordTooLong) or "end of data" in str(problem)
    return Unparsed("open_quote" if never_closed else "bad_quote", _text([first]))


def _text(lines: list[str]) -> str:
    return mended("".join(lines).rstrip("\r\n"))
