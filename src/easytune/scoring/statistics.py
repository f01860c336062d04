"""How far a figure can be trusted: intervals, and whether a difference is more than luck.

Figures are made of counts per row (see `measure`), so resampling rows is one product of matrices.
Intervals are bootstrap intervals, bias-corrected and accelerated (Efron 1987), widened for few rows
as Hesterberg advises ("What Teachers Should Know About the Bootstrap", 2014). Shares of rows that
are right or wrong get Wilson's (1927), their differences Tango's (1998), since rows that are all
alike would else look certain. Differences are tested by approximate randomisation (Noreen 1989),
exactly where there are few rows that differ: that holds for any number of rows.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from easytune.evaluation_files import Difference
from easytune.scoring.measure import Figured, Totals, mean

ENOUGH_ROWS = 50
"""With fewer rows only a large difference can be shown, and not finding one says little."""
SIGNIFICANT = 0.05
_RESAMPLES = 2_000
_SHUFFLES = 9_999
# With at most so many rows that differ all ways to swap them are tried.
_ALL_WAYS = 13
_CELLS_AT_ONCE = 4_000_000
_POWER = 0.80
# With fewer rows p is above 0.05 even when all of them change for the better.
_FEWEST = 6
_HALVINGS = 50
_NORMAL = NormalDist()
_ROUNDING = 1e-9
# The same weights in another batch: nats that differ by this share are the same answer.
_SAME_SHARE = 1e-5

Values = Sequence[float] | npt.NDArray[np.float64]
"""A score per row, or counts per row in columns."""


def interval(values: Values, seed: int = 0, figure: Figured = mean) -> tuple[float, float]:
    """Return the 95% bootstrap interval of a figure.

    Raises ValueError without any values.
    """
    rows = _columns(values)
    drawn = np.concatenate([figure(totals) for totals in _resampled(rows, seed)])
    return _accelerated(drawn, float(figure(rows.sum(axis=0))), _without_each(rows, figure))


def paired(
    first: Values,
    second: Values,
    seed: int = 0,
    figure: Figured = mean,
    right: float | None = None,
) -> Difference:
    """Return how much higher the second figure is than the first, on the same rows in that order.

    `right` is what a row scores that is right, where all others score 0. Raises ValueError without
    any rows, or with different numbers of them.
    """
    before, after = _columns(first), _columns(second)
    if before.shape != after.shape:
        raise ValueError(f"{before.shape} and {after.shape}")
    after = np.where(_are_same(before, after)[:, None], before, after)
    rows, rise = np.hstack([before, after]), _Rise(figure, before.shape[1])
    value = float(rise(rows.sum(axis=0)))
    if right is None:
        low, high = interval(rows, seed, rise)
    else:
        low, high = _share_change(before[:, 0], after[:, 0], right)
    found = Difference(
        value=value, low=low, high=high, p=_chance(before, after, figure, seed), rows=len(rows),
        changed=int(_differing(before, after).sum()),
    )  # fmt: skip
    if is_shown(found):
        return found
    return found.model_copy(update={"needed": _needed(value, _without_each(rows, rise))})


def is_shown(difference: Difference) -> bool:
    """Tell whether rows show a difference: luck is unlikely, and the interval leaves out zero."""
    return difference.p < SIGNIFICANT and not difference.low <= 0 <= difference.high


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share, 0 to 1; all of it when there is nothing to count."""
    if n == 0:
        return 0.0, 1.0
    share, z = successes / n, _NORMAL.inv_cdf(0.975)
    middle = share + z**2 / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    whole = 1 + z**2 / n
    low = (middle - half) / whole if successes > 0 else 0.0
    high = (middle + half) / whole if successes < n else 1.0
    return low, high


def tango(better: int, worse: int, n: int) -> tuple[float, float]:
    """Return Tango's 95% score interval of the difference of two shares on the same `n` rows.

    `better` rows are right under the second only, `worse` ones under the first only. Tango 1998,
    "Equivalence test and confidence interval for the difference in proportions".
    """
    seen, z = (better - worse) / n, _NORMAL.inv_cdf(0.975)

    def is_beyond(difference: float) -> bool:
        b = (2 * n - better + worse) * difference - better - worse
        c = -worse * difference * (1 - difference)
        share = (math.sqrt(max(b**2 - 8 * n * c, 0)) - b) / (4 * n)
        spread = n * (2 * share + difference * (1 - difference))
        return (better - worse - n * difference) ** 2 > z**2 * spread

    def end(inside: float, outside: float) -> float:
        for _ in range(_HALVINGS):
            middle = (inside + outside) / 2
            inside, outside = (inside, middle) if is_beyond(middle) else (middle, outside)
        return inside

    return end(seen, -1.0), end(seen, 1.0)


def sign_test(better: int, worse: int) -> float:
    """Return the two-sided p of so many wins and losses, ties left out, if both were as likely."""
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / 2**n)


class _Rise:
    """The difference of two figures whose counts stand side by side."""

    def __init__(self, figure: Figured, split: int) -> None:
        self._figure, self._split = figure, split

    def __call__(self, totals: Totals) -> Totals:
        before, after = totals[..., : self._split], totals[..., self._split :]
        return self._figure(after) - self._figure(before)


def _columns(values: Values) -> Totals:
    """Return counts per row; scores become (score, 1)."""
    rows = np.asarray(values, dtype=float)
    if not len(rows):
        raise ValueError("no rows")
    return np.column_stack([rows, np.ones(len(rows))]) if rows.ndim == 1 else rows


