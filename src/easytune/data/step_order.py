"""Which rows make one step of a run, and how many steps there are. Arithmetic only, no torch.

The order of rows is a function of (seed, epoch) alone, so that a resumed run sees what an
uninterrupted one would have seen.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np

from easytune.config import ScheduleSection


class StepOrder:
    """Draws each optimizer step's rows at random, then shares them out over its micro-batches.

    Sharing happens within the step only, so the loss and gradient of the step do not change: when
    packing, longest row first into the emptiest pack, which keeps the largest pack (and with it
    the peak memory) small; when padding, rows of like length together.
    """

    def __init__(
        self,
        lengths: Sequence[int],
        batch_size: int,
        accumulation: int,
        seed: int,
        packed: bool,
        at_once: int | None = None,
    ) -> None:
        """`accumulation` counts the micro-batches of a step, over all processes that share it.

        With `at_once` packs are computed in parts of about so many tokens, see `in_parts`.
        """
        self.lengths, self.batch_size, self.accumulation = lengths, batch_size, accumulation
        self.seed, self.packed, self.at_once, self.epoch = seed, packed, at_once, 0

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

    def tokens_at_once(self) -> Iterator[int]:
        """Yield how many tokens each micro-batch of the epoch computes at once."""
        return map(self.tokens_of, self)

    def tokens_of(self, rows: Sequence[int]) -> int:
        """Return how many tokens a micro-batch of these rows computes at once, with padding."""
        lengths = [self.lengths[row] for row in rows]
        if not self.packed:
            return max(lengths) * len(lengths)
        return max(map(sum, in_parts(lengths, self.at_once)))

    def pairs_at_once(self) -> Iterator[int]:
        """Yield how many pairs of tokens attention looks at there."""
        for rows in self:
            lengths = [self.lengths[row] for row in rows]
            parts = in_parts(lengths, self.at_once)
            squares = (sum(length**2 for length in part) for part in parts)
            yield max(squares) if self.packed else max(lengths) ** 2 * len(lengths)

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


def in_parts(lengths: Sequence[int], at_once: int | None) -> list[list[int]]:
    """Cut rows that follow each other into equal parts, as near to `at_once` tokens as can be."""
    total = sum(lengths)
    count = max(1, round(total / at_once)) if at_once else 1
    parts: dict[int, list[int]] = {}
    start = 0
    for length in lengths:
        # A row belongs where its middle lies.
        parts.setdefault(int((start + length / 2) * count / total), []).append(length)
        start += length
    return [*parts.values()]


def total_steps(schedule: ScheduleSection, steps_per_epoch: int) -> int:
    """Return the optimizer steps of a whole run."""
    return schedule.max_steps or max(1, math.ceil(schedule.epochs * steps_per_epoch))
