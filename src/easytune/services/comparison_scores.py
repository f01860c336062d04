"""What the answers of a comparison are worth in numbers, per answer and per column."""

from collections.abc import Iterator, Sequence

from easytune.metrics import METRICS
from easytune.services.comparison import Comparison, Entry, StoredAnswer

_FIGURES = ("tokens", "tokens_per_second", "first_token_seconds")


def scores_of(text: str, reference: str) -> dict[str, float]:
    """Return the likeness of one answer to its reference by metric; empty without a reference."""
    if not reference.strip():
        return {}
    return {name: metric.score(text, reference) for name, metric in METRICS.items()}


def column_scores(comparison: Comparison, column: int) -> dict[str, float]:
    """Return the corpus score of a column by metric, and what its answers took on average.

    An answer that failed counts as an empty one, or a column that fails at the hard prompts would
    look better for it. Prompts that are yet to be answered do not count.
    """
    answered = list(_answered(comparison.entries, column))
    answers = [answer for _, answer in answered]
    figures: dict[str, float] = {"answered": sum(bool(answer.text) for answer in answers)}
    for name in _FIGURES:
        known = [value for answer in answers if (value := answer.details.get(name)) is not None]
        if known:
            figures[name] = sum(known) / len(known)
    return _corpus_scores(answered) | figures


def _corpus_scores(answered: Sequence[tuple[Entry, StoredAnswer]]) -> dict[str, float]:
    judged = [(answer.text, entry.reference) for entry, answer in answered if entry.reference]
    if not judged:
        return {}
    texts, references = zip(*judged, strict=True)
    return {name: metric.corpus(texts, references) for name, metric in METRICS.items()}


def _answered(entries: Sequence[Entry], column: int) -> Iterator[tuple[Entry, StoredAnswer]]:
    for entry in entries:
        answer = entry.answers[column]
        if answer is not None:
            yield entry, answer
