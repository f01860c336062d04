"""Which words differ between two texts, and how alike they are."""

import re
from collections import Counter
from difflib import SequenceMatcher
from typing import Any, Literal

WordKind = Literal["same", "added", "removed"]
# Where words are not parted by blanks, a character is one: Chinese and Japanese.
_ALONE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_ALONE}]|[^\W{_ALONE}]+|\s+|[^\w\s]")
_MOST_COMPARED = 4_000_000


def words(before: str, after: str) -> list[tuple[WordKind, str]]:
    """Return both texts woven into one: what is in both, in `after` only, in `before` only.

    Parts of kinds same and removed make up `before`, same and added `after`. Words are compared
    whole, Chinese and Japanese by character.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    head = _shared(old, new)
    tail = _shared(old[head:][::-1], new[head:][::-1])
    parts = _middle(old[head : len(old) - tail], new[head : len(new) - tail])
    parts.insert(0, ("same", "".join(old[:head])))
    parts.append(("same", "".join(old[len(old) - tail :])))
    return [part for part in parts if part[1]]


def likeness(before: Any, after: Any) -> float:
    """Return how many of the words of two rows they share, from 0 to 1."""
    one, other = _counted(before), _counted(after)
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 1.0


def _shared(old: list[str], new: list[str]) -> int:
    """Return how many words both begin with."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(old), len(new)))


def _middle(old: list[str], new: list[str]) -> list[tuple[WordKind, str]]:
    if len(old) * len(new) > _MOST_COMPARED:
        # Would take minutes, and so many differences help nobody.
        return [("removed", "".join(old)), ("added", "".join(new))]
    parts: list[tuple[WordKind, str]] = []
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    for tag, a, a_end, b, b_end in matcher.get_opcodes():
        if tag == "equal":
            parts.append(("same", "".join(old[a:a_end])))
        else:
            parts.append(("removed", "".join(old[a:a_end])))
            parts.append(("added", "".join(new[b:b_end])))
    return parts


def _counted(value: Any) -> Counter[str]:
    return Counter(
        word for text in _leaves(value) for word in _WORD.findall(text) if not word.isspace()
    )


def _leaves(value: Any) -> list[str]:
    """Return all texts and numbers in a row, without the names of its fields."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [leaf for part in value for leaf in _leaves(part)]
    return [] if value is None else [str(value)]
