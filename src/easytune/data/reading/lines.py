"""Files that are read line by line: JSONL, and plain text in blocks."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from easytune.data.reading.records import (
    LONGEST,
    ROWS_AT_ONCE,
    Chunk,
    TooLong,
    Unparsed,
    chunks,
    shown,
    too_long,
)

_BLANK = object()
_KEPT = 10_000


def split(blocks: Iterable[bytes], longest: int = LONGEST) -> Iterator[list[bytes]]:
    """Yield the lines of a file, some at a time, without their ends; an overlong one is `TooLong`.

    Only U+000A ends a line: U+2028 and others are ordinary characters within JSON strings.
    """
    parts: list[bytes] = []
    size = 0
    for block in blocks:
        lines = block.split(b"\n")
        parts.append(lines[0] if size <= longest else b"")
        size += len(lines[0])
        if size > longest and not isinstance(parts[0], TooLong):
            parts = [TooLong(b"".join(parts)[:_KEPT])]
        if len(lines) > 1:
            lines[0] = _joined(parts)
            last = lines.pop()
            parts, size = [last], len(last)
            yield lines
    if parts and (ending := _joined(parts)):
        yield [ending]


def _joined(parts: list[bytes]) -> bytes:
    return parts[0] if isinstance(parts[0], TooLong) or len(parts) == 1 else b"".join(parts)


def read_json_lines(blocks: Iterable[bytes]) -> Iterator[Chunk]:
    """Yield one row per line; its number is that of the line."""
    number = 1
    waiting: list[bytes] = []
    for lines in split(blocks):
        # One behind, because only the last line of a file can be cut off.
        yield from _parsed(waiting, number, last=False)
        number += len(waiting)
        waiting = lines
    yield from _parsed(waiting, number, last=True)


def _parsed(lines: list[bytes], first: int, *, last: bool) -> Iterator[Chunk]:
    ending = len(lines) - 1
    while last and ending > 0 and not lines[ending].strip():
        ending -= 1
    for start in range(0, len(lines), ROWS_AT_ONCE):
        some = lines[start : start + ROWS_AT_ONCE]
        cut = ending - start if last else -1
        yield _chunk(some, first + start, cut)


def _chunk(lines: list[bytes], first: int, cut: int) -> Chunk:
    """Parse lines; the one at place `cut` may just end too early."""
    values: list[Any] = []
    loads = orjson.loads
    blank = False
    for place, line in enumerate(lines):
        try:
            values.append(loads(line))
        except ValueError:
            values.append(_odd(line, may_be_cut=place == cut))
            blank = blank or values[-1] is _BLANK
    if not blank:
        return Chunk(list(range(first, first + len(lines))), values)
    kept = [place for place, value in enumerate(values) if value is not _BLANK]
    return Chunk([first + place for place in kept], [values[place] for place in kept])


def _odd(line: bytes, *, may_be_cut: bool) -> Any:
    """Return what the strict parser refused: NaN, lone surrogates and damaged bytes are read."""
    if isinstance(line, TooLong):
        return too_long(line)
    text = line.decode("utf-8", errors="surrogateescape")
    if not text.strip():
        return _BLANK
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        code = json_problem(text, problem)
        code = "bad_json" if code == "cut_off" and not may_be_cut else code
        return Unparsed(code, shown(line).rstrip("\r"))


def json_problem(text: str, problem: ValueError | RecursionError) -> str:
    """Return `too_deep`, `cut_off` when the text just ends too early, else `bad_json`."""
    if isinstance(problem, RecursionError):
        return "too_deep"
    if isinstance(problem, json.JSONDecodeError):
        at_the_end = problem.pos >= len(text.rstrip())
        if at_the_end or problem.msg.startswith("Unterminated string"):
            return "cut_off"
    return "bad_json"


def read_blocks(blocks: Iterable[bytes]) -> Iterator[Chunk]:
    """Yield one row per block of lines; blank lines stand between blocks."""
    return chunks(enumerate(_blocks(blocks), start=1))


def _blocks(blocks: Iterable[bytes]) -> Iterator[dict[str, str] | Unparsed]:
    lines: list[bytes] = []
    size = 0
    for some in split(blocks):
        for line in some:
            if line.strip():
                size += len(line)
                # What is too long is forgotten but for its beginning.
                if size <= LONGEST or not lines:
                    lines.append(line)
            elif lines:
                yield _block(lines, size)
                lines, size = [], 0
    if lines:
        yield _block(lines, size)


def _block(lines: list[bytes], size: int) -> dict[str, str] | Unparsed:
    if size > LONGEST or any(isinstance(line, TooLong) for line in lines):
        return too_long(lines[0])
    text = b"\n".join(line.removesuffix(b"\r") for line in lines)
    return {"text": text.decode("utf-8", errors="surrogateescape")}
