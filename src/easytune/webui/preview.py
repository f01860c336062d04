"""The panel "What the model sees": one row with every token's fate, and figures on all rows."""

from collections.abc import Iterable, Sequence
from html import escape
from itertools import groupby
from typing import Protocol

from easytune.data.preview import Piece, Preview
from easytune.i18n import t

SHOWN_CHARACTERS = 12_000
SHOWN_PROBLEMS = 20
KINDS = ("trained", "masked", "special", "truncated")
_WIDTH, _HEIGHT, _FLOOR, _ROOF = 480, 96, 76, 16


def render(preview: Preview, max_length: int, lang: str) -> str:
    """Return the panel as HTML. Everything from the dataset is escaped."""
    parts = (
        _figures(preview, max_length, lang),
        _notices(preview, lang),
        _dropped(preview, lang),
        _row(preview, lang),
        legend(preview.pieces, lang),
        histogram(preview.lengths, max_length, lang),
    )
    return f'<div class="et-preview">{"".join(parts)}</div>'


def message(text: str) -> str:
    """Return a panel that holds one sentence instead of a row."""
    said = f'<p class="et-fact et-bad" role="alert">{escape(text)}</p>'
    return f'<div class="et-preview">{said}</div>'


def tokens(pieces: Sequence[Piece], lang: str) -> str:
    """Return a row's pieces as spans, cut after SHOWN_CHARACTERS."""
    spans: list[str] = []
    left = SHOWN_CHARACTERS
    for (kind, control), group in groupby(pieces, key=lambda piece: (piece.kind, piece.control)):
        # Control tokens keep a frame each; of the rest, neighbours of a kind share a span.
        texts = [piece.text for piece in group]
        for text in texts if control else ["".join(texts)]:
            spans.append(_span(text[:left], kind, control))
            left -= len(text)
            if left <= 0:
                more = sum(len(piece.text) for piece in pieces) - SHOWN_CHARACTERS
                return "".join(spans) + _aside(t("train.preview.more", lang, count=f"{more:,}"))
    return "".join(spans)


def legend(pieces: Sequence[Piece], lang: str) -> str:
    """Return what the colours of a row mean, of those that are in it."""
    present = {piece.kind for piece in pieces}
    keys = [kind for kind in KINDS if kind in present]
    spans = [_span(t(f"train.preview.kind.{kind}", lang), kind, False) for kind in keys]
    return f'<div class="et-token-legend">{"".join(spans)}</div>'


class Counted(Protocol):
    """How many rows have `low` to `high` of what is counted, both included."""

    @property
    def low(self) -> int: ...
    @property
    def high(self) -> int: ...
    @property
    def rows(self) -> int: ...


def histogram(
    bars: Sequence[Counted], max_length: int | None, lang: str, texts: str = "train.preview"
) -> str:
    """Return an SVG of how many rows have how many tokens; a line marks `max_length`.

    `texts` holds the title (`lengths`) and what a bar says (`bar`), for counts of something else.
    """
    if not bars:
        return ""
    longest, most = bars[-1].high, max(bar.rows for bar in bars)
    scale = _WIDTH / max(longest, 1)
    unit = (_FLOOR - _ROOF) / max(most, 1)
    drawn = "".join(_bar(bar, scale, unit, lang, texts) for bar in bars if bar.rows)
    marked = max_length is not None and max_length <= longest
    line = _limit((max_length or 0) * scale, max_length or 0) if marked else ""
    title = escape(t(f"{texts}.lengths", lang))
    return (
        f'<figure class="et-lengths"><figcaption>{title}</figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{title}">{drawn}'
        f'<text class="axis" x="0" y="{_HEIGHT - 4}">{bars[0].low}</text>'
        f'<text class="axis" x="{_WIDTH}" y="{_HEIGHT - 4}" text-anchor="end">{longest:,}</text>'
        f"{line}</svg></figure>"
    )


