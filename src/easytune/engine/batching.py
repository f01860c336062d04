"""Which rows make one micro-batch, and how they are laid out as tensors.

The order of rows is a function of (seed, epoch) alone, so that a resumed run sees what an
uninterrupted one would have seen.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset, Sampler

if TYPE_CHECKING:
    from easytune.data.encoding import Example

Batch = dict[str, Any]
"""`input_ids`, plus what the layout needs, plus `predict` (flat positions whose next token is
learned) and `targets` (those next tokens)."""


class Rows(Dataset["Example"]):
    """Examples as torch wants to index them."""

    def __init__(self, examples: Sequence["Example"]) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> "Example":
        return self.examples[index]


class StepBatches(Sampler[list[int]]):
    """Draws each optimizer step's rows at random, then shares them out over its micro-batches.

    Sharing happens within the step only, so the loss and gradient of the step do not change: when
    packing, longest row first into the emptiest pack, which keeps the largest pack (and with it
    the peak memory) small; when padding, rows of like length together.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, accumulation: int, seed: int, packed: bool
    ) -> None:
        self.lengths, self.batch_size, self.accumulation = lengths, batch_size, accumulation
        self.seed, self.packed, self.epoch = seed, packed, 0
        self.drop_last = False

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order the next iteration follows."""
        self.epoch = epoch

    def __len__(self) -> int:
        return sum(-(-rows // self.batch_size) for rows in self._rows_per_step())

    def steps(self) -> int:
        """Return the optimizer steps of one epoch."""
        return len(self._rows_per_step())

    def __iter__(self) -> Iterator[list[int]]:
        order = np.random.default_rng((self.seed, self.epoch)).permutation(len(self.lengths))
        start = 0
        for rows in self._rows_per_step():
            chosen = [int(index) for index in order[start : start + rows]]
            yield from self._share_out(chosen)
            start += rows

    def _rows_per_step(self) -> list[int]:
        full, rest = divmod(len(self.lengths), self.batch_size * self.accumulation)
        return [self.batch_size * self.accumulation] * full + ([rest] if rest else [])

    def _share_out(self, rows: list[int]) -> list[list[int]]:
        longest_first = sorted(rows, key=lambda row: -self.lengths[row])
        count = -(-len(rows) // self.batch_size)
        if not self.packed:
            return [longest_first[i * self.batch_size :][: self.batch_size] for i in range(count)]
        packs: list[list[int]] = [[] for _ in range(count)]
        for row in longest_first:
            min(packs, key=lambda pack: sum(self.lengths[r] for r in pack)).append(row)
        return packs


def packed(examples: Sequence["Example"]) -> Batch:
    """Lay rows end to end in one sequence, (1, tokens); positions start anew at each row."""
    lengths = [len(example.input_ids) for example in examples]
    starts = np.cumsum([0, *lengths[:-1]])
    predict, targets = _supervised(examples, starts)
    positions = np.concatenate([np.arange(length) for length in lengths])
    tokens = np.concatenate([example.input_ids for example in examples])
    return {
        "input_ids": torch.from_numpy(tokens.astype(np.int64))[None],
        "position_ids": torch.from_numpy(positions)[None],
        "segments": tuple(lengths),
        "predict": predict,
        "targets": targets,
    }


def padded(examples: Sequence["Example"], pad_id: int) -> Batch:
    """Lay rows side by side, (rows, longest), filled up on the right."""
    longest = max(len(example.input_ids) for example in examples)
    tokens = np.full((len(examples), longest), pad_id, dtype=np.int64)
    mask = np.zeros_like(tokens)
    for i, example in enumerate(examples):
        tokens[i, : len(example.input_ids)] = example.input_ids
        mask[i, : len(example.input_ids)] = 1
    predict, targets = _supervised(examples, np.arange(len(examples)) * longest)
    return {
        "input_ids": torch.from_numpy(tokens),
        "attention_mask": torch.from_numpy(mask),
        "predict": predict,
        "targets": targets,
    }


def tokens_in(batch: Batch) -> int:
    """Return the number of real tokens, padding not counted."""
    if "attention_mask" in batch:
        return int(batch["attention_mask"].sum())
    return int(batch["input_ids"].numel())


def _supervised(
    examples: Sequence["Example"], starts: np.ndarray
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return flat positions that predict a learned token, and those tokens.

    A row's first token is predicted by nothing, whatever the row says about it.
    """
    predict, targets = [], []
    for example, start in zip(examples, starts, strict=True):
        learned = np.flatnonzero(example.trained[1:])
        predict.append(learned + start)
        targets.append(example.input_ids[1:][learned])
    positions, tokens = np.concatenate(predict), np.concatenate(targets)
    return torch.from_numpy(positions.astype(np.int64)), torch.from_numpy(tokens.astype(np.int64))
