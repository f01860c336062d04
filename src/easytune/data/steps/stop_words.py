"""Removing words that carry little meaning."""

import logging
import re
import warnings
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from easytune.data.formats import Layout
from easytune.data.steps.options import StopWordsSection
from easytune.data.steps.step import Transform
from easytune.data.steps.texts import Texts

_LATIN = re.compile(r"[^\W\d_\u3400-\u9fff]+(?:['’-][^\W\d_\u3400-\u9fff]+)*[ \t]?")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]+")
_BEFORE_SIGN = re.compile(r"(?<![ \t])[ \t]++(?=[,.;:?!)\]]|$)", re.MULTILINE)


def prepare(options: StopWordsSection, found: Counter[str]) -> Transform:
    """Return what removes the stop words of a row, counting them in `found`."""
    texts, change = Texts(options.fields), remover(options, found)

    def remove(value: Any, layout: Layout) -> list[Any]:
        return [texts.changed(value, change)]

    return remove


def remover(options: StopWordsSection, found: Counter[str]) -> Callable[[str], str]:
    """Return what removes the stop words of a text; a text that is made of them only stays."""
    english, chinese = _listed(options)

    def remove(text: str) -> str:
        tally: Counter[str] = Counter()
        new = _without_latin(text, english, tally) if english else text
        new = _without_chinese(new, chinese, tally) if chinese and not new.isascii() else new
        if not tally or not re.search(r"\w", new):
            return text
        found.update(tally)
        return _BEFORE_SIGN.sub("", new).strip().lstrip(",.;: ，。；：、")

    return remove


def _listed(options: StopWordsSection) -> tuple[frozenset[str], frozenset[str]]:
    from stopwordsiso import stopwords

    own = {word.strip().lower() for word in options.words}
    kept = {word.strip().lower() for word in options.kept}
    english = ({*stopwords("en")} if options.english else set()) | own
    chinese = ({*stopwords("zh")} if options.chinese else set()) | own
    return (
        frozenset(word for word in english - kept if not _HAN.search(word)),
        frozenset(word for word in chinese - kept if _HAN.search(word)),
    )


def _without_latin(text: str, words: frozenset[str], tally: Counter[str]) -> str:
    def replace(match: re.Match[str]) -> str:
        if match[0].rstrip().lower().replace("’", "'") not in words:
            return match[0]
        tally["word"] += 1
        return ""

    return _LATIN.sub(replace, text)


def _without_chinese(text: str, words: frozenset[str], tally: Counter[str]) -> str:
    cut = _segmenter()

    def replace(match: re.Match[str]) -> str:
        parts = cut(match[0])
        kept = [part for part in parts if part not in words]
        if len(kept) < len(parts):
            tally["word"] += len(parts) - len(kept)
        return "".join(kept)

    return _HAN.sub(replace, text)


@cache
def _segmenter() -> Callable[[str], list[str]]:
    """Return what divides Chinese into words. Takes a second once."""
    with warnings.catch_warnings():
        # It asks for pkg_resources first, which warns of its own end.
        warnings.simplefilter("ignore")
        import jieba
    jieba.setLogLevel(logging.WARNING)
    divider = jieba.Tokenizer()
    # Else it would unmarshal a cache from where anybody can put one: the temporary folder.
    divider.FREQ, divider.total = divider.gen_pfdict(divider.get_dict_file())
    divider.initialized = True
    return divider.lcut