def _figures(preview: Preview, max_length: int, lang: str) -> str:
    share = preview.supervised_tokens / preview.total_tokens if preview.total_tokens else 0.0
    said = [
        t("train.preview.used", lang, rows=f"{preview.used:,}", held_out=f"{preview.held_out:,}"),
        t("train.preview.truncated", lang, rows=f"{preview.truncated:,}", tokens=f"{max_length:,}"),
        t("train.preview.dropped", lang, rows=f"{preview.dropped:,}"),
        t("train.preview.trained", lang, share=f"{share:.0%}", tokens=f"{preview.total_tokens:,}"),
    ]
    if preview.left_out:
        said.append(t("train.preview.left_out", lang, rows=f"{preview.left_out:,}"))
    return (
        f'<div class="et-figures">{"".join(f"<span>{escape(text)}</span>" for text in said)}</div>'
    )


def _notices(preview: Preview, lang: str) -> str:
    said = [t(f"notice.{code}", lang, **values) for code, values in preview.notices]
    return _list(said) if said else ""


def _dropped(preview: Preview, lang: str) -> str:
    if not preview.problems:
        return ""
    said = [
        t(f"data.problem.{problem.code}", lang, **problem.placeholders)
        for problem in preview.problems[:SHOWN_PROBLEMS]
    ]
    if preview.dropped > len(said):
        said.append(t("train.preview.more_dropped", lang, rows=preview.dropped - len(said)))
    title = escape(t("train.preview.why_dropped", lang, rows=preview.dropped))
    return f"<details open><summary>{title}</summary>{_list(said)}</details>"


def _row(preview: Preview, lang: str) -> str:
    if not preview.pieces:
        return f'<p class="et-fact et-bad">{escape(t("train.preview.no_rows", lang))}</p>'
    name = "train.preview.row_held_out" if preview.row_held_out else "train.preview.row_of"
    title = t(
        name, lang, place=preview.index + 1, rows=preview.used + preview.held_out,
        number=preview.number, source=preview.source, tokens=f"{preview.row_tokens:,}",
        trained=f"{preview.row_trained:,}",
    )  # fmt: skip
    shown = tokens(preview.pieces, lang)
    return (
        f'<p class="et-fact">{escape(title)}</p>'
        f'<div class="et-tokens" tabindex="0" dir="auto" id="train-tokens">{shown}</div>'
    )


def _span(text: str, kind: str, control: bool) -> str:
    classes = f"tok tok-{kind} tok-control" if control else f"tok tok-{kind}"
    return f'<span class="{classes}">{escape(text)}</span>'


def _aside(text: str) -> str:
    return f' <i class="et-fact">{escape(text)}</i>'


def _list(texts: Iterable[str]) -> str:
    return f'<ul class="et-list">{"".join(f"<li>{escape(text)}</li>" for text in texts)}</ul>'


def _bar(bar: Counted, scale: float, unit: float, lang: str, texts: str) -> str:
    left, width = max(bar.low - 1, 0) * scale, (bar.high - bar.low + 1) * scale
    height = max(bar.rows * unit, 1.5)
    low, high, rows = (f"{number:,}" for number in (bar.low, bar.high, bar.rows))
    title = t(f"{texts}.bar", lang, low=low, high=high, rows=rows)
    return (
        f'<rect x="{left:.1f}" y="{_FLOOR - height:.1f}" width="{max(width - 1.5, 1):.1f}" '
        f'height="{height:.1f}" rx="1"><title>{escape(title)}</title></rect>'
    )


def _limit(x: float, max_length: int) -> str:
    anchor = "end" if x > _WIDTH / 2 else "start"
    beside = x - 4 if anchor == "end" else x + 4
    return (
        f'<line class="limit" x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{_FLOOR}"/>'
        f'<text class="limit-name" x="{beside:.1f}" y="11" text-anchor="{anchor}">'
        f"{max_length:,}</text>"
    )
