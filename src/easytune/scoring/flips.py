"""Which rows a model got right that another got wrong, and the other way round."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from easytune.evaluation_files import RowAnswer, TestRow
from easytune.scoring.registry import MEASURES

Kind = Literal["fixed", "broken", "same"]
NOTABLE = 10.0
"""Points of 100 that a graded score must move to be called fixed or broken."""


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


def _kind(metric: str, before: float, after: float) -> Kind:
    measure = MEASURES[metric]
    gain = measure.goodness(after) - measure.goodness(before)
    if abs(gain) < NOTABLE:
        return "same"
    return "fixed" if gain > 0 else "broken"
