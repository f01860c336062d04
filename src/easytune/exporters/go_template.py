"""Runs the part of Go's text/template that `ollama_template` writes, so that it can be checked.

Actions: range with an index, if, else if, else, end, texts, variables and fields; functions eq, ne,
and, or, not, len, slice, with parentheses. `{{-` and `-}}` trim the text beside them, as in Go.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_ACTION = re.compile(
    r"\{\{(-\s)?\s*((?:\"(?:[^\"\\]|\\.)*\"|[^\"}]|\}(?!\}))*?)\s*(\s-)?\}\}", re.S
)
_WORD = re.compile(r"\"(?:[^\"\\]|\\.)*\"|[()]|[^\s()\"]+")


class GoTemplateInvalid(ValueError):
    """A template uses what is not known here, or is no template."""


@dataclass
class _Block:
    """A stretch of a template: texts, values, and blocks under a condition or a range."""

    parts: list[Any] = field(default_factory=list)


@dataclass
class _Branches:
    branches: list[tuple[list[str] | None, _Block]]


@dataclass
class _Range:
    over: list[str]
    index: str
    body: _Block


def render(template: str, messages: Sequence[Mapping[str, str]], system: str = "") -> str:
    """Return what Ollama makes of messages with `role` and `content`.

    Raises GoTemplateInvalid.
    """
    block = _parse(iter([*_pieces(template), ("end", "")]))
    data = {"Messages": list(messages), "System": system}
    return "".join(_run(block, data, {"$": data}))


def _pieces(template: str) -> Iterator[tuple[str, str]]:
    """Yield texts and actions, with the spaces gone that an action trims."""
    at, trim = 0, False
    for match in _ACTION.finditer(template):
        text = template[at : match.start()]
        text = text.lstrip() if trim else text
        yield "text", text.rstrip() if match.group(1) else text
        yield "action", match.group(2).strip()
        at, trim = match.end(), bool(match.group(3))
    yield "text", template[at:].lstrip() if trim else template[at:]


def _parse(pieces: Iterator[tuple[str, str]]) -> _Block:
    block, _ = _block(pieces)
    return block


def _block(pieces: Iterator[tuple[str, str]]) -> tuple[_Block, list[str]]:
    """Return what stands before the next `end` or `else`, and the words of that."""
    block = _Block()
    for kind, content in pieces:
        if kind == "end":
            break
        if kind == "text":
            block.parts.append(content)
            continue
        words = _WORD.findall(content)
        match words[:1]:
            case ["end"] | ["else"]:
                return block, words
            case ["if"]:
                block.parts.append(_branches(pieces, words[1:]))
            case ["range"]:
                body, _ = _block(pieces)
                block.parts.append(
                    _Range(words[words.index(":=") + 1 :], words[1].strip(","), body)
                )
            case _:
                block.parts.append(words)
    return block, []


def _branches(pieces: Iterator[tuple[str, str]], condition: list[str] | None) -> _Branches:
    found = []
    while True:
        body, closing = _block(pieces)
        found.append((condition, body))
        if closing[:1] != ["else"]:
            return _Branches(found)
        condition = closing[2:] if closing[1:2] == ["if"] else None


def _run(block: _Block, here: Any, names: dict[str, Any]) -> Iterator[str]:
    for part in block.parts:
        match part:
            case str():
                yield part
            case _Range(over, index, body):
                for number, one in enumerate(_value(over, here, names)):
                    yield from _run(body, one, {**names, index: number})
            case _Branches(branches):
                for condition, body in branches:
                    if condition is None or _value(condition, here, names):
                        yield from _run(body, here, names)
                        break
            case _:
                yield str(_value(part, here, names))


def _value(words: list[str], here: Any, names: dict[str, Any]) -> Any:
    """Return the value of an expression: a function with arguments, or one argument."""
    arguments, at = [], 0
    while at < len(words):
        if words[at] == "(":
            depth, end = 1, at + 1
            while depth:
                depth += {"(": 1, ")": -1}.get(words[end], 0)
                end += 1
            arguments.append(_value(words[at + 1 : end - 1], here, names))
            at = end
        else:
            arguments.append(words[at] if at == 0 else _one(words[at], here, names))
            at += 1
    first = arguments[0]
    if isinstance(first, str) and first in _FUNCTIONS:
        return _FUNCTIONS[first](*arguments[1:])
    return _one(first, here, names) if words[0] != "(" else first


_FUNCTIONS = {
    "eq": lambda one, other: one == other,
    "ne": lambda one, other: one != other,
    "and": lambda *values: all(values),
    "or": lambda *values: any(values),
    "not": lambda value: not value,
    "len": len,
    "slice": lambda values, start: values[start:],
}


def _one(word: str, here: Any, names: dict[str, Any]) -> Any:
    if word.startswith('"'):
        return json.loads(word)
    if word.isdecimal():
        return int(word)
    if word in names:
        return names[word]
    scope, _, field_name = word.partition(".")
    source = names.get(scope, here) if scope else here
    try:
        return source[field_name] if field_name in source else source[field_name.lower()]
    except (KeyError, TypeError) as problem:
        raise GoTemplateInvalid(word) from problem
