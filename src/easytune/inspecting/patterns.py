"""Regular expressions of strangers: refused before they are tried where they could take forever."""

import re

# The parser is private, but nothing else tells what a pattern is made of.
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_LONGEST = 2_000
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)
# Each unbounded repeat beside others multiplies the time by the length of the name.
_MOST_REPEATS = 8


def is_safe(pattern: str) -> bool:
    """Tell whether a pattern is valid, not too long, and has no repeats within repeats."""
    if len(pattern) > _LONGEST:
        return False
    try:
        tree = parser.parse(pattern)
    except (re.error, RecursionError, OverflowError):
        return False
    return _depth(tree) <= 1 and _count(tree) <= _MOST_REPEATS


def _depth(tree: Any) -> int:
    """Return how deep unbounded repeats lie in each other."""
    deepest = 0
    for operation, argument in _parts(tree):
        own = 1 if operation in _REPEATS and argument[1] > 1_000 else 0
        deepest = max(deepest, own + max((_depth(one) for one in _inner(argument)), default=0))
    return deepest


def _count(tree: Any) -> int:
    total = 0
    for operation, argument in _parts(tree):
        total += operation in _REPEATS and argument[1] > 1_000
        total += sum(_count(one) for one in _inner(argument))
    return total


def _parts(tree: Any) -> list[tuple[Any, Any]]:
    return [part for part in tree if isinstance(part, tuple) and len(part) == 2]


def _inner(argument: Any) -> list[Any]:
    """Return the patterns within an operation's argument, however they are packed."""
    if isinstance(argument, parser.SubPattern):
        return [argument]
    if isinstance(argument, tuple | list):
        return [found for one in argument for found in _inner(one)]
    return []
