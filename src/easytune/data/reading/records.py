"""What readers hand on: rows with their numbers, and in their place those that are unreadable."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from easytune.errors import FileUnreadable

LONGEST = 64 * 2**20
"""Bytes of the longest row that is read whole."""

ROWS_AT_ONCE = 1_000
_SHOWN = 2_000


@dataclass(slots=True)
class Unparsed:
    """A row that could not be read: the code of what is wrong, as in `easytune.data.rows`.

    `text` is the row as it stands in the file, as far as it can be shown.
    """

    code: str
    text: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Chunk:
    """Some rows in their order: numbers for people, and values or `Unparsed`."""

    numbers: list[int] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.values)


class TooLong(bytes):
    """The beginning of a line or block that is too long to be read."""


def chunks(rows: Iterable[tuple[int, Any]], size: int = ROWS_AT_ONCE) -> Iterator[Chunk]:
    """Yield rows gathered into chunks; those before a break in the file come, too."""
    chunk = Chunk()
    try:
        for number, value in rows:
            chunk.numbers.append(number)
            chunk.values.append(value)
            if len(chunk.values) >= size:
                yield chunk
                chunk = Chunk()
    except FileUnreadable:
        if chunk.values:
            yield chunk
        raise
    if chunk.values:
        yield chunk


def shown(line: bytes) -> str:
    """Return bytes as a text that can be kept and shown, whatever is wrong with them."""
    return line.decode("utf-8", errors="replace")


def too_long(beginning: bytes | str) -> Unparsed:
    """Return what stands for a row that is longer than `LONGEST`: its first 2,000 characters."""
    text = shown(beginning[: 4 * _SHOWN]) if isinstance(beginning, bytes) else beginning
    return Unparsed("too_long", mended(text[:_SHOWN]), {"megabytes": LONGEST >> 20})


def mended(text: str) -> str:
    """Return a text with a mark in the place of each damaged character, so that it can be kept."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
