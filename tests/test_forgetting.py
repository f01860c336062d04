"""What a forgetting score says, from the differences of the sequences alone."""

import pytest
from scipy import stats

from easytune import forgetting


def test_the_interval_is_students_also_for_few_sequences() -> None:
    few = [0.1, 0.3, 0.2, 0.5, 0.0, 0.4, 0.1, 0.2]

    found = forgetting.score(few)

    mean, error = sum(few) / len(few), stats.sem(few)
    assert found.mean == pytest.approx(mean)
    assert (found.low, found.high) == pytest.approx(stats.t.interval(0.95, 7, mean, error))
    assert forgetting.score([0.3]) == forgetting.Score(0.3, 0.3, 0.3)


def test_an_earlier_step_is_a_better_bargain_only_with_nearly_all_of_the_learning() -> None:
    held_out = [(0, 3.0), (10, 1.0), (20, 0.6), (30, 0.5)]
    scores = [(0, 0.0), (10, 0.1), (20, 0.3), (30, 0.9)]

    found = forgetting.trade_off(held_out, scores, [10, 20, 30])

    assert found is not None
    assert (found.step, found.learning) == (20, pytest.approx(0.96))
    assert found.forgetting == pytest.approx(1 / 3)
    assert forgetting.trade_off(held_out, scores, [10]) is None
