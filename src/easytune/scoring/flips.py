"""Which rows a model got right that another got wrong, and the other way round."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

from easytune.evaluation_files import RowAnswer, TestRow
from easytune.scoring.registry import MEASURES

Kind = Literal["fixed", "broken", "same"]
Change = Literal["same", "removed", "added"]
NOTABLE = 10.0
"""Points of 100 that a graded score must move to be called fixed or broken."""
_UNSPACED = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# A character of a script without spaces | a word | any other sign; white space stays with it.
_TOKEN = re.compile(rf"\s*(?:[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]|_)|\s+$")
# An exact comparison of longer texts takes seconds.
_EXACT_UP_TO = 4_000


@dataclass(frozen=True)
class Flip:
    """One row under two candidates."""

    row: int
    before: float
    """Score of the first."""
    after: float
    kind: Kind
    change: float
    """After minus before."""
    is_same_text: bool
    """Whether both gave the same answer, letter for letter."""


@dataclass(frozen=True)
class Span:
    """A part of two texts: of both, of the first only, or of the second only."""

    kind: Change
    text: str


def flips(
    rows: Sequence[TestRow],
    answers: Iterable[RowAnswer],
    scores: Mapping[str, Sequence[Sequence[float | None]]],
    metric: str,
    first: int,
    second: int,
) -> list[Flip]:
    """Return each row that both candidates have a score for, in the order of the rows.

    A graded score must move by `NOTABLE` points to count as fixed or broken.
    """
    texts = {(one.candidate, one.row): one.text for one in answers}
    found: list[Flip] = []
    for place in range(len(rows)):
        before, after = scores[metric][first][place], scores[metric][second][place]
        if before is None or after is None:
            continue
        same = texts.get((first, place)) == texts.get((second, place))
        kind = _kind(metric, before, after)
        found.append(Flip(place, before, after, kind, after - before, same))
    return found


def word_differences(before: str, after: str) -> list[Span]:
    """Return two texts as one row of spans.

    Same and removed spans joined are the first text, same and added ones the second, apart from
    white space. Chinese and Japanese are compared character by character.
    """
    left, right = _TOKEN.findall(before), _TOKEN.findall(after)
    bare_left, bare_right = [_bare(one) for one in left], [_bare(one) for one in right]
    is_long = max(len(left), len(right)) > _EXACT_UP_TO
    matcher = SequenceMatcher(None, bare_left, bare_right, autojunk=is_long)
    spans: list[Span] = []
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            spans.append(Span("same", "".join(right[j1:j2])))
            continue
        if i1 < i2:
            spans.append(Span("removed", "".join(left[i1:i2])))
        if j1 < j2:
            spans.append(Span("added", "".join(right[j1:j2])))
    return spans


def _kind(metric: str, before: float, after: float) -> Kind:
    measure = MEASURES[metric]
    gain = measure.goodness(after) - measure.goodness(before)
    if abs(gain) < NOTABLE:
        return "same"
    return "fixed" if gain > 0 else "broken"


def _bare(token: str) -> str:
    return token.strip()