def _resampled(rows: Totals, seed: int) -> Iterator[Totals]:
    """Yield totals of rows drawn with replacement, as many rows as there are."""
    n = len(rows)
    if n * _RESAMPLES <= _CELLS_AT_ONCE:
        yield _all_weights(n, seed) @ rows
    else:
        yield from (weights @ rows for weights in _weights(n, seed))


@lru_cache(2)
def _all_weights(n: int, seed: int) -> Totals:
    """Return all weights at once: drawing them takes longer than using them, and all metrics do."""
    return np.concatenate(list(_weights(n, seed)))


def _weights(n: int, seed: int) -> Iterator[Totals]:
    """Yield how often each of `n` rows is drawn, a line for each sample."""
    draw = np.random.default_rng(seed)
    for count in _portions(_RESAMPLES, n):
        places = draw.integers(0, n, (count, n)) + n * np.arange(count)[:, None]
        drawn = np.bincount(places.ravel(), minlength=count * n)
        yield drawn.reshape(count, n).astype(float)


def _portions(total: int, width: int) -> Iterator[int]:
    """Yield numbers that add up to `total`, so that no matrix gets too large."""
    at_once = max(1, _CELLS_AT_ONCE // width)
    for done in range(0, total, at_once):
        yield min(at_once, total - done)


def _without_each(rows: Totals, figure: Callable[[Totals], Totals]) -> Totals:
    """Return the figure without each of the rows in turn."""
    return figure(rows.sum(axis=0) - rows) if len(rows) > 1 else np.zeros(1)


def _accelerated(drawn: Totals, value: float, without_each: Totals) -> tuple[float, float]:
    """Return the BCa interval of bootstrap draws, widened as Student's t is for few rows."""
    if np.ptp(drawn) < _ROUNDING:
        return value, value
    below = np.mean(drawn < value - _ROUNDING) + np.mean(np.abs(drawn - value) <= _ROUNDING) / 2
    edge = 1 / (len(drawn) + 1)
    bias = _NORMAL.inv_cdf(float(np.clip(below, edge, 1 - edge)))
    pull = without_each.mean() - without_each
    spread = float((pull**2).sum()) ** 1.5
    skew = float((pull**3).sum()) / (6 * spread) if spread else 0.0
    low, high = (float(np.quantile(drawn, _level(bias, skew, z))) for z in _ends(len(without_each)))
    return min(low, value), max(high, value)


def _level(bias: float, skew: float, z: float) -> float:
    """Return which share of the draws lies below the end of the interval at `z`."""
    moved = bias + z
    return _NORMAL.cdf(bias + moved / max(1 - skew * moved, 0.1))


def _ends(n: int) -> tuple[float, float]:
    """Return the quantiles of the ends, wider for few rows."""
    from scipy.special import stdtrit

    wide = float(stdtrit(max(n - 1, 1), 0.975)) * math.sqrt(n / max(n - 1, 1))
    return -wide, wide


def _share_change(before: Totals, after: Totals, right: float) -> tuple[float, float]:
    better, worse = int((after > before).sum()), int((after < before).sum())
    low, high = tango(better, worse, len(before))
    return right * low, right * high


def _are_same(before: Totals, after: Totals) -> npt.NDArray[np.bool_]:
    """Tell which rows are the same but for the order in which a machine added numbers."""
    near = np.abs(after - before) <= _ROUNDING + _SAME_SHARE * np.abs(before)
    return np.asarray(near.all(axis=1))


def _differing(before: Totals, after: Totals) -> npt.NDArray[np.bool_]:
    return np.asarray(np.not_equal(before, after).any(axis=1))


def _chance(before: Totals, after: Totals, figure: Figured, seed: int) -> float:
    """Return how often models that only swapped names would differ by as much."""
    changes = (after - before)[_differing(before, after)]
    first, second = before.sum(axis=0), after.sum(axis=0)
    seen = abs(float(figure(second) - figure(first))) - _ROUNDING
    exact = len(changes) <= _ALL_WAYS
    reached = total = 0
    for swapped in _all_swaps(len(changes)) if exact else _swaps(len(changes), seed):
        moved = swapped @ changes
        differences = figure(second - moved) - figure(first + moved)
        reached += int((np.abs(differences) >= seen).sum())
        total += len(swapped)
    return reached / total if exact else (reached + 1) / (total + 1)


def _all_swaps(rows: int) -> Iterator[Totals]:
    ways = np.arange(2**rows)[:, None] >> np.arange(rows)
    yield (ways & 1).astype(float)


def _swaps(rows: int, seed: int) -> Iterator[Totals]:
    draw = np.random.default_rng([seed, 1])
    for count in _portions(_SHUFFLES, rows):
        yield draw.integers(0, 2, (count, rows), dtype=bool).astype(float)


def _needed(value: float, without_each: Totals) -> int | None:
    """Return how many rows would show this difference four times in five, to two digits.

    None when there is no difference that more rows could show.
    """
    if abs(value) < _ROUNDING:
        return None
    rows = len(without_each)
    # The jackknife's variance of the figure, for a single row.
    variance = (rows - 1) * float(((without_each - without_each.mean()) ** 2).sum())
    reach = _NORMAL.inv_cdf(1 - SIGNIFICANT / 2) + _NORMAL.inv_cdf(_POWER)
    wanted = max(variance * (reach / value) ** 2, rows + 1, _FEWEST)
    unit = 10 ** max(math.floor(math.log10(wanted)) - 1, 0)
    return math.ceil(wanted / unit) * unit
