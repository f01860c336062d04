"""Intervals and tests: they hold what they promise on data of which the truth is known."""

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from easytune.scoring import statistics
from easytune.scoring.answers import perplexity
from easytune.scoring.text import bleu, chrf

Drawn = npt.NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Drawn]
TRIALS = 200


def _graded(draw: np.random.Generator, rows: int) -> Drawn:
    """Return scores as ROUGE gives them: some 0, some 100, the others between."""
    kind = draw.random(rows)
    return np.where(kind < 0.15, 0, np.where(kind > 0.8, 100, 100 * draw.beta(2, 3, rows)))


def _skewed(draw: np.random.Generator, rows: int) -> Drawn:
    return draw.exponential(10, rows)


@pytest.mark.parametrize(("draw_rows", "truth"), [(_graded, 46.0), (_skewed, 10.0)])
def test_intervals_hold_the_truth_19_times_in_20(draw_rows: Draw, truth: float) -> None:
    draw = np.random.default_rng(1)

    ends = [statistics.interval(draw_rows(draw, 60), trial) for trial in range(TRIALS)]

    held = np.mean([low <= truth <= high for low, high in ends])
    assert 0.91 <= held <= 0.985


def test_intervals_of_perplexity_hold_it_too() -> None:
    draw = np.random.default_rng(2)
    held = 0
    for trial in range(TRIALS):
        tokens = draw.integers(5, 60, 60).astype(float)
        nll = tokens * draw.gamma(4, 0.5, 60)
        low, high = statistics.interval(np.column_stack([nll, tokens]), trial, perplexity)
        held += low <= np.exp(2.0) <= high

    assert 0.91 <= held / TRIALS <= 0.985


@pytest.mark.parametrize("share", [0.5, 0.9, 0.97])
def test_wilson_holds_shares_near_the_edge_where_a_bootstrap_would_not(share: float) -> None:
    draw = np.random.default_rng(3)

    ends = [statistics.wilson(int(k), 60) for k in draw.binomial(60, share, 2000)]

    assert np.mean([low <= share <= high for low, high in ends]) >= 0.93
    assert statistics.wilson(0, 30) == pytest.approx((0, 0.1135), abs=1e-4)
    assert statistics.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert statistics.wilson(0, 0) == (0, 1)


@pytest.mark.parametrize(("better", "worse"), [(0.02, 0.0), (0.1, 0.02), (0.97, 0.0)])
def test_differences_of_shares_hold_the_truth_even_where_hardly_a_row_changes(
    better: float, worse: float
) -> None:
    draw = np.random.default_rng(9)
    held = 0
    for trial in range(TRIALS):
        rose, fell, _ = draw.multinomial(40, [better, worse, 1 - better - worse])
        before, after = np.zeros(40), np.zeros(40)
        after[:rose] = before[rose : rose + fell] = 100
        found = statistics.paired(before, after, trial, right=100)
        held += found.low <= 100 * (better - worse) <= found.high

    assert held / TRIALS >= 0.92
    assert statistics.tango(0, 0, 50) == pytest.approx((-0.0713, 0.0713), abs=1e-4)
    assert statistics.tango(12, 1, 50) == pytest.approx((0.0942, 0.3595), abs=1e-4)


def test_models_that_are_equally_good_are_told_apart_once_in_twenty() -> None:
    draw = np.random.default_rng(4)
    shown = 0
    for trial in range(80):
        hard = _graded(draw, 60)
        both = [np.clip(hard + draw.normal(0, 15, 60), 0, 100) for _ in range(2)]
        shown += statistics.is_shown(statistics.paired(*both, seed=trial))

    assert shown / 80 <= 0.1


def test_p_is_exact_where_few_rows_differ() -> None:
    before = np.zeros(60)
    after = np.where(np.arange(60) < 6, 100.0, 0.0)

    found = statistics.paired(before, after)

    assert found.p == 2 / 2**6
    assert (found.value, found.rows, found.needed) == (10, 60, None)
    assert statistics.paired(after, before).value == -10
    assert statistics.sign_test(6, 0) == 2 / 2**6
    assert statistics.sign_test(3, 3) == 1


def test_the_rows_that_are_needed_are_those_of_the_usual_formula() -> None:
    draw = np.random.default_rng(5)
    before = _graded(draw, 80)
    changes = draw.normal(0, 20, 80)
    changes += 3 - changes.mean()

    found = statistics.paired(before, before + changes)

    expected = (2.8016 * changes.std() / 3) ** 2
    assert found.p > 0.05
    assert found.needed == pytest.approx(expected, rel=0.15)


def test_numbers_added_in_another_order_are_no_difference() -> None:
    nll = np.random.default_rng(6).gamma(4, 10, 100)
    before = np.column_stack([nll, np.full(100, 20.0)])
    after = np.column_stack([nll * (1 + 1e-6), np.full(100, 20.0)])

    found = statistics.paired(before, after, figure=perplexity)

    assert (found.value, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_a_thousand_rows_of_counts_take_well_under_a_second() -> None:
    draw = np.random.default_rng(7)
    grams = draw.integers(0, 30, (1000, 18)).astype(float)
    tokens = np.sort(draw.integers(1, 30, (1000, 10)).astype(float), axis=1)[:, ::-1]

    for counts, figure in ((grams, chrf), (tokens[:, [0, 0, 4, 5, 6, 7, 1, 1, 2, 3]], bleu)):
        begun = time.process_time()
        low, high = statistics.interval(counts, 1, figure)
        assert time.process_time() - begun < 1
        assert low < float(figure(counts.sum(axis=0))) < high


def test_the_same_seed_gives_the_same_interval() -> None:
    values = _graded(np.random.default_rng(8), 50)

    assert statistics.interval(values, 1) == statistics.interval(values, 1)
    assert statistics.interval([40.0] * 50) == (40, 40)
    with pytest.raises(ValueError, match="no rows"):
        statistics.interval([])
