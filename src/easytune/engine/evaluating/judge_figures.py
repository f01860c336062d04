"""From verdicts to figures: how often a candidate was preferred, and whether that can be luck."""

import math
from collections.abc import Sequence
from typing import Any

from easytune.evaluation_files import Difference, Figure, Scored
from easytune.scoring import statistics

METRIC = "judge"
"""100 where every answer was preferred to the first model's, 50 where neither was better."""
# Two-sided at 5%, with a power of 80%.
_Z, _POWER_Z = 1.959964, 0.841621


def scored(set_place: int, candidate: int, scores: Sequence[float]) -> Scored:
    """Return the figure of one candidate on one set; `scores` are of its verdicts, at least one.

    Ties count half. The interval is Wilson's, p that of the sign test, which leaves ties out.
    """
    rows, share = len(scores), math.fsum(scores) / len(scores)
    # Half a success counts as well in Wilson's formula.
    successes: Any = math.fsum(scores)
    low, high = (100.0 * bound for bound in statistics.wilson(successes, rows))
    wins, losses = sum(one == 1 for one in scores), sum(one == 0 for one in scores)
    p = statistics.sign_test(wins, losses)
    return Scored(
        set=set_place,
        candidate=candidate,
        metric=METRIC,
        figure=Figure(value=100.0 * share, low=low, high=high, rows=rows),
        against_first=Difference(
            value=100.0 * share - 50.0,
            low=low - 50.0,
            high=high - 50.0,
            p=p,
            rows=rows,
            needed=None if p < statistics.SIGNIFICANT else rows_needed(wins, losses, rows),
        ),
    )


def rows_needed(wins: int, losses: int, rows: int) -> int | None:
    """Return how many rows would show such a share of wins in four of five tries.

    None where wins and losses are equal: no number of rows shows a difference of zero.
    """
    effect = abs(wins - losses) / rows
    if not effect:
        return None
    variance = (wins + losses) / rows - effect**2
    return max(rows + 1, math.ceil((_Z + _POWER_Z) ** 2 * variance / effect**2))
