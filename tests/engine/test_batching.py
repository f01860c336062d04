"""The order of rows and their share-out over micro-batches."""

import pytest

from easytune.data.step_order import in_parts
from easytune.engine.batching import StepBatches

LENGTHS = [5, 90, 14, 33, 8, 61, 20, 7, 45, 12, 70]


def batches(packed: bool = True, seed: int = 1) -> StepBatches:
    return StepBatches(LENGTHS, batch_size=2, accumulation=2, seed=seed, packed=packed)


@pytest.mark.parametrize("packed", [True, False])
def test_every_row_comes_once_per_epoch(packed: bool) -> None:
    drawn = [row for rows in batches(packed) for row in rows]
    assert sorted(drawn) == list(range(len(LENGTHS)))
    assert len(list(batches(packed))) == len(batches(packed)) == 6
    assert batches(packed).steps() == 3


def test_order_depends_on_seed_and_epoch_alone() -> None:
    one, two = batches(), batches()
    list(one)
    one.set_epoch(4)
    two.set_epoch(4)
    assert list(one) == list(two)
    two.set_epoch(5)
    assert list(one) != list(two)
    assert list(batches(seed=2)) != list(batches(seed=1))


def test_packing_shares_a_steps_rows_out_evenly() -> None:
    packs = list(StepBatches([100, 1, 1, 98, 2, 3], 3, 2, seed=0, packed=True))
    tokens = [sum([100, 1, 1, 98, 2, 3][row] for row in pack) for pack in packs]
    assert sorted(tokens) == [102, 103]


def test_a_large_pack_is_computed_in_equal_parts_of_whole_rows() -> None:
    lengths = [700, 420, 400, 300, 200, 150, 100]
    assert in_parts(lengths, 1024) == [[700, 420], [400, 300, 200, 150, 100]]
    assert in_parts(lengths, None) == in_parts(lengths, 5000) == [lengths]
    assert in_parts([3000, 10], 1024) == [[3000], [10]]
    whole, parted = (StepBatches(lengths, 7, 1, 1, True, most) for most in (None, 1024))
    assert list(parted) == list(whole)
    assert list(whole.tokens_at_once()) == [2270]
    assert max(parted.tokens_at_once()) < 1300


def test_packing_and_padding_give_each_step_the_same_rows() -> None:
    def per_step(packed: bool) -> list[set[int]]:
        drawn = list(batches(packed))
        return [{r for rows in drawn[i : i + 2] for r in rows} for i in range(0, len(drawn), 2)]

    assert per_step(True) == per_step(False)
