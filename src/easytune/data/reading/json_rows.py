"""JSON of any size: a list of rows, an object that holds one, or a row per line."""

import json
import re
from collections.abc import Generator, Iterator
from itertools import chain
from typing import Any

from easytune.data.decoding import unreadable
from easytune.data.reading.json_text import JsonText
from easytune.data.reading.lines import read_json_lines
from easytune.data.reading.records import Chunk, Unparsed, chunks
from easytune.data.reading.streams import Opened

_ROW_LISTS = ("data", "rows", "train", "examples", "items", "instances", "records")
_SAMPLE = 8 << 20
_HOLDS_ROWS = re.compile(
    rb'\{(?:\s*"[^"\\]*"\s*:\s*(?:"[^"\\]*"|[\w.+-]+)\s*,)*\s*"(?:%s)"\s*:\s*\[\s*\{'
    % "|".join(_ROW_LISTS).encode()
)


def read_json(opened: Opened) -> Iterator[Chunk]:
    """Yield the rows of a JSON or JSONL file; its content says which of the two it is.

    Raises FileUnreadable with the line where a document is broken.
    """
    blocks = opened.utf8()
    head = next(blocks, b"")
    while len(head) < _SAMPLE and _is_unclear(head) and (block := next(blocks, b"")):
        head += block
    more = next(blocks, b"")
    content = chain([head, more], blocks)
    if _is_lines(head, whole=not more, lined=opened.place.ending != ".json"):
        return read_json_lines(content)
    return chunks(enumerate(_rows(JsonText(content, opened.name)), start=1))


def _is_unclear(head: bytes) -> bool:
    """Tell whether more must be read to know what this is."""
    content = head.lstrip()
    first, newline, _ = content.partition(b"\n")
    return content[:1] != b"[" and not (newline and _parses(first))


def _is_lines(head: bytes, *, whole: bool, lined: bool) -> bool:
    """Tell a row per line from one document; `lined` is what the ending says."""
    content = head.strip()
    if content[:1] == b"[":
        return False
    first, newline, _ = content.partition(b"\n")
    if not newline and not whole:
        return not _HOLDS_ROWS.match(content)
    if not newline:
        return lined and content[:1] != b"{" and _parses(content)
    if _parses(first):
        return True
    if _is_document(content, whole=whole):
        return False
    # The first line is broken: other lines tell whether it is one of many.
    return sum(_parses(line) for line in content.split(b"\n")) >= (1 if lined else 2)


def _parses(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_document(content: bytes, *, whole: bool) -> bool:
    """Tell whether the beginning of a file goes on as one JSON value over several lines."""
    text = content.decode("utf-8", errors="replace")
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except json.JSONDecodeError as problem:
        unfinished = problem.pos >= len(text) - 16 or problem.msg.startswith("Unterminated")
        return unfinished and not whole
    except (ValueError, RecursionError):
        return False
    return end == len(text)


def _rows(text: JsonText) -> Iterator[Any]:
    """Yield the rows of a document; objects without a list of rows are rows themselves."""
    match text.peek():
        case "[":
            yield from text.elements()
        case "{":
            found = yield from _held(text)
            while not found and text.peek():
                yield text.value()
        case _:
            value = text.value()
            raise unreadable(text.name, value.code if isinstance(value, Unparsed) else "no_rows")
    text.end()


def _held(text: JsonText) -> Generator[Any, None, bool]:
    """Yield the rows of the first list of rows in an object, else the object itself.

    Returns whether there is such a list.
    """
    content: dict[str, Any] = {}
    found = False
    for name in text.members():
        is_list = name in _ROW_LISTS and text.peek() == "["
        if is_list and not found and text.second() == "{":
            found = True
            yield from text.elements()
        elif found and is_list:
            for _ in text.elements():
                pass
        else:
            content[name] = text.value()
    if not found:
        yield content
    return found
