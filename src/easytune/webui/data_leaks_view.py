"""What two sets have in common, as HTML."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from easytune.data.stored import StoredRow
from easytune.i18n import t
from easytune.webui import data_diff_view
from easytune.webui import data_figures as figures
from easytune.webui.data_figures import count, share

if TYPE_CHECKING:
    from easytune.data.insight.leaks import Leaks, Match

PAGE = 10
KINDS = ("exact", "near")
_OWN = "dataset_work.leaks"


def pairs(found: "Leaks", kind: str) -> "list[Match]":
    """Return the listed pairs of a kind."""
    return found.near if kind == "near" else found.exact


def first_kind(found: "Leaks") -> str:
    """Return the kind to show first: the worse one there is."""
    return "exact" if found.exact or not found.near else "near"


def render(
    found: "Leaks",
    kind: str,
    first: int,
    rows: Sequence[tuple[StoredRow, StoredRow]],
    lang: str,
) -> str:
    """Return the verdict, the counts, and a page of pairs; `rows` are those of that page."""
    parts = [_verdict(found, lang), figures.tiles(_tiles(found, lang))]
    if found.exact or found.near:
        parts.append(_pairs(found, kind, first, rows, lang))
    return f'<div class="work-panel" id="data-leaks-shown">{"".join(parts)}</div>'


def _verdict(found: "Leaks", lang: str) -> str:
    leaked = found.leaked_exact + found.leaked_near
    if not leaked:
        return figures.notice(t(f"{_OWN}.clean", lang), "good")
    said = t(f"{_OWN}.leaky", lang, rows=count(leaked), share=share(leaked, found.rows_b))
    return figures.notice(said, "bad")


def _tiles(found: "Leaks", lang: str) -> list[str]:
    def say(name: str, value: int, note: str = "", tone: str = "") -> str:
        return figures.tile(t(f"{_OWN}.figure.{name}", lang), count(value), note, tone, name)

    exact, near = found.leaked_exact, found.leaked_near
    similarity = t(f"{_OWN}.at_least", lang, share=f"{found.threshold:.0%}")
    return [
        say("rows_a", found.rows_a),
        say("rows_b", found.rows_b),
        say("exact", exact, share(exact, found.rows_b), "bad" if exact else ""),
        say("near", near, similarity, "warn" if near else ""),
    ]


def _pairs(
    found: "Leaks",
    kind: str,
    first: int,
    rows: Sequence[tuple[StoredRow, StoredRow]],
    lang: str,
) -> str:
    choices = "".join(_choice(name, len(pairs(found, name)), name == kind, lang) for name in KINDS)
    matches = pairs(found, kind)
    drawn = "".join(
        _pair(match, a, b, lang)
        for match, (a, b) in zip(matches[first : first + PAGE], rows, strict=True)
    )
    told = t(
        "dataset_work.diff.page", lang, first=count(first + 1), last=count(first + len(rows)),
        total=count(len(matches)),
    )  # fmt: skip
    names = (t("dataset_work.page_before", lang), t("dataset_work.page_after", lang))
    turning = figures.pages(first, PAGE, len(matches), told, names)
    return f'<div class="work-kinds" role="group">{choices}</div>{drawn}{turning}'


def _choice(name: str, number: int, is_chosen: bool, lang: str) -> str:
    said = escape(f"{t(f'{_OWN}.kind.{name}', lang)} {count(number)}")
    pressed, disabled = "true" if is_chosen else "false", "" if number else " disabled"
    return (
        f'<button type="button" class="et-mini work-kind" data-work="kind" data-kind="{name}"'
        f' aria-pressed="{pressed}"{disabled}>{said}</button>'
    )


def _pair(match: "Match", a: StoredRow, b: StoredRow, lang: str) -> str:
    where = t(f"{_OWN}.rows", lang, a=count(match.a + 1), b=count(match.b + 1))
    said = t(f"{_OWN}.similarity", lang, share=f"{match.similarity:.0%}")
    body = data_diff_view.compared(a, b) if match.similarity < 1 else ""
    kind = "changed" if match.similarity < 1 else "removed"
    return (
        f'<article class="work-change work-change-{kind}">'
        f"<header><b>{escape(where)}</b><span>{escape(said)}</span></header>"
        f"{body or data_diff_view.single(b, 'span')}</article>"
    )
