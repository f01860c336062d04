"""The statistics of a version as HTML."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from easytune import i18n
from easytune.i18n import t
from easytune.webui import data_figures as figures
from easytune.webui import preview
from easytune.webui.data_figures import count, share

if TYPE_CHECKING:
    from easytune.data.insight.statistics import Examples, Percentiles, Statistics

SPREAD = ("least", "p5", "p25", "median", "p75", "p95", "p99", "most", "mean")
_OWN = "dataset_work.statistics"


def render(found: "Statistics", lang: str) -> str:
    """Return all figures of a version."""
    parts = [
        _tiles(found, lang),
        _repetitions(found, lang),
        _length(found, lang),
        f'<div class="work-grid">{"".join(_cards(found, lang))}</div>',
    ]
    return f'<div class="work-panel" id="data-statistics-shown">{"".join(parts)}</div>'


def language_name(code: str, lang: str) -> str:
    """Return a language's name in the visitor's; its code when we have no word for it."""
    if not code:
        return t(f"{_OWN}.language_unclear", lang)
    key = f"{_OWN}.language.{code}"
    return t(key, lang) if i18n.has(key) else code


def _tiles(found: "Statistics", lang: str) -> str:
    def say(name: str, value: str, note: str = "", tone: str = "") -> str:
        return figures.tile(t(f"{_OWN}.{name}", lang), value, note, tone, name)

    unusable = found.rows - found.usable
    drawn = [
        say("rows", count(found.rows), t(f"{_OWN}.of_usable", lang, rows=count(found.usable))),
        say("unusable", count(unusable), share(unusable, found.rows), "warn" if unusable else ""),
        say("held_out", count(found.held_out), share(found.held_out, found.rows)),
        say("turns", _turns(found), t(f"{_OWN}.turns_note", lang)),
        say("languages", count(len([code for code in found.languages if code])), _top(found, lang)),
    ]
    if found.characters:
        note = t(f"{_OWN}.up_to", lang, number=count(found.characters.p95))
        drawn.append(say("characters", count(found.characters.median), note))
    return figures.tiles(drawn)


def _turns(found: "Statistics") -> str:
    counts = [turns for turns in found.turns if turns]
    if not counts:
        return "–"
    return str(counts[0]) if len(counts) == 1 else f"{min(counts)} – {max(counts)}"


def _top(found: "Statistics", lang: str) -> str:
    if not found.languages:
        return ""
    code, rows = next(iter(found.languages.items()))
    return f"{language_name(code, lang)} {share(rows, found.usable)}"


def _repetitions(found: "Statistics", lang: str) -> str:
    kinds: list[tuple[str, Examples | None]] = [
        ("duplicates", found.duplicates),
        ("near_duplicates", found.near_duplicates),
        ("empty_answers", found.empty_answers),
        ("short_answers", found.short_answers),
    ]
    drawn = "".join(_examples(name, kind, found.rows, lang) for name, kind in kinds)
    return f'<div class="work-findings">{drawn}</div>'


def _examples(name: str, found: "Examples | None", rows: int, lang: str) -> str:
    title, help_text = t(f"{_OWN}.{name}", lang), t(f"{_OWN}.{name}_help", lang)
    tone = "" if found is None else ("work-warn" if found.rows else "work-good")
    value = "–" if found is None else count(found.rows)
    told = t(f"{_OWN}.not_searched", lang) if found is None else share(found.rows, rows)
    chips = figures.row_numbers(found.positions[:10]) if found else ""
    return (
        f'<div class="work-finding {tone}" data-figure="{name}">'
        f"<header><span>{escape(title)}</span><b>{value}</b><small>{escape(told)}</small></header>"
        f"<p>{escape(help_text)}</p>{chips}</div>"
    )


def _cards(found: "Statistics", lang: str) -> Sequence[str]:
    rest = t(f"{_OWN}.more", lang, count="{count}")

    def ranked(name: str, entries: list[tuple[str, int]], whole: int) -> str:
        return figures.card(
            t(f"{_OWN}.{name}_title", lang), figures.bars(entries, whole, rest), name
        )

    return [
        ranked("openings", [(o.text, o.rows) for o in found.openings], found.usable),
        ranked(
            "language",
            [(language_name(code, lang), rows) for code, rows in found.languages.items()],
            found.usable,
        ),
        ranked("turn", [(_turn(n, lang), rows) for n, rows in found.turns.items()], found.usable),
        ranked(
            "role",
            [(t(f"{_OWN}.role.{role}", lang), rows) for role, rows in found.roles.items()],
            found.usable,
        ),
        ranked(
            "problem",
            [(t(f"data.reason.{code}", lang), rows) for code, rows in found.problems.items()],
            found.rows,
        ),
        ranked(
            "repair",
            [(t(f"{_OWN}.repair.{code}", lang), rows) for code, rows in found.repairs.items()],
            found.rows,
        ),
    ]


def _turn(turns: int, lang: str) -> str:
    return t(f"{_OWN}.plain_text", lang) if not turns else t(f"{_OWN}.of_turns", lang, turns=turns)


def _length(found: "Statistics", lang: str) -> str:
    drawn = preview.histogram(found.character_bins, None, lang, f"{_OWN}.histogram")
    body = f'<div class="work-wide">{drawn}{_spread(found, lang)}</div>' if drawn else ""
    return figures.card(t(f"{_OWN}.length_title", lang), body, "length")


def _spread(found: "Statistics", lang: str) -> str:
    kinds: list[tuple[str, Percentiles | None]] = [
        (t(f"{_OWN}.characters_of_rows", lang), found.characters),
        (t(f"{_OWN}.characters_of_answers", lang), found.answer_characters),
        (t(f"{_OWN}.tokens", lang, rows=count(found.tokens_of)), found.tokens),
    ]
    rows = [[name, *(_figure(kind, at) for at in SPREAD)] for name, kind in kinds if kind]
    heads = ["", *(t(f"{_OWN}.spread.{name}", lang) for name in SPREAD)]
    return figures.table(heads, rows, "spread") if rows else ""


def _figure(spread: "Percentiles", name: str) -> str:
    return count(round(getattr(spread, name)))
