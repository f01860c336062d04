"""The sheet of one version, and two of them side by side, as HTML. All of it is escaped."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from easytune import quantities
from easytune.i18n import t
from easytune.services import forgotten, registry_words
from easytune.services.registry_comparison import EntryComparison, EvaluationFigure
from easytune.services.registry_dependents import Dependent
from easytune.services.registry_entry import (
    LONGEST_NAME,
    LONGEST_NOTES,
    STAGES,
    Change,
    Entry,
    FileFact,
)
from easytune.services.registry_trace import Link
from easytune.webui import data_figures as figures
from easytune.webui.language import option_value
from easytune.webui.models_list_view import stage_chip
from easytune.webui.results_names import figure, metric_name

_PRINT = 12
_MOST_HISTORY, _LONGEST_TAGS = 30, 400
PARTS = ("facts", "settings", "metrics", "evaluations", "files")


@dataclass(frozen=True)
class Sheet:
    """All that is drawn of one version."""

    entry: Entry
    settings: dict[str, Any]
    """Training options that are not what they are by default."""
    figures: Sequence[EvaluationFigure]
    chain: Sequence[Link]
    needs: Sequence[Dependent]
    checkpoints: Sequence[int]
    """Steps of whole checkpoints that are no versions yet."""
    asking: bool
    """Whether the question is up if it shall be deleted."""


def nothing(lang: str) -> str:
    """Return what stands where no version is chosen."""
    return figures.empty(t("models.choose_one", lang))


def sheet(shown: Sheet, lang: str) -> str:
    """Return all about one version but its files and its history."""
    entry = shown.entry
    parts = [
        _head(shown, lang),
        _deleting(shown, lang) if shown.asking else "",
        _figures(shown, lang),
        _part("trace", _trace(shown.chain, lang), lang),
        _part("edit", _form(entry, lang), lang),
        _part("evaluations", _evaluations(shown.figures, lang), lang),
        _part("settings", _settings(shown.settings, lang), lang),
        figures.card(t("models.keep.title", lang), _checkpoints(entry, shown.checkpoints, lang)),
        _part("needed_by", _needs(shown.needs, lang), lang),
    ]
    return f'<div class="models-sheet">{"".join(parts)}</div>'


def files(
    found: Sequence[FileFact], changes: dict[str, Any], history: Sequence[Change], lang: str
) -> str:
    """Return the files of a version with their hashes, and what was changed by whom."""
    warned = "".join(
        figures.notice(t(f"models.file.{change}", lang, path=path), "warn")
        for path, change in changes.items()
    )
    rows = "".join(
        f"<tr><td>{escape(file.path)}</td><td>{quantities.size(file.bytes)}</td>"
        f'<td><code title="{escape(file.sha256, quote=True)}">'
        f"{escape(file.sha256[:_PRINT] or '…')}</code></td></tr>"
        for file in found
    )
    waiting = ""
    if not all(file.sha256 for file in found):
        waiting = f'<p class="et-fact">{escape(t("models.hashing", lang))}</p>'
    table = f'<div class="work-scroll"><table class="models-files"><tbody>{rows}</tbody></table>'
    lines = "".join(
        f"<li>{escape(registry_words.change(one, lang))}</li>" for one in history[:_MOST_HISTORY]
    )
    return (
        f'<div class="models-sheet">{_part("files", f"{warned}{waiting}{table}</div>", lang)}'
        f"{_part('history', f'<ul>{lines}</ul>' if lines else '', lang)}</div>"
    )


def side_by_side(compared: EntryComparison, everything: bool, lang: str) -> str:
    """Return two versions side by side: what differs, or everything with what differs marked."""
    lines = [line for line in compared.lines if everything or line.differs]
    body = ""
    for part in PARTS:
        rows = "".join(_compared(line, lang) for line in lines if line.part == part)
        if rows:
            title = escape(t(f"models.part.{part}", lang))
            body += f'<tr class="models-part"><th colspan="3">{title}</th></tr>{rows}'
    if not body:
        body = f'<tr><td colspan="3">{escape(t("models.compare.same", lang))}</td></tr>'
    pressed = "true" if everything else "false"
    every = (
        f'<button type="button" class="et-mini" data-work="everything" aria-pressed="{pressed}">'
        f"{escape(t('models.compare.all', lang))}</button>"
    )
    close = figures.button("compare-close", t("models.act.close", lang))
    return (
        f'<div class="models-sheet models-compared"><header><h3>'
        f'{escape(t("models.compare.title", lang))}</h3><span class="work-buttons">{every}{close}'
        f'</span></header><div class="et-table-wrap"><table class="et-table"><thead><tr><th></th>'
        f"<th>{escape(compared.a.ref)}</th><th>{escape(compared.b.ref)}</th></tr></thead>"
        f"<tbody>{body}</tbody></table></div></div>"
    )


# --- the parts of a sheet -----------------------------------------------------


def _head(shown: Sheet, lang: str) -> str:
    entry = shown.entry
    facts = [t(f"models.kind.{entry.facts.kind}", lang), entry.facts.target]
    facts += [entry.facts.number_format, entry.base_name, quantities.size(entry.facts.bytes)]
    facts += [quantities.minute(entry.facts.created), entry.author]
    said = " · ".join(fact for fact in facts if fact)
    mark = ""
    if entry.is_current:
        mark = f'<span class="models-current">{escape(t("models.current", lang))}</span>'
    tags = "".join(f'<span class="work-tag">{escape(tag)}</span>' for tag in entry.tags)
    return (
        f"<header><h3>{escape(entry.ref)}</h3>{mark}{stage_chip(entry.stage, lang)}{tags}</header>"
        f'<p class="et-fact">{escape(said)}</p><p class="et-fact"><code>{escape(entry.key)}</code>'
        f'</p><div class="work-buttons">{_actions(entry, lang)}</div>'
    )


def _actions(entry: Entry, lang: str) -> str:
    """Return what can be done with a version. What nothing here can load is only kept."""
    drawn = []
    if model := escape(entry.facts.model, quote=True):
        drawn += [_to("chat-with", model, "chat", lang), _to("evaluate", model, "evaluate", lang)]
        drawn += [_to("export", model, "export", lang), _to("deploy", model, "deploy", lang)]
    if not entry.is_current:
        drawn.append(_act("current", entry, lang))
    else:
        drawn.append(_act("rollback", entry, lang))
    drawn += [_act("pick", entry, lang), _act("verify", entry, lang), _act("delete", entry, lang)]
    return "".join(drawn)


def _to(where: str, model: str, name: str, lang: str) -> str:
    """Return a button to another tab, with a model that is escaped already."""
    said = escape(t(f"models.act.{name}", lang))
    return f'<button type="button" class="et-mini" data-et-{where}="{model}">{said}</button>'


def _act(name: str, entry: Entry, lang: str) -> str:
    return figures.button(name, t(f"models.act.{name}", lang), id=entry.key)


def _deleting(shown: Sheet, lang: str) -> str:
    """Return the question whether a version shall be deleted, after what depends on it."""
    entry, busy = shown.entry, any(one.is_active for one in shown.needs)
    needs = _needs(shown.needs, lang)
    asked = "" if busy else t("models.delete_really", lang, version=entry.ref)
    said = f"<p>{escape(asked or t('models.in_use', lang))}</p>"
    if needs:
        said += f"<p>{escape(t('models.delete_needs', lang))}</p>{needs}"
    buttons = "" if busy else _act("confirm", entry, lang)
    return (
        f'<div class="models-question" role="alertdialog">{said}<div class="work-buttons">'
        f"{buttons}{_act('keep', entry, lang)}</div></div>"
    )


def _figures(shown: Sheet, lang: str) -> str:
    """Return what was measured as tiles."""
    entry, tiles = shown.entry, []
    if (score := entry.facts.forgetting) is not None:
        ends = f"[{forgotten.number(score[1])}, {forgotten.number(score[2])}]"
        tiles.append(
            figures.tile(registry_words.fact("forgetting", lang), forgotten.number(score[0]), ends)
        )
    for name, value in entry.facts.metrics.items():
        text = f"{value:.0f}" if float(value).is_integer() and abs(value) >= 10 else f"{value:.4g}"
        tiles.append(figures.tile(registry_words.fact(name, lang), text))
    return figures.tiles(tiles) if tiles else ""


def _trace(chain: Sequence[Link], lang: str) -> str:
    drawn = "".join(f"<li>{_link(one, lang)}</li>" for one in chain)
    return f'<ol class="models-trace">{drawn}</ol>'


def _link(one: Link, lang: str) -> str:
    said = registry_words.link(one, lang)
    tone = ' class="models-changed"' if one.was or not one.is_here else ""
    opened = ""
    if one.is_here and one.kind in ("run", "dataset"):
        opened = figures.button(f"to-{one.kind}", t("models.act.open", lang), id=one.id)
    return f"<span{tone}>{escape(said)}</span>{opened}"


def _form(entry: Entry, lang: str) -> str:
    """Return the fields that people fill in, with the revision that they saw."""
    stages = "".join(
        f'<option value="{one}"{" selected" if one == entry.stage else ""}>'
        f"{escape(t(f'models.stage.{one}', lang))}</option>"
        for one in STAGES
    )
    fields = [
        _field(t("models.edit.name", lang), _input("name", entry.name, LONGEST_NAME)),
        _field(t("models.fact.stage", lang), f'<select name="stage">{stages}</select>'),
        _field(t("models.edit.tags", lang), _input("tags", ", ".join(entry.tags), _LONGEST_TAGS)),
        _field(t("models.edit.notes", lang), _notes(entry.notes)),
    ]
    seen = f'<input type="hidden" name="revision" value="{entry.revision}">'
    save = figures.button("save", t("models.edit.save", lang), id=entry.key)
    return f'<div class="models-form">{"".join(fields)}{seen}{save}</div>'


def _notes(text: str) -> str:
    # A browser leaves out the first line break.
    return (
        f'<textarea name="notes" rows="3" maxlength="{LONGEST_NOTES}">\n{escape(text)}</textarea>'
    )


def _field(title: str, control: str) -> str:
    return f"<label><span>{escape(title)}</span>{control}</label>"


def _input(name: str, value: str, longest: int) -> str:
    shown = escape(value, quote=True)
    return f'<input type="text" name="{name}" value="{shown}" maxlength="{longest}">'


def _evaluations(found: Sequence[EvaluationFigure], lang: str) -> str:
    if not found:
        return ""
    rows = "".join(
        f"<tr><td>{escape(metric_name(one.metric, lang))} · {escape(one.set)}</td>"
        f"<td>{_measured(one, lang)}</td><td>{figures.count(one.rows)}</td><td>"
        f'<button type="button" class="et-mini" data-et-evaluation="'
        f'{escape(one.evaluation, quote=True)}">{escape(t("models.act.open", lang))}</button></td>'
        "</tr>"
        for one in found
    )
    return (
        f'<div class="work-scroll"><table class="models-files"><tbody>{rows}</tbody></table></div>'
    )


def _measured(one: EvaluationFigure, lang: str) -> str:
    said = figure(one.metric, one.value, lang)
    if one.low is None or one.high is None:
        return said
    return f"{said} [{figure(one.metric, one.low, lang)}, {figure(one.metric, one.high, lang)}]"


def _settings(settings: dict[str, Any], lang: str) -> str:
    rows = "".join(
        f"<tr><td>{escape(registry_words.option(path, lang))}</td>"
        f"<td>{escape(option_value(path, value, lang))}</td></tr>"
        for path, value in settings.items()
    )
    return f'<table class="models-files"><tbody>{rows}</tbody></table>' if rows else ""


def _checkpoints(entry: Entry, steps: Sequence[int], lang: str) -> str:
    drawn = "".join(
        figures.button("keep-step", t("models.keep.add", lang, step=step), id=entry.key, step=step)
        for step in steps
    )
    return f'<div class="work-buttons">{drawn}</div>' if drawn else ""


def _needs(needs: Sequence[Dependent], lang: str) -> str:
    lines = "".join(f"<li>{escape(registry_words.needed_by(one, lang))}</li>" for one in needs)
    return f"<ul>{lines}</ul>" if lines else ""


def _part(name: str, body: str, lang: str) -> str:
    return figures.card(t(f"models.part.{name}", lang), body, name)


# --- side by side -------------------------------------------------------------


def _compared(line: Any, lang: str) -> str:
    if line.part == "settings":
        name = registry_words.option(line.name, lang)
    else:
        name = registry_words.fact(line.name, lang)
    if line.part == "evaluations":
        name = f"{metric_name(line.name, lang)} · {line.detail}"
    mark = ' data-differs="true"' if line.differs else ""
    cells = "".join(f"<td{mark}>{escape(_value(line, one, lang))}</td>" for one in (line.a, line.b))
    return f"<tr><td>{escape(name)}</td>{cells}</tr>"


def _value(line: Any, value: Any, lang: str) -> str:
    if value is None:
        return t("monitor.none", lang)
    match line.part, line.name:
        case "settings", path:
            return option_value(path, value, lang)
        case "facts", "size":
            return quantities.size(value)
        case "facts", ("stage" | "kind"):
            return t(f"models.{line.name}.{value}", lang)
        case "evaluations", metric:
            return figure(metric, value, lang)
        case "files", _:
            return value[:_PRINT] if isinstance(value, str) else quantities.size(value)
    return option_value("", value, lang)
