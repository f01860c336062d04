"""Metrics of an answer's text, most of them against the reference.

BLEU and chrF are sacrebleu's (Papineni et al. 2002; Popović 2015; Post 2018), ROUGE is that of
rouge_score (Lin 2004) on words that know Chinese and Japanese, F1 that of SQuAD (Rajpurkar et al.
2016) with each Chinese character as a word, as MLQA has it (Lewis et al. 2020).
"""

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache, partial

import numpy as np

from easytune import metrics
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import RowAnswer, TestRow
from easytune.metrics import METRICS
from easytune.scoring.measure import (
    Counted,
    Counts,
    Measure,
    Totals,
    always,
    as_bad,
    mean,
    of_texts,
    wanted,
)

# The pattern is the user's, and some take years on some texts.
_PATTERN_SECONDS = 0.5
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_REPEATED_WORDS = 4
_ORDERS_OF_BLEU = 4


def bleu(totals: Totals) -> Totals:
    """Return BLEU of added-up `metrics.bleu_counts`: exponential smoothing, effective order."""
    said, wanted_tokens = totals[..., 0], totals[..., 1]
    matched = totals[..., 2 : 2 + _ORDERS_OF_BLEU]
    counted = totals[..., 2 + _ORDERS_OF_BLEU :]
    used = counted > 0
    halvings = 2.0 ** np.cumsum(used & (matched == 0), axis=-1)
    numerator = np.where(matched > 0, matched, 1 / halvings)
    precision = np.log(np.where(used, numerator / np.where(used, counted, 1), 1)).sum(axis=-1)
    brevity = np.minimum(1 - wanted_tokens / np.maximum(said, 1), 0)
    score = np.exp(brevity + precision / np.maximum(used.sum(axis=-1), 1))
    return _percent(np.where((matched > 0).any(axis=-1), score, 0))


def chrf(totals: Totals) -> Totals:
    """Return chrF2 of added-up `metrics.chrf_counts`: means over the orders that occur."""
    said, wanted_grams, matched = totals[..., 0::3], totals[..., 1::3], totals[..., 2::3]
    used = (said > 0) & (wanted_grams > 0)
    orders = np.maximum(used.sum(axis=-1), 1)
    precision = np.where(used, matched / np.maximum(said, 1), 0).sum(axis=-1) / orders
    recall = np.where(used, matched / np.maximum(wanted_grams, 1), 0).sum(axis=-1) / orders
    below = 4 * precision + recall
    return _percent(5 * precision * recall / np.where(below > 0, below, 1))


def rouge(order: int, answer: str, reference: str) -> float:
    """Return ROUGE-N: the F-measure of matching runs of `order` words, 0 to 100."""
    said, wanted_grams = _grams(answer, order), _grams(reference, order)
    matched = sum((Counter(said) & Counter(wanted_grams)).values())
    return 200 * matched / (len(said) + len(wanted_grams)) if matched else 0.0


def f1(answer: str, reference: str) -> float:
    """Return the F-measure of shared words without case, punctuation and articles, 0 to 100."""
    said, wanted_words = _short(answer), _short(reference)
    if not said or not wanted_words:
        return 100.0 * (said == wanted_words)
    matched = sum((Counter(said) & Counter(wanted_words)).values())
    return 200 * matched / (len(said) + len(wanted_words))


def repetition(text: str) -> float:
    """Return the share of runs of four words that were there before, 0 to 100.

    It is seq-rep-4 of Welleck et al. 2020, "Neural Text Generation With Unlikelihood Training".
    """
    grams = _grams(text, _REPEATED_WORDS)
    return 100 * (1 - len(set(grams)) / len(grams)) if grams else 0.0


def _of_counts(count: Callable[[str, str], Sequence[int]]) -> Counted:
    def counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
        reference = wanted(row)
        return None if reference is None or answer.code else tuple(count(answer.text, reference))

    return counts


def _length_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    reference = wanted(row)
    if reference is None or answer.code:
        return None
    return float(len(metrics.words(answer.text))), float(len(metrics.words(reference)))


def _repetition_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    return None if answer.code else (repetition(answer.text), 1.0)


def _contains_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    texts = [metrics.plain(text) for text in config.measure.contains if text.strip()]
    if answer.code or not texts:
        return None
    said = metrics.plain(answer.text)
    return 100.0 * all(text in said for text in texts), 1.0


