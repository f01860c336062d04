"""Rows are counted once; what a run holds follows for any batch, packing and length."""

from pathlib import Path

import numpy as np
import pytest

from easytune import demo
from easytune.config import TrainConfig
from easytune.data.insight import row_lengths
from easytune.data.insight.measure import measure
from easytune.data.insight.row_lengths import RowLengths, shape_of
from easytune.data.step_order import StepOrder

DEMO = TrainConfig().changed(
    data__datasets=("demo/instruction", "demo/style"), data__weights=(1.5, 1.0)
)


@pytest.fixture(scope="module")
def counted() -> RowLengths:
    """The rows of two demo datasets, one of them repeated in part."""
    return row_lengths.count(DEMO, demo.MODEL, Path("unused"))


@pytest.mark.parametrize(
    ("max_length", "packing"), [(1024, True), (1024, False), (64, True), (40, False)]
)
def test_counts_agree_with_encoding_every_row_anew(
    counted: RowLengths, tmp_path: Path, max_length: int, packing: bool
) -> None:
    config = DEMO.changed(
        data__max_length=max_length, data__packing=packing, schedule__batch_size=3,
        schedule__gradient_accumulation=2, schedule__epochs=1.0,
    )  # fmt: skip
    found, wanted = shape_of(counted, config), measure(config, demo.MODEL, tmp_path)
    assert (found.rows, found.supervised_tokens, found.total_tokens) == (
        wanted.used, wanted.supervised_tokens, wanted.total_tokens,
    )  # fmt: skip
    assert (found.steps_per_epoch, found.total_steps, found.largest_batch) == (
        wanted.steps_per_epoch, wanted.total_steps, wanted.largest_batch_tokens,
    )  # fmt: skip


@pytest.mark.parametrize("packing", [True, False])
def test_the_largest_batch_is_that_of_the_engines_own_order(packing: bool) -> None:
    chance = np.random.default_rng(3)
    tokens = chance.integers(8, 400, 101)
    made = RowLengths(tokens, tokens // 2, tokens - tokens // 2, tokens[:0], tokens < 0)
    config = TrainConfig().changed(
        data__packing=packing, schedule__batch_size=5, schedule__gradient_accumulation=3,
        schedule__epochs=2.0,
    )  # fmt: skip
    order = StepOrder(tokens.tolist(), 5, 3, config.schedule.seed, packing)
    largest, answers = 0, 0
    for epoch in range(2):
        order.set_epoch(epoch)
        largest = max(largest, *order.tokens_at_once())
        answers = max(answers, *(int(made.supervised[rows].sum()) for rows in order))
    shape = shape_of(made, config)
    assert (shape.largest_batch, shape.largest_supervised) == (largest, answers)


def test_general_rows_are_told_from_the_persons_own(counted: RowLengths) -> None:
    config = DEMO.changed(data__replay_share=0.1)
    with_general = row_lengths.count(config, demo.MODEL, Path("unused"))
    own, mixed = shape_of(counted, DEMO), shape_of(with_general, config)
    assert (mixed.own_rows, mixed.own_tokens) == (own.rows, own.supervised_tokens)
    assert mixed.replayed_rows == pytest.approx(0.1 * mixed.rows, abs=1)


def test_rows_of_which_nothing_learned_is_left_do_not_count() -> None:
    tokens = np.array([50, 90])
    made = RowLengths(tokens, np.array([10, 80]), np.array([40, 10]), tokens[:0], tokens < 0)
    shape = shape_of(made, TrainConfig().changed(data__max_length=64))
    assert (shape.rows, shape.longest, shape.truncated) == (1, 50, 0)
    nothing = shape_of(made, TrainConfig().changed(data__max_length=16, data__train_on="all"))
    assert nothing.rows == 1
    none = np.array([], int)
    assert shape_of(RowLengths(none, none, none, none, none > 0), TrainConfig()).total_steps == 0


def test_very_many_rows_are_sampled_and_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_lengths, "SAMPLED_ABOVE", 120)
    whole = measure(TrainConfig(), demo.MODEL, Path("unused"))
    shape = shape_of(row_lengths.count(TrainConfig(), demo.MODEL, Path("unused")), TrainConfig())
    assert shape.sampled
    assert (shape.rows, shape.total_steps) == (whole.used, whole.total_steps)
    assert shape.total_tokens == pytest.approx(whole.total_tokens, rel=0.05)
