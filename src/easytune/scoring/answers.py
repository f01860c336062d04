"""Metrics of what a model thinks of the reference: likelihood, its tokens, multiple choice."""

import numpy as np

from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import RowAnswer, TestRow
from easytune.scoring.measure import Counts, Measure, Totals, always, exponential, mean

_LIKELIHOOD = "own tokens of the reference, end token included, after the chat template"


def perplexity(totals: Totals) -> Totals:
    """Return e to the NLL per token of all references together."""
    return exponential(totals[..., 0] / totals[..., 1])


def accuracy(totals: Totals) -> Totals:
    """Return how many tokens of the references were the likeliest ones, 0 to 100."""
    return 100 * mean(totals)


def _nll_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    if answer.nll is None or not answer.reference_tokens:
        return None
    return answer.nll, float(answer.reference_tokens)


def _token_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    if answer.nll is None or not answer.reference_tokens:
        return None
    return float(answer.correct_tokens), float(answer.reference_tokens)


def _choice_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    """Count a right choice; a row whose reference is not among its choices has none."""
    if answer.choice is None or row.reference not in row.choices:
        return None
    return 100.0 * (row.choices[answer.choice] == row.reference), 1.0


def _as_unlikely(perplexity: float) -> float:
    """Return how good a perplexity is: ten percent more costs about ten points."""
    return -100 * float(np.log(perplexity))


MEASURES: tuple[Measure, ...] = (
    Measure(
        "token_accuracy", _token_counts, always(f"tokens:pooled|greedy|{_LIKELIHOOD}"),
        needs=frozenset({"reference", "likelihood"}), figure=accuracy,
    ),
    Measure(
        "perplexity", _nll_counts, always(f"exp(nll/tokens)|tokens:pooled|{_LIKELIHOOD}"),
        needs=frozenset({"reference", "likelihood"}), figure=perplexity, higher_is_better=False,
        scale=None, digits=2, goodness=_as_unlikely,
    ),
    Measure(
        "choice", _choice_counts, always("highest mean log-likelihood per token"),
        needs=frozenset({"reference", "likelihood", "choices"}), is_share=True,
    ),
)  # fmt: skip
"""Metrics of likelihood."""
