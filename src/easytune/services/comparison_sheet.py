"""A comparison in words, before it becomes HTML or Markdown: tables, prompts, answers."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from easytune import __version__
from easytune.generation import LoadingSection, SamplingSection, options
from easytune.i18n import t
from easytune.metrics import METRICS
from easytune.options import Option
from easytune.services.comparison import Column, Comparison, Entry, StoredAnswer
from easytune.services.report_table import Table
from easytune.services.votes import Pair


@dataclass(frozen=True)
class SheetAnswer:
    """One answer with what there is to say about it; `problem` where it failed."""

    label: str
    text: str
    thinking: str
    problem: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class SheetPrompt:
    """One prompt: who said what, the reference, and the answers."""

    title: str
    turns: tuple[tuple[str, str], ...]
    reference: str
    answers: tuple[SheetAnswer, ...]


@dataclass(frozen=True)
class Sheet:
    """Everything a report shows, in the order it shows it."""

    title: str
    subtitle: str
    tables: tuple[Table, ...]
    prompts: tuple[SheetPrompt, ...]


def write(
    comparison: Comparison,
    scores: Sequence[Mapping[str, float]],
    pairs: Sequence[Pair],
    lang: str,
) -> Sheet:
    """Return a comparison as a sheet in a language."""
    tables = [_settings(comparison, lang)]
    if comparison.entries and scores:
        tables.append(_results(comparison, scores, lang))
    if pairs:
        tables.append(_votes(comparison, pairs, lang))
    return Sheet(
        title=comparison.title or t("report_comparison.untitled", lang),
        subtitle=_subtitle(comparison, lang),
        tables=tuple(tables),
        prompts=tuple(_prompt(comparison, entry, lang) for entry in comparison.entries),
    )


def _subtitle(comparison: Comparison, lang: str) -> str:
    kind = t(f"report_comparison.kind.{comparison.kind}", lang, prompts=len(comparison.entries))
    when = f"{comparison.created:%Y-%m-%d %H:%M} UTC"
    return t("report_comparison.subtitle", lang, kind=kind, when=when, version=__version__)


# --- tables -----------------------------------------------------------------


def _settings(comparison: Comparison, lang: str) -> Table:
    columns = comparison.columns
    named: list[tuple[str, Callable[[Column], str]]] = [
        (t("report_comparison.model", lang), lambda column: column.model),
        (t("report_comparison.base", lang), _base),
        (t("report_comparison.version", lang), lambda column: column.version),
        (t("report_comparison.system", lang), lambda column: column.system),
    ]
    rows = [(name, *(value(column) for column in columns)) for name, value in named]
    for option in options():
        if option.name != "seed":
            values = (_option_value(column, option) for column in columns)
            rows.append((_option_label(option, lang), *values))
    rows.append((t("report_comparison.computed_on", lang), *_places(comparison)))
    drawn = t("report_comparison.drawn", lang)
    seeds = (drawn if c.sampling.seed is None else str(c.sampling.seed) for c in columns)
    rows.append((t("report_comparison.seed", lang), *seeds))
    return Table(
        title=t("report_comparison.columns", lang),
        head=("", *(column.label for column in columns)),
        rows=tuple(row for row in rows if any(row[1:])),
    )


def _base(column: Column) -> str:
    base = column.base or column.base_model
    return "" if base == column.model else base


def _places(comparison: Comparison) -> Iterator[str]:
    """Yield on what each column was computed, as the answers say."""
    for place in range(len(comparison.columns)):
        answers = (entry.answers[place] for entry in comparison.entries)
        details = (answer.details for answer in answers if answer and "device" in answer.details)
        names = (", ".join((d["device"], d["precision"], d["quantization"])) for d in details)
        yield "; ".join(dict.fromkeys(names))


def _option_value(column: Column, option: Option) -> str:
    section: SamplingSection | LoadingSection = getattr(column, option.section)
    value = getattr(section, option.name)
    if isinstance(value, tuple):
        return ", ".join(json.dumps(each, ensure_ascii=False) for each in value)
    return str(value)


def _option_label(option: Option, lang: str) -> str:
    key = f"option.{option.path}.label"
    text = t(key, lang)
    return option.label if text == key else text


def _results(comparison: Comparison, scores: Sequence[Mapping[str, float]], lang: str) -> Table:
    known = [name for name in (*METRICS, *_FIGURES) if any(name in column for column in scores)]
    rows = [
        (t(f"report_comparison.figure.{name}", lang), *(_figure(name, c) for c in scores))
        for name in known
    ]
    return Table(
        title=t("report_comparison.results", lang),
        head=("", *(column.label for column in comparison.columns)),
        rows=tuple(rows),
    )


_FIGURES = {
    "answered": ".0f",
    "tokens": ".1f",
    "tokens_per_second": ".1f",
    "first_token_seconds": ".2f",
}


def _figure(name: str, column: Mapping[str, float]) -> str:
    return format(column[name], _FIGURES.get(name, ".1f")) if name in column else "–"


def _votes(comparison: Comparison, pairs: Sequence[Pair], lang: str) -> Table:
    names = ("pair", "wins", "losses", "ties", "both_bad", "rate")
    rows = [
        (
            f"{comparison.columns[pair.a].label} / {comparison.columns[pair.b].label}",
            *(str(count) for count in (pair.wins_a, pair.wins_b, pair.ties, pair.both_bad)),
            f"{pair.rate:.0%} ({pair.low:.0%}–{pair.high:.0%})",
        )
        for pair in pairs
    ]
    return Table(
        title=t("report_comparison.votes", lang),
        head=tuple(t(f"report_comparison.vote.{name}", lang) for name in names),
        rows=tuple(rows),
    )


# --- prompts ----------------------------------------------------------------


def _prompt(comparison: Comparison, entry: Entry, lang: str) -> SheetPrompt:
    answers = zip(comparison.columns, entry.answers, strict=True)
    return SheetPrompt(
        title=t("report_comparison.prompt", lang, number=entry.position + 1),
        turns=tuple(
            (t(f"report_comparison.role.{turn.role}", lang), turn.content)
            for turn in entry.messages
        ),
        reference=entry.reference,
        answers=tuple(_answer(column, answer, lang) for column, answer in answers),
    )


def _answer(column: Column, answer: StoredAnswer | None, lang: str) -> SheetAnswer:
    if answer is None:
        return SheetAnswer(column.label, "", "", t("report_comparison.not_answered", lang), ())
    problem = t(f"error.{answer.code}", lang, **answer.values) if answer.code else ""
    facts = _facts(answer, lang)
    return SheetAnswer(column.label, answer.text, answer.thinking, problem, tuple(facts))


def _facts(answer: StoredAnswer, lang: str) -> list[str]:
    facts = [t(f"report_comparison.ended.{answer.reason}", lang)] if answer.reason else []
    for name in ("tokens", "tokens_per_second", "first_token_seconds", "seconds", "prompt_tokens"):
        value = answer.details.get(name)
        if value:
            facts.append(t(f"report_comparison.fact.{name}", lang, value=_short(value)))
    if answer.details.get("dropped"):
        facts.append(t("report_comparison.fact.dropped", lang, value=answer.details["dropped"]))
    if answer.details.get("mode"):
        facts.append(t(f"report_comparison.mode.{answer.details['mode']}", lang))
    facts.append(t("report_comparison.fact.seed", lang, value=answer.seed))
    for name, score in answer.scores.items():
        facts.append(f"{t(f'report_comparison.figure.{name}', lang)} {score:.1f}")
    return facts


def _short(value: Any) -> str:
    return str(value) if isinstance(value, int) else f"{value:.2f}".rstrip("0").rstrip(".")
