"""A pipeline and what it would change, as HTML."""

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from easytune import i18n
from easytune.data.steps.pipeline import Pipeline, StepSpec
from easytune.data.stored import StoredRow, row_text
from easytune.i18n import t
from easytune.webui import data_diff_view
from easytune.webui import data_figures as figures
from easytune.webui.data_figures import count
from easytune.webui.language import option_name

if TYPE_CHECKING:
    from easytune.data.steps.running import Pair, Previewed
    from easytune.data.steps.step import StepCount

PAGE = 10
KINDS = ("all", "changed", "dropped")
_SHOWN_CHARACTERS = 60
_OWN = "dataset_work.preprocess"


def steps(pipeline: Pipeline, at: int, broken: bool, lang: str) -> str:
    """Return the steps in their order; the options of the one at place `at` are shown.

    `broken`: an option of that step cannot be used.
    """
    if not pipeline.steps:
        return figures.empty(t(f"{_OWN}.no_steps", lang))
    drawn = "".join(
        _step(spec, place, place == at, broken and place == at, len(pipeline.steps), lang)
        for place, spec in enumerate(pipeline.steps)
    )
    active = pipeline.steps[at].name if 0 <= at < len(pipeline.steps) else ""
    return f'{reveal(active)}<ol class="work-steps" id="data-steps">{drawn}</ol>'


def reveal(name: str) -> str:
    """Return the style that shows the options of one step; those of all others are hidden."""
    return f"<style>#step-options-{name} {{ display: flex !important; }}</style>" if name else ""


def _step(spec: StepSpec, place: int, is_open: bool, broken: bool, total: int, lang: str) -> str:
    name = escape(t(f"steps.name.{spec.name}", lang))
    marks = ' aria-current="true"' if is_open else ""
    wrong = ' class="work-broken"' if broken else ""
    buttons = "".join((
        _small("up", "↑", t(f"{_OWN}.up", lang), place, place > 0),
        _small("down", "↓", t(f"{_OWN}.down", lang), place, place + 1 < total),
        _small("remove", "×", t(f"{_OWN}.remove", lang), place, True),
    ))  # fmt: skip
    return (
        f'<li data-step="{spec.name}"{marks}{wrong}>'
        f'<button type="button" class="work-step" data-work="edit" data-place="{place}">'
        f"<b>{place + 1}. {name}</b><small>{escape(summary(spec, lang))}</small></button>"
        f'<span class="work-order">{buttons}</span></li>'
    )


def _small(act: str, sign: str, name: str, place: int, is_there: bool) -> str:
    spoken = escape(name, quote=True)
    disabled = "" if is_there else " disabled"
    return (
        f'<button type="button" class="et-mini" data-work="{act}" data-place="{place}"'
        f' title="{spoken}" aria-label="{spoken}"{disabled}>{sign}</button>'
    )


def summary(spec: StepSpec, lang: str) -> str:
    """Return the options of a step that are not as usual, in words."""
    chosen = spec.options.model_dump(exclude_defaults=True)
    if not chosen:
        return t(f"{_OWN}.as_usual", lang)
    return " · ".join(
        f"{option_name(f'{spec.name}.{name}', lang)}: {_value(spec.name, name, value, lang)}"
        for name, value in chosen.items()
    )


def _value(step: str, name: str, value: Any, lang: str) -> str:
    if isinstance(value, bool):
        return t(f"{_OWN}.{'on' if value else 'off'}", lang)
    if isinstance(value, str) and i18n.has(f"form.choice.{step}.{name}.{value}"):
        return t(f"form.choice.{step}.{name}.{value}", lang)
    if isinstance(value, list | tuple):
        value = ", ".join(str(part) for part in value)
    if isinstance(value, dict):
        value = ", ".join(f"{key} → {part}" for key, part in value.items())
    text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…"


