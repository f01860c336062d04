"""Comparisons as the page draws them: plain data for `assets/compare.js`.

Texts of models go out as text, which the browser writes as text; the only HTML here comes from
`answers_html` and from `marked`, which escape it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from easytune.generation import GenerationConfig, SamplingSection
from easytune.i18n import t
from easytune.options import declared
from easytune.services.catalogue import Model
from easytune.services.comparison import Column, Comparison, Entry, StoredAnswer
from easytune.services.differences import differences
from easytune.webui import answers_html, language

Drawn = dict[str, Any]
OFF = -1
FACTS = ("seconds", "first_token", "speed", "tokens")


@dataclass(frozen=True)
class Look:
    """How answers are to be shown."""

    lang: str
    reference: int = OFF
    """Column the others are compared with, word by word; OFF shows them as they are."""


def look_at(lang: str, marking: Any, reference: Any) -> Look:
    """Return the look that the controls of the differences ask for."""
    return Look(lang, reference if marking and isinstance(reference, int) else OFF)


def reference_choices(columns: Sequence[Column], chosen: Any) -> Drawn:
    """Return the columns to compare with, for a dropdown; the first unless one was chosen."""
    choices = [(f"{place + 1} · {column.label}", place) for place, column in enumerate(columns)]
    known = isinstance(chosen, int) and 0 <= chosen < len(columns)
    return {"choices": choices, "value": chosen if known else 0}


def grid(comparison: Comparison, models: Sequence[Model], look: Look) -> Drawn:
    """Return the heads and all turns of a comparison; `models` are those of the catalogue."""
    bases = bases_of(comparison.columns, models)
    return {
        "id": comparison.id,
        "heads": heads(comparison.columns, look.lang),
        "turns": [turn(entry, bases, look) for entry in comparison.entries],
        "texts": texts(look.lang),
    }


def heads(columns: Sequence[Column], lang: str) -> list[Drawn]:
    """Return the name of each column and what sets it apart."""
    return [
        {"title": column.label or column.model, "note": _differing(column, columns, lang)}
        for column in columns
    ]


def texts(lang: str) -> dict[str, str]:
    """Return the fixed words of the grid."""
    names = ("thinking", "stop", "you", *FACTS)
    return {name: t(f"compare.answer.{name}", lang) for name in names}


def turn(entry: Entry, bases: Sequence[str], look: Look) -> Drawn:
    """Return one prompt with its stored answers."""
    answers = entry.answers
    modes = [(a.details.get("mode") or "") if a else "" for a in answers]
    return {
        "prompt": entry.prompt,
        "line": together(modes, bases, look.lang),
        "answers": [
            drawn(answer, _text_of(answers, look.reference), place, look)
            for place, answer in enumerate(answers)
        ],
    }


def drawn(answer: StoredAnswer | None, reference: str | None, place: int, look: Look) -> Drawn:
    """Return a stored answer; `reference` is the text of the column it is compared with."""
    if answer is None:
        return {"state": "missing", "chip": t("compare.state.missing", look.lang)}
    compared = look.reference != OFF and reference is not None and place != look.reference
    html = marked(reference or "", answer.text) if compared else answers_html.render(answer.text)
    return {
        "state": answer.reason or "ended",
        "chip": ending(answer.reason, look.lang),
        "html": html,
        "plain": compared,
        "thinking": answer.thinking,
        "facts": facts(answer.details, look.lang),
        "problem": problem(answer.code, answer.values, look.lang),
    }


def marked(reference: str, text: str) -> str:
    """Return a text as safe HTML with the words marked that differ from the reference."""
    parts = differences(reference, text)
    return "".join(f"<mark>{escape(p)}</mark>" if new else escape(p) for p, new in parts)


def facts(details: dict[str, Any], lang: str) -> list[str]:
    """Return time, time to the first token, tokens per second and length, as people write them."""
    seconds, first = details.get("seconds"), details.get("first_token_seconds")
    speed, tokens = details.get("tokens_per_second"), details.get("tokens")
    nothing = t("monitor.none", lang)
    return [
        f"{seconds:.1f} s" if seconds else nothing,
        f"{first:.2f} s" if first is not None else nothing,
        f"{speed:.1f}" if speed else nothing,
        str(tokens) if tokens is not None else nothing,
    ]


def ending(reason: str, lang: str) -> str:
    """Return how an answer ended, in a word or two."""
    return t(f"compare.ending.{reason or 'stop'}", lang)


def problem(code: str, values: dict[str, Any], lang: str) -> str:
    """Return the sentence about what went wrong in a column; empty when nothing did."""
    return t(f"error.{code}", lang, **values) if code else ""


def together(modes: Sequence[str], bases: Sequence[str], lang: str) -> str:
    """Return which columns were computed as one batch, and which in turn and why.

    `modes` are those of `wire.Began`, empty for a column that has not begun; `bases` name the base
    model of each column.
    """
    found: dict[str, list[str]] = {}
    for place, (mode, base) in enumerate(zip(modes, bases, strict=True)):
        if mode:
            kind = "other_base" if mode != "in_turn" and base != bases[0] else mode
            found.setdefault(kind, []).append(str(place + 1))
    comma = t("compare.together.comma", lang)
    kinds = [kind for kind in ("batch", "alone", "in_turn", "other_base") if kind in found]
    return " ".join(
        t(f"compare.together.{kind}", lang, columns=comma.join(found[kind])) for kind in kinds
    )


def bases_of(columns: Sequence[Column], models: Sequence[Model]) -> list[str]:
    """Return the id of each column's base model, as far as it is known."""
    known = {model.id: model.base or model.id for model in models}
    return [column.base or known.get(column.model, column.model) for column in columns]


def _text_of(answers: Sequence[StoredAnswer | None], column: int) -> str | None:
    chosen = answers[column] if 0 <= column < len(answers) else None
    return chosen.text if chosen is not None else None


def _differing(column: Column, columns: Sequence[Column], lang: str) -> str:
    """Return the settings of a column that not all columns share."""
    parts = [
        f"{language.option_name(f'sampling.{name}', lang)} {_value(column.sampling, name)}"
        for name in _sampling_names()
        if len({_value(other.sampling, name) for other in columns}) > 1
    ]
    if len({other.system for other in columns}) > 1:
        parts.append(column.system or t("compare.no_system", lang))
    return " · ".join(parts)


def _sampling_names() -> list[str]:
    return [o.name for o in declared(GenerationConfig) if o.section == "sampling"]


def _value(sampling: SamplingSection, name: str) -> str:
    value = getattr(sampling, name)
    if isinstance(value, float):
        return f"{value:g}"
    return "–" if value in (None, ()) else str(value)
