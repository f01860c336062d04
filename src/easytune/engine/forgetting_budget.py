"""How many sequences are measured, and how often, so that it costs at most 5% of training."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from easytune.forgetting import SHARE_OF_TIME

FEWEST = 8
"""Sequences; fewer are no measurement."""
ENOUGH = 16
"""Sequences; with fewer the interval is too wide for a curve: then rather fewer points."""
_PLANNED = 0.9 * SHARE_OF_TIME
# A step goes forward, and back at least to the inputs of every layer; logits it needs fewer.
_STEP_PER_FORWARD = 2.0


@dataclass(frozen=True)
class Work:
    """What is left to train: tokens, micro-batches, and evaluations with the one at the end."""

    tokens: int
    micro_batches: int
    evaluations: int


@dataclass(frozen=True)
class Timing:
    """How long reading so many tokens at once took."""

    tokens: int
    seconds: float


def clock(device: str) -> Callable[[], float]:
    """Return what tells the seconds that work takes on a kind of device.

    On the processor those in which it really computes: else another program that holds it for a
    moment would make a measurement of milliseconds look ten times as long.
    """
    return time.process_time if device == "cpu" else time.monotonic


class Budget:
    """Plans measurements before training by an estimate, and during it by what steps really take.

    With `enough` sequences more points are worth more than more sequences. `tokens` is how many the
    meter may read in the whole run, by the estimate; without one, all. `spent` are the seconds that
    measuring has cost so far.
    """

    def __init__(self, work: Work, enough: int = ENOUGH) -> None:
        self.work, self.enough, self.tokens, self.spent = work, enough, math.inf, 0.0
        self._cost, self._per_token, self._passed_over = 0.0, 0.0, 0

    def estimate(self, little: Timing, much: Timing, at_once: int) -> None:
        """Find out how many tokens may be read.

        `little` and `much` are the times of one sequence and of several at once: each forward
        takes a time of its own, which counts where micro-batches are small. The meter reads
        `at_once` tokens with one.
        """
        more = much.tokens - little.tokens
        slope = (much.seconds - little.seconds) / more if more > 0 else 0.0
        # Of times so short that one disturbs the other: between no time of its own and no other.
        per_token = min(max(slope, 0.0), much.seconds / much.tokens)
        per_forward = max(min(little.seconds, much.seconds) - per_token * little.tokens, 0.0)
        forward = self.work.tokens * per_token + self.work.micro_batches * per_forward
        self._per_token = per_token + per_forward / at_once
        self.tokens = _PLANNED * _STEP_PER_FORWARD * forward / self._per_token

    def sequences(self, mean: float, available: int, starts: int) -> int:
        """Return how many of the `available` sequences can be measured, 0 when not enough.

        `mean` is their length in tokens, `starts` how often all are read before the first step.
        """
        affordable = min(self.tokens / mean, 1e9)
        wished = int(affordable / (starts + self.work.evaluations))
        enough = min(self.enough, int(affordable / (starts + 1)))
        chosen = min(available, max(wished, enough))
        return chosen if chosen >= min(FEWEST, available) else 0

    def expect(self, tokens: int) -> None:
        """Take a measurement to read so many tokens, until one has shown what it costs."""
        self._cost = self._per_token * tokens

    def took(self, seconds: float) -> None:
        """Count what a measurement has cost; the next will cost as much."""
        self.spent += seconds
        self._cost = seconds

    def allows(self, later: int, training: float) -> bool:
        """Tell whether to measure at this evaluation.

        `later` evaluations follow, the one at the end included, which always has its share;
        `training` is what all steps of this run will have taken, in seconds.
        """
        left = (SHARE_OF_TIME * training - self.spent) / max(self._cost, 1e-9) - 1
        self._passed_over += 1
        if left < 1 or self._passed_over < math.ceil(later / left):
            return False
        self._passed_over = 0
        return True

    def covers(self, training: float, patience: float) -> bool:
        """Tell whether one more measurement costs what it may after `training` seconds of steps.

        Also not more seconds than `patience`.
        """
        return self._cost <= patience and self.spent + self._cost <= SHARE_OF_TIME * training
