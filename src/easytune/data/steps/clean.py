"""Making texts uniform: characters that do not show, HTML, blanks, Unicode form, width."""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Any

from easytune.data.formats import Layout
from easytune.data.steps.options import CleanSection
from easytune.data.steps.step import Transform
from easytune.data.steps.texts import Texts

# Joiners (U+200C, U+200D) stay: emoji and several scripts are written with them.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e"
    "\u2060-\u2064\u2066-\u206f\ufeff\ufff0-\ufffb\ufffe\uffff\ud800-\udfff]"
)
_FENCES = re.compile(r"(```.*?```|~~~.*?~~~)", re.DOTALL)
_BLANKS = re.compile(r"[^\S\n]{2,}")
_ODD_BLANKS = re.compile("[\u00a0\u2000-\u200a\u202f\u205f]")
_EMPTY_LINES = re.compile(r"\n{3,}")
_TAGS = (
    "a|abbr|acronym|address|article|aside|audio|b|base|bdi|bdo|big|blockquote|body|br|button|"
    "canvas|caption|center|cite|code|col|colgroup|dd|del|details|dfn|dialog|div|dl|dt|em|embed|"
    "fieldset|figcaption|figure|font|footer|form|frame|frameset|h[1-6]|head|header|hr|html|i|"
    "iframe|img|input|ins|kbd|label|legend|li|link|main|map|mark|meta|nav|noscript|object|ol|"
    "optgroup|option|p|picture|pre|q|s|samp|script|section|select|small|source|span|strike|"
    "strong|style|sub|summary|sup|svg|table|tbody|td|template|textarea|tfoot|th|thead|time|"
    "title|tr|tt|u|ul|var|video|wbr"
)
_HIDDEN = (("<!--", "-->"), ("<script", "</script>"), ("<style", "</style>"))
_BREAK = re.compile(
    r"<br\s*/?>|</(?:p|div|li|tr|h[1-6]|blockquote|table|ul|ol|section|article)\s*>", re.IGNORECASE
)
# Only HTML's own names: `<think>` and `List<String>` are no markup.
_TAG = re.compile(rf"</?(?:{_TAGS})(?:\s[^<>]*)?/?>|<!doctype[^<>]*>", re.IGNORECASE)
_LETTERS = {
    **{code: code - 0xFEE0 for first, last in ((0xFF10, 0xFF19), (0xFF21, 0xFF3A), (0xFF41, 0xFF5A))
       for code in range(first, last + 1)},
    0x3000: 0x20,
}  # fmt: skip
_HALF = {**{code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}, 0x3000: 0x20}
_KATAKANA = re.compile("[\uff61-\uff9f]+")
_HAN = "\u3400-\u4dbf\u4e00-\u9fff"
_WIDE = str.maketrans(",?!:;", "，？！：；")
_SIGN = re.compile(rf"(?<=[{_HAN}）」』”])[,?!:;]")
_STOP = re.compile(rf"(?<=[{_HAN}）」』”])\.(?=\s|$|[{_HAN}])")
_BRACKETS = re.compile(rf"\(([^()\n]{{0,200}}[{_HAN}][^()\n]{{0,200}})\)")


def prepare(options: CleanSection, found: Counter[str]) -> Transform:
    """Return what cleans a row."""
    texts, change = Texts(options.fields), cleaner(options)

    def clean(value: Any, layout: Layout) -> list[Any]:
        return [texts.changed(value, change)]

    return clean


def cleaner(options: CleanSection) -> Callable[[str], str]:
    """Return what cleans a text."""
    everywhere = [change for change in (_characters(options), _form(options)) if change]
    outside: list[Callable[[str], str]] = [_without_html] if options.html else []
    outside += [_tidy] if options.whitespace else []
    width = {"letters": _narrow_letters, "half": _narrow, "chinese": _widen}.get(options.width)

    def clean(text: str) -> str:
        new = text
        for change in everywhere:
            new = change(new)
        if outside or width:
            new = _outside_fences(new, [*outside, *([width] if width else [])])
        new = new.strip() if options.whitespace else new
        return text if new == text else new

    return clean


def _characters(options: CleanSection) -> Callable[[str], str] | None:
    return _visible if options.control_characters else None


def _visible(text: str) -> str:
    text = text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
    return _INVISIBLE.sub("", text)


def _form(options: CleanSection) -> Callable[[str], str] | None:
    form = options.unicode
    if form == "keep":
        return None

    def normal(text: str) -> str:
        return text if unicodedata.is_normalized(form, text) else unicodedata.normalize(form, text)

    return normal


def _outside_fences(text: str, changes: list[Callable[[str], str]]) -> str:
    """Change a text but for its Markdown code."""
    if "```" not in text and "~~~" not in text:
        return _all(text, changes)
    parts = _FENCES.split(text)
    return "".join(part if place % 2 else _all(part, changes) for place, part in enumerate(parts))


def _all(text: str, changes: list[Callable[[str], str]]) -> str:
    for change in changes:
        text = change(text)
    return text


def _without_html(text: str) -> str:
    if "<" in text:
        for opening, closing in _HIDDEN:
            text = _cut(text, opening, closing)
        text = _TAG.sub("", _BREAK.sub("\n", text))
    return html.unescape(text) if "&" in text else text


def _cut(text: str, opening: str, closing: str) -> str:
    """Return a text without what stands between these; what is never closed stays.

    Not by pattern: a thousand openings without a closing would take it a thousand passes.
    """
    low = text.lower()
    # Some letters, such as a Turkish capital I, are longer in lower case.
    low = low if len(low) == len(text) else text
    pieces, end = [], 0
    while (first := low.find(opening, end)) >= 0:
        last = low.find(closing, first)
        if last < 0:
            break
        pieces.append(text[end:first])
        end = last + len(closing)
    return "".join([*pieces, text[end:]]) if pieces else text


def _tidy(text: str) -> str:
    if not text.isascii():
        text = _ODD_BLANKS.sub(" ", text)
    *lines, last = text.split("\n")
    # What follows the last line may be code: its indentation stays, and the blank before it.
    ends = last if last.isspace() else _single_blanks(last)
    text = "\n".join([*(_single_blanks(line).rstrip() for line in lines), ends])
    return _EMPTY_LINES.sub("\n\n", text)


def _single_blanks(line: str) -> str:
    """Return a line with one blank between its words; its indentation stays."""
    words = line.lstrip()
    return line[: len(line) - len(words)] + _BLANKS.sub(" ", words)


def _narrow_letters(text: str) -> str:
    return text if text.isascii() else _whole_kana(text.translate(_LETTERS))


def _narrow(text: str) -> str:
    return text if text.isascii() else _whole_kana(text.translate(_HALF))


def _whole_kana(text: str) -> str:
    """Write half-width Japanese letters as they are usually written."""
    return _KATAKANA.sub(lambda found: unicodedata.normalize("NFKC", found[0]), text)


def _widen(text: str) -> str:
    if text.isascii():
        return text
    text = _BRACKETS.sub(r"（\1）", text)
    text = _SIGN.sub(lambda found: found[0].translate(_WIDE), text)
    return _STOP.sub("。", text)
