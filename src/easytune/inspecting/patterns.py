"""Regular expressions of strangers: refused before they are tried where they could take forever.

Python tries one way to match after another. How many there are follows from the pattern: each part
that may take more or less multiplies them, and within a repeat they are raised to its count.
"""

import math
import re

# The parser is private, but nothing else tells what a pattern is made of.
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_LONGEST = 2_000
_REPEATS = (sre.MAX_REPEAT, sre.MIN_REPEAT)
_LONGEST_NAME = 60
"""Letters of the name of a layer."""
_MOST_WAYS = 1e9
"""Patterns that tools write for all layers of a model reach 1e8, and are tried in milliseconds."""


def is_safe(pattern: str) -> bool:
    """Tell whether a pattern is valid, not too long, and has few ways to match a name."""
    if len(pattern) > _LONGEST:
        return False
    try:
        return _count(*_ways(parser.parse(pattern))) <= _MOST_WAYS
    except (re.error, RecursionError, OverflowError):
        return False


def _count(factor: float, open_repeats: int) -> float:
    # Several open repeats in a row divide one name among them.
    return factor * math.comb(_LONGEST_NAME + open_repeats, open_repeats)


def _ways(tree: Any) -> tuple[float, int]:
    """Return in how many ways a pattern may match, and beside that its open repeats in a row."""
    factor, open_repeats = 1.0, 0
    for operation, argument in tree:
        own, repeats = _of_part(operation, argument)
        factor, open_repeats = factor * own, open_repeats + repeats
    return factor, open_repeats


def _of_part(operation: Any, argument: Any) -> tuple[float, int]:
    if operation is sre.BRANCH:
        found = [_ways(one) for one in argument[1]]
        return sum(own for own, _ in found), max(repeats for _, repeats in found)
    if operation in _REPEATS:
        return _of_repeat(*argument)
    if operation is sre.GROUPREF_EXISTS:
        found = [_ways(one) for one in argument[1:] if one is not None]
        return sum(own for own, _ in found), max(repeats for _, repeats in found)
    inner = [one for one in _all(argument) if isinstance(one, parser.SubPattern)]
    factors, repeats = zip(*map(_ways, inner), strict=True) if inner else ((), ())
    return math.prod(factors), sum(repeats)


def _of_repeat(least: int, most: int, inner: Any) -> tuple[float, int]:
    factor, repeats = _ways(inner)
    times = min(int(most), _LONGEST_NAME)
    if most > 1 and (factor > 1 or repeats):
        # Every turn has its own ways.
        return _count(factor, repeats) ** times, 0
    if most == least:
        return factor, repeats
    return (factor, repeats + 1) if times == _LONGEST_NAME else (factor * (times + 1), repeats)


def _all(argument: Any) -> list[Any]:
    return list(argument) if isinstance(argument, tuple | list) else [argument]
