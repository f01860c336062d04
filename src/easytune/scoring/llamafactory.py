"""The predict metrics of LLaMA-Factory, under its names, so that old numbers can be continued.

As its `ComputeSimilarity` has them: ROUGE of rouge-chinese on the words of jieba, BLEU-4 of nltk on
characters with smoothing 3, each rounded to four decimals per row and then averaged. They are not
to be compared with sacrebleu's BLEU or our ROUGE.
"""

import logging
from collections.abc import Callable
from functools import cache, lru_cache
from importlib import metadata
from typing import Any

from easytune.evaluation import EvaluateConfig
from easytune.scoring.measure import Measure, of_texts

EXTRA = "llamafactory-metrics"
_PACKAGES = {"jieba": "jieba", "rouge_chinese": "rouge-chinese", "nltk": "nltk"}


@lru_cache(32_768)
def bleu_4(answer: str, reference: str) -> float:
    """Return nltk's sentence BLEU of the characters, smoothed by method 3, 0 to 100."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    smoothing = SmoothingFunction().method3
    score: Any = sentence_bleu([list(reference)], list(answer), smoothing_function=smoothing)
    return round(float(score) * 100, 4)


@lru_cache(32_768)
def rouges(answer: str, reference: str) -> dict[str, float]:
    """Return rouge-1, rouge-2 and rouge-l of the words that jieba finds, 0 to 100."""
    from rouge_chinese import Rouge  # pyright: ignore[reportMissingImports]

    said, wanted = (" ".join(_divider()(text)) for text in (answer, reference))
    if not said.split() or not wanted.split():
        return {"rouge-1": 0.0, "rouge-2": 0.0, "rouge-l": 0.0}
    found: Any = Rouge().get_scores(said, wanted)
    (scores,) = found
    return {name: round(part["f"] * 100, 4) for name, part in scores.items()}


def _rouge(name: str) -> Callable[[str, str], float]:
    return lambda answer, reference: rouges(answer, reference)[name]


@cache
def _divider() -> Callable[[str], list[str]]:
    import jieba

    jieba.setLogLevel(logging.WARNING)
    return jieba.Tokenizer().lcut


def _signature(kind: str) -> Callable[[EvaluateConfig], str]:
    def describe(config: EvaluateConfig) -> str:
        found = (f"{name}:{metadata.version(name)}" for name in _PACKAGES.values())
        return f"llamafactory|{kind}|{'|'.join(found)}"

    return describe


def _measure(name: str, score: Callable[[str, str], float], kind: str) -> Measure:
    return Measure(f"predict_{name}", of_texts(score), _signature(kind), package=tuple(_PACKAGES))


MEASURES: tuple[Measure, ...] = (
    _measure("bleu-4", bleu_4, "nltk sentence_bleu|tok:char|smooth:method3"),
    *(
        _measure(name, _rouge(name), f"rouge-chinese {name} f|tok:jieba")
        for name in ("rouge-1", "rouge-2", "rouge-l")
    ),
)
"""LLaMA-Factory's metrics."""
