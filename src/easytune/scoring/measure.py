"""What a metric is: counts per row, and a figure that is made of their sum.

One shape for all: a mean is the sum of scores over the number of rows, perplexity the sum of NLL
over the number of tokens, BLEU a formula of n-gram counts. So every figure can be resampled by
adding up rows, and a row's own score is the figure of that row alone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Literal

import numpy as np
import numpy.typing as npt

from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import RowAnswer, TestRow

Need = Literal["reference", "likelihood", "choices", "pattern", "contains", "json"]
Counts = tuple[float, ...]
Totals = npt.NDArray[np.float64]
"""Counts in the last axis."""
Counted = Callable[[TestRow, RowAnswer, EvaluateConfig], Counts | None]
Figured = Callable[[Totals], Totals]
Pairs = Sequence[tuple[TestRow, RowAnswer]]

PERCENT = 100.0


def mean(totals: Totals) -> Totals:
    """Return the mean of rows that count (score, 1)."""
    return totals[..., 0] / totals[..., 1]


def as_good(score: float) -> float:
    """Return a score of 0 to 100 as it is: the better, the higher."""
    return score


def as_bad(score: float) -> float:
    """Return how good a score is of which less is better."""
    return -score


@dataclass(frozen=True)
class Measure:
    """A metric. Figures run from 0 to `scale`, or have no upper end."""

    name: str
    counts: Counted
    """(row, answer, config) -> what is added up over rows; None where it does not apply."""
    describe: Callable[[EvaluateConfig], str]
    needs: frozenset[Need] = frozenset({"reference"})
    figure: Figured = mean
    higher_is_better: bool | None = True
    """None where neither is: a length ratio is best at 1."""
    scale: float | None = PERCENT
    digits: int = 1
    """Decimals that are worth showing."""
    is_share: bool = False
    """Whether a row scores 0 or 100 and nothing between."""
    goodness: Callable[[float], float] = as_good
    """How good a row's score is, in points of 100: what flips compare."""
    package: tuple[str, ...] = ()
    """Modules that it needs and that EasyTune does not install by itself."""

    @property
    def missing(self) -> list[str]:
        """Return the modules of `package` that are not installed."""
        return [module for module in self.package if find_spec(module) is None]

    def score(self, row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> float | None:
        """Return the score of one answer; None where the metric does not apply."""
        counts = self.counts(row, answer, config)
        return None if counts is None else float(self.figure(np.array(counts, dtype=float)))

    def corpus(self, pairs: Pairs, config: EvaluateConfig) -> float | None:
        """Return the figure of several answers; None where the metric applies to none of them."""
        counted = [self.counts(row, answer, config) for row, answer in pairs]
        known = [counts for counts in counted if counts is not None]
        return float(self.figure(np.array(known, dtype=float).sum(axis=0))) if known else None

    def signature(self, config: EvaluateConfig) -> str:
        """Return how it is computed, so that figures can be compared with others'."""
        return self.describe(config)


def of_texts(score: Callable[[str, str], float]) -> Counted:
    """Return counts of a mean over the rows that have both an answer and a reference."""

    def counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
        reference = wanted(row)
        if reference is None or answer.code:
            return None
        return score(answer.text, reference), 1.0

    return counts


def wanted(row: TestRow) -> str | None:
    """Return the reference; None for an empty one too, which no answer can come near."""
    return row.reference if row.reference and row.reference.strip() else None


def always(signature: str) -> Callable[[EvaluateConfig], str]:
    """Return a description that does not depend on what was asked for."""
    return lambda config: signature


def exponential(nats: Totals) -> Totals:
    """Return e to the power of `nats`, which stays a number however unlikely a text is."""
    return np.exp(np.minimum(nats, math.log(1e12)))
