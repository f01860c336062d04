"""How near an answer comes to a reference: exact match, BLEU, ROUGE-L, chrF; 0 to 100.

Texts in scripts without spaces count too: the usual tokenizers score Chinese 0. An answer that
equals its reference scores 100 by every metric, an empty answer 0. sacrebleu is imported on first
use.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

# Han without the marks of other scripts is Chinese, which sacrebleu's "zh" splits by character.
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af]")
# Kana, Thai, Lao, Burmese, Khmer: no spaces between words, and no tokenizer that needs no model.
_UNSPACED = re.compile("[\u3040-\u30ff\uff66-\uff9f\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]")
_ALONE = re.compile(_HAN.pattern[:-1] + _UNSPACED.pattern[1:])
_WORD = re.compile(r"[^\W_]+")
_PIECE = re.compile(f"{_ALONE.pattern}|(?:(?!{_ALONE.pattern})[^\\W_])+")
# Counts of answers are kept: scores of a growing batch then cost what was added to it.
_KEPT = 32_768


@dataclass(frozen=True)
class Metric:
    """A measure.

    `score` takes (answer, reference), `corpus` all answers and all references, in the same order.
    `signature` says how it is computed, so that figures can be compared with others'.
    """

    name: str
    score: Callable[[str, str], float]
    corpus: Callable[[Sequence[str], Sequence[str]], float]
    signature: str


def exact_match(answer: str, reference: str) -> float:
    """Return 100 for the same text, apart from Unicode composition and white space, else 0."""
    same = plain(answer) == plain(reference)
    return 100.0 if same and answer.strip() else 0.0


def bleu(answer: str, reference: str) -> float:
    """Return sentence BLEU with exponential smoothing and effective order."""
    return corpus_bleu([answer], [reference])


def corpus_bleu(answers: Sequence[str], references: Sequence[str]) -> float:
    """Return BLEU over all answers: n-grams are counted together, not averaged."""
    pairs = list(zip(answers, references, strict=True))
    if not pairs:
        return 0.0
    # What sacrebleu's own corpus_score does, with the counts of each answer at hand.
    counts = [list(bleu_counts(answer, reference)) for answer, reference in pairs]
    return _bounded(_bleu()._aggregate_and_compute(counts).score)


@lru_cache(_KEPT)
def rouge_l(answer: str, reference: str) -> float:
    """Return the F-measure of the longest common subsequence of words."""
    said, wanted = words(answer), words(reference)
    common = _longest_common(said, wanted)
    return 200.0 * common / (len(said) + len(wanted)) if common else 0.0


def chrf(answer: str, reference: str) -> float:
    """Return chrF2: character n-grams up to six."""
    return corpus_chrf([answer], [reference])


def corpus_chrf(answers: Sequence[str], references: Sequence[str]) -> float:
    """Return chrF2 over all answers: n-grams are counted together, not averaged."""
    pairs = list(zip(answers, references, strict=True))
    if not pairs:
        return 0.0
    counts = [list(chrf_counts(answer, reference)) for answer, reference in pairs]
    return _bounded(_chrf()._aggregate_and_compute(counts).score)


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, each character of Chinese and its like as one.

    A text without any letter or digit is taken by its characters.
    """
    lower = plain(text).lower()
    pieces = (_PIECE if is_unspaced(lower) else _WORD).findall(lower)
    return pieces or [character for character in lower if not character.isspace()]


def is_unspaced(text: str) -> bool:
    """Tell whether a text has characters of a script that is written without spaces."""
    return _ALONE.search(text) is not None


def _mean(score: Callable[[str, str], float]) -> Callable[[Sequence[str], Sequence[str]], float]:
    def corpus(answers: Sequence[str], references: Sequence[str]) -> float:
        scores = [score(a, r) for a, r in zip(answers, references, strict=True)]
        return sum(scores) / len(scores) if scores else 0.0

    return corpus


def plain(text: str) -> str:
    """Return a text with composed letters and single spaces, which is how texts are compared."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _bounded(score: float) -> float:
    # Logarithms and back: 100.00000000000004.
    return min(100.0, max(0.0, round(score, 9)))


@lru_cache(_KEPT)
def bleu_counts(answer: str, reference: str) -> tuple[int, ...]:
    """Return what BLEU is made of for one answer, as sacrebleu counts it.

    Tokens of answer and reference, matching n-grams for n 1 to 4, n-grams of the answer.
    """
    said, wanted = _bleu_tokens(answer, reference), _bleu_tokens(reference, reference)
    (counts,) = _bleu()._extract_corpus_statistics([said], [[wanted]])
    return tuple(counts)


@lru_cache(_KEPT)
def chrf_counts(answer: str, reference: str) -> tuple[int, ...]:
    """Return what chrF is made of for one answer, as sacrebleu counts it.

    For n 1 to 6: character n-grams of the answer, of the reference, of both.
    """
    wanted = _chrf_reference(plain(reference))
    return tuple(_chrf()._compute_segment_statistics(plain(answer), wanted))


# The answers of several models to one row come one after the other.
@lru_cache(16)
def _chrf_reference(reference: str) -> dict[str, Any]:
    return _chrf()._extract_reference_info([reference])


def _bleu_tokens(text: str, reference: str) -> str:
    """Return the text's tokens between spaces, split as its reference's script needs."""
    name = "zh" if _HAN.search(reference) else "13a"
    if _UNSPACED.search(reference):
        name = "char"
    return _tokenizer(name)(plain(text))


@cache
def _tokenizer(name: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=name).tokenizer


@cache
def _bleu() -> "BLEU":
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize="none", force=True, effective_order=True)


@cache
def _chrf() -> "CHRF":
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def _longest_common(left: Sequence[str], right: Sequence[str]) -> int:
    """Return the length of the longest common subsequence.

    Bit-parallel (Hyyrö, "Bit-parallel LCS-length computation revisited", 2004): long answers cost
    milliseconds, where a table of both lengths costs gigabytes.
    """
    places: dict[str, int] = {}
    for place, word in enumerate(left):
        places[word] = places.get(word, 0) | 1 << place
    mask = (1 << len(left)) - 1
    row = mask
    for word in right:
        matches = row & places.get(word, 0)
        row = ((row + matches) | (row - matches)) & mask
    return len(left) - row.bit_count()


_SACREBLEU = f"version:{metadata.version('sacrebleu')}"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "exact_match", exact_match, _mean(exact_match), "case:mixed|space:collapsed|norm:NFC"
        ),
        Metric(
            "bleu", bleu, corpus_bleu,
            f"nrefs:1|case:mixed|eff:yes|tok:13a,zh,char by script|smooth:exp|{_SACREBLEU}",
        ),
        Metric("rouge_l", rouge_l, _mean(rouge_l), "rougeL|f1|case:lc|stem:no|tok:words,han:char"),
        Metric(
            "chrf", chrf, corpus_chrf,
            f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{_SACREBLEU}",
        ),
    )
}  # fmt: skip
"""Every metric by name."""
