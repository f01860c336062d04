"""The cache with room for more holds what transformers' own holds."""

import torch
from transformers.cache_utils import DynamicLayer

from easytune.engine.growing_cache import GrowingLayer


def test_states_are_those_of_transformers_while_rows_come_and_go() -> None:
    torch.manual_seed(0)
    ours, theirs = GrowingLayer(), DynamicLayer()
    rows = 5
    # A prompt in two pieces, then tokens past the room that is left at first.
    for step, tokens in enumerate([70, 3, *[1] * 200]):
        keys, values = torch.randn(rows, 2, tokens, 4), torch.randn(rows, 2, tokens, 6)
        for mine, own in zip(ours.update(keys, values), theirs.update(keys, values), strict=True):
            assert torch.equal(mine, own)
        if step in (1, 50, 51, 199):
            kept = torch.arange(rows - 1)
            ours.batch_select_indices(kept)
            theirs.batch_select_indices(kept)
            rows -= 1
        assert ours.get_seq_length() == theirs.get_seq_length()


def test_a_new_token_does_not_move_the_others() -> None:
    layer = GrowingLayer()
    first, _ = layer.update(torch.randn(1, 2, 8, 4), torch.randn(1, 2, 8, 4))

    later, _ = layer.update(torch.randn(1, 2, 1, 4), torch.randn(1, 2, 1, 4))

    assert later.data_ptr() == first.data_ptr()