def _pattern_counts(row: TestRow, answer: RowAnswer, config: EvaluateConfig) -> Counts | None:
    if answer.code or not config.measure.pattern:
        return None
    try:
        found = _searched(config.measure.pattern, answer.text)
    except TimeoutError:
        return None
    return 100.0 * found, 1.0


@lru_cache(4096)
def _searched(pattern: str, text: str) -> bool:
    import regex

    return regex.search(pattern, text, timeout=_PATTERN_SECONDS) is not None


def pattern_problem(pattern: str) -> str | None:
    """Return why a regular expression cannot be understood; None when it can."""
    import regex

    try:
        regex.compile(pattern)
    except regex.error as error:
        return str(error)
    return None


def _percent(share: Totals) -> Totals:
    # Logarithms and back: 100.00000000000004.
    return np.clip(np.round(100 * share, 9), 0, 100)


@lru_cache(32_768)
def _grams(text: str, order: int) -> tuple[tuple[str, ...], ...]:
    words = metrics.words(text)
    return tuple(tuple(words[at : at + order]) for at in range(len(words) - order + 1))


def _short(text: str) -> list[str]:
    """Return the words that short answers are compared by."""
    lower = metrics.plain(text).lower()
    bare = lower.translate(_WITHOUT_PUNCTUATION)
    return [
        word
        for piece in _ARTICLES.sub(" ", bare).split()
        for word in (metrics.words(piece) if metrics.is_unspaced(piece) else [piece])
    ]


class _WithoutPunctuation(dict[int, int | None]):
    """Punctuation marks that have been met -> None, all other signs -> themselves."""

    def __missing__(self, code: int) -> int | None:
        sign = chr(code)
        is_mark = sign in string.punctuation or unicodedata.category(sign).startswith("P")
        self[code] = None if is_mark else code
        return self[code]


_WITHOUT_PUNCTUATION = _WithoutPunctuation()


def _length_goodness(ratio: float) -> float:
    """Return how near a length ratio is to 1, in points: a tenth too long or short costs ten."""
    return -100 * abs(float(np.log(min(max(ratio, 1e-3), 1e3))))


def _described_pattern(config: EvaluateConfig) -> str:
    return f"search:{config.measure.pattern}|engine:regex|timeout:{_PATTERN_SECONDS:g}s"


def _described_contains(config: EvaluateConfig) -> str:
    return f"all:{list(config.measure.contains)}|case:mixed|space:collapsed|norm:NFC"


_WORDS = "f1|case:lc|stem:no|tok:words,han:char"
_OF_SACREBLEU = {"bleu": (metrics.bleu_counts, bleu), "chrf": (metrics.chrf_counts, chrf)}

MEASURES: tuple[Measure, ...] = (
    Measure(
        "exact_match", of_texts(metrics.exact_match), always(METRICS["exact_match"].signature),
        is_share=True,
    ),
    *(
        Measure(name, _of_counts(count), always(METRICS[name].signature), figure=figure)
        for name, (count, figure) in _OF_SACREBLEU.items()
    ),
    *(
        Measure(f"rouge_{n}", of_texts(partial(rouge, n)), always(f"rouge{n}|{_WORDS}"))
        for n in (1, 2)
    ),
    Measure("rouge_l", of_texts(metrics.rouge_l), always(METRICS["rouge_l"].signature)),
    Measure(
        "f1", of_texts(f1),
        always("f1|case:lc|articles:dropped|punct:dropped|tok:spaces,han:char"),
    ),
    Measure(
        "pattern", _pattern_counts, _described_pattern, needs=frozenset({"pattern"}),
        is_share=True,
    ),
    Measure(
        "contains", _contains_counts, _described_contains, needs=frozenset({"contains"}),
        is_share=True,
    ),
    Measure(
        "length_ratio", _length_counts, always("words of answer / words of reference"),
        figure=mean, higher_is_better=None, scale=None, digits=2, goodness=_length_goodness,
    ),
    Measure(
        "repetition", _repetition_counts, always("seq-rep-4|tok:words,han:char"),
        needs=frozenset(), higher_is_better=False, goodness=as_bad,
    ),
)  # fmt: skip
"""Metrics of texts alone."""