def previewed(found: "Previewed", kind: str, first: int, lang: str) -> str:
    """Return what each step does to the first rows, and a page of the rows it changes."""
    looked = t(f"{_OWN}.looked_at", lang, looked=count(found.looked_at), rows=count(found.rows))
    note = f'<p class="et-fact">{escape(looked)}</p>'
    pairs = [pair for pair in found.pairs if kind in ("all", _kind(pair))]
    body = _pairs(found, pairs, kind, first, lang)
    whole = f"{note}{counts(found.counts, lang)}{body}"
    return f'<div class="work-panel" id="data-previewed">{whole}</div>'


def made(result: dict[str, Any], lang: str) -> str:
    """Return what became of all rows, from the result of a task that made a version."""
    from easytune.data.steps.step import StepCount

    said = t(
        f"{_OWN}.made", lang, title=result["title"], number=result["number"],
        rows=count(result["rows"]),
    )  # fmt: skip
    table = counts([StepCount(**one) for one in result["counts"]], lang)
    return f'<div class="work-panel" id="data-made">{figures.notice(said, "good")}{table}</div>'


def counts(found: "Sequence[StepCount]", lang: str) -> str:
    """Return a table with what each step did."""
    names = ("step", "rows_in", "rows_out", "changed", "dropped", "found")
    heads = [t(f"{_OWN}.count.{name}", lang) for name in names]
    rows = [
        [
            t(f"steps.name.{one.step}", lang),
            *(count(number) for number in (one.rows_in, one.rows_out, one.changed, one.dropped)),
            ", ".join(
                f"{t(f'steps.kind.{kind}', lang)} {count(number)}"
                for kind, number in one.details.items()
            ),
        ]
        for one in found
    ]
    return figures.table(heads, rows, "steps")


def _pairs(found: "Previewed", pairs: "Sequence[Pair]", kind: str, first: int, lang: str) -> str:
    if not found.pairs:
        acts = any(one.changed or one.details for one in found.counts)
        return figures.empty(t(f"{_OWN}.{'texts_stay' if acts else 'nothing_changes'}", lang))
    choices = "".join(
        _choice(name, sum(name in ("all", _kind(p)) for p in found.pairs), name == kind, lang)
        for name in KINDS
    )
    top = f'<div class="work-kinds" role="group">{choices}</div>'
    shown = pairs[first : first + PAGE]
    drawn = "".join(_pair(pair, lang) for pair in shown)
    told = t(
        "dataset_work.diff.page", lang, first=count(first + 1), last=count(first + len(shown)),
        total=count(len(pairs)),
    )  # fmt: skip
    names = (t("dataset_work.page_before", lang), t("dataset_work.page_after", lang))
    return top + drawn + (figures.pages(first, PAGE, len(pairs), told, names) if shown else "")


def _choice(name: str, number: int, is_chosen: bool, lang: str) -> str:
    said = escape(f"{t(f'{_OWN}.kind.{name}', lang)} {count(number)}")
    pressed = "true" if is_chosen else "false"
    return (
        f'<button type="button" class="et-mini work-kind" data-work="kind" data-kind="{name}"'
        f' aria-pressed="{pressed}">{said}</button>'
    )


def _kind(pair: "Pair") -> str:
    return "dropped" if pair.after is None else "changed"


def _pair(pair: "Pair", lang: str) -> str:
    where = t("dataset_work.diff.row", lang, number=count(pair.before.position + 1))
    if pair.after is None:
        step = t(f"steps.name.{pair.step}", lang) if pair.step else ""
        said = t(f"{_OWN}.dropped_by", lang, step=step)
        body = data_diff_view.single(pair.before, "del")
        return _article("removed", said, where, body)
    after = StoredRow(
        pair.before.position, row_text(pair.after), pair.before.source, pair.before.number
    )
    body = data_diff_view.compared(pair.before, after)
    return _article("changed", t("dataset_work.diff.one.changed", lang), where, body)


def _article(kind: str, said: str, where: str, body: str) -> str:
    return (
        f'<article class="work-change work-change-{kind}">'
        f"<header><b>{escape(said)}</b><span>{escape(where)}</span></header>{body}</article>"
    )
