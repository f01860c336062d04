"""The list of all evaluations, and some of them side by side, as HTML."""

from collections.abc import Sequence
from html import escape

from easytune import quantities
from easytune.evaluation_files import Figure
from easytune.i18n import has, t
from easytune.services import forgotten
from easytune.services.evaluation_table import ComparedFigure, ComparedOption, EvaluationTable
from easytune.services.evaluations import EvaluationSummary
from easytune.services.evidence import ACTIVE
from easytune.webui import data_figures as figures
from easytune.webui import language
from easytune.webui.results_names import figure, metric_name, number, probe_name
from easytune.webui.run_view import state_chip

COLUMNS = ("name", "state", "models", "sets", "when")
_MOST_NAMES = 4


def table(
    found: Sequence[EvaluationSummary],
    picked: Sequence[str],
    shown: str,
    is_search: bool,
    lang: str,
) -> str:
    """Return the list; `picked` are to be put side by side, `shown` is on the page."""
    if not found:
        return figures.empty(t(f"results.history.{'no_match' if is_search else 'empty'}", lang))
    heads = "".join(f"<th>{escape(t(f'results.history.column.{n}', lang))}</th>" for n in COLUMNS)
    rows = "".join(_row(one, one.id in picked, one.id == shown, lang) for one in found)
    return (
        '<div class="et-table-wrap"><table class="et-table results-list">'
        f"<thead><tr>{heads}<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def side_by_side(compared: EvaluationTable, lang: str) -> str:
    """Return the same metric on the same set across evaluations, what differs marked."""
    heads = "".join(
        f"<th><b>{escape(one.title)}</b><small>{escape(one.name)}</small></th>"
        for one in compared.columns
    )
    body = "".join(_figures(row, lang) for row in compared.rows)
    wide = len(compared.columns) + 1
    nothing = f'<tr><td colspan="{wide}">{escape(t("results.history.nothing", lang))}</td></tr>'
    first = escape(t("results.history.measured", lang))
    return (
        f"<h4>{escape(t('results.history.beside', lang))}</h4>"
        f'<p class="et-quiet">{escape(t("results.history.beside_note", lang))}</p>'
        f'<div class="et-table-wrap"><table class="et-table results-beside"><thead><tr>'
        f"<th>{first}</th>{heads}</tr></thead><tbody>{body or nothing}</tbody></table></div>"
        f"{_options(compared, lang)}"
    )


# --- the list ---------------------------------------------------------------


def _row(one: EvaluationSummary, is_picked: bool, is_shown: bool, lang: str) -> str:
    sets = [name.removeprefix("dataset:") for name in one.order.config.test.datasets]
    cells = [
        escape(one.name),
        state_chip(one.state, lang),
        _names([model.title for model in one.order.candidates], lang),
        _names(sets, lang),
        quantities.minute(one.created),
        _buttons(one, is_picked, lang),
    ]
    current = ' aria-current="true"' if is_shown else ""
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr data-evaluation="{escape(one.id, quote=True)}"{current}>{body}</tr>'


def _names(names: Sequence[str], lang: str) -> str:
    more = len(names) - _MOST_NAMES
    rest = [t("results.history.more", lang, count=more)] if more > 0 else []
    said = " · ".join([*names[:_MOST_NAMES], *rest])
    return f'<span class="compare-names">{escape(said)}</span>'


def _buttons(one: EvaluationSummary, is_picked: bool, lang: str) -> str:
    actions = ["open", "rename"] + ([] if one.state in ACTIVE else ["delete"])
    drawn = "".join(
        figures.button(action, t(f"results.history.{action}", lang), id=one.id)
        for action in actions
    )
    pressed, beside = "true" if is_picked else "false", t("results.history.pick", lang)
    pick = (
        f'<button type="button" class="et-mini" data-work="pick" aria-pressed="{pressed}"'
        f' data-id="{escape(one.id, quote=True)}">{escape(beside)}</button>'
    )
    return f'<span class="et-buttons">{pick}{drawn}</span>'


# --- side by side -----------------------------------------------------------


def _figures(row: ComparedFigure, lang: str) -> str:
    notes = [] if row.same_rows else [t("results.history.other_rows", lang)]
    notes += [t("results.history.apart", lang)] if row.apart else []
    small = "".join(f"<small>{escape(note)}</small>" for note in notes)
    name = f"{_metric(row, lang)} · {_measured_on(row, lang)}"
    cells = "".join(_figure(one, row, lang) for one in row.figures)
    apart = ' data-apart="true"' if row.apart else ""
    return f"<tr{apart}><td>{escape(name)}{small}</td>{cells}</tr>"


def _figure(one: Figure | None, row: ComparedFigure, lang: str) -> str:
    if one is None:
        return f'<td class="results-none">{escape(t("monitor.none", lang))}</td>'
    ends = (
        f"[{_value(one.low, row, lang)}, {_value(one.high, row, lang)}]"
        if one.low is not None and one.high is not None
        else ""
    )
    marks = ' data-differs="true"' if row.differs else ""
    return f"<td{marks}>{_value(one.value, row, lang)}<small>{escape(ends)}</small></td>"


def _value(value: float, row: ComparedFigure, lang: str) -> str:
    if row.kind == "forgetting":
        return forgotten.number(value)
    return figure(row.metric, value, lang) if row.kind == "metric" else number(value, lang)


def _metric(row: ComparedFigure, lang: str) -> str:
    key = f"results.history.metric.{row.metric}"
    return t(key, lang) if has(key) else metric_name(row.metric, lang)


def _measured_on(row: ComparedFigure, lang: str) -> str:
    match row.kind:
        case "forgetting":
            return probe_name(row.set, lang)
        case "safety":
            return t("results.safety.title", lang)
    return row.title


def _options(compared: EvaluationTable, lang: str) -> str:
    """Return in which options the evaluations differ, one column for each."""
    if not compared.options:
        return ""
    names = {one.evaluation: one.name for one in compared.columns}
    heads = "".join(f"<th>{escape(names.get(each, each))}</th>" for each in compared.evaluations)
    body = "".join(_option(one, lang) for one in compared.options)
    title = escape(t("results.history.options", lang))
    return (
        f'<div class="et-table-wrap"><table class="et-table results-beside"><thead><tr>'
        f"<th>{title}</th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _option(one: ComparedOption, lang: str) -> str:
    cells = "".join(
        f'<td data-differs="true">{escape(language.option_value(one.path, value, lang))}</td>'
        for value in one.values
    )
    return f"<tr><td>{escape(language.option_name(one.path, lang))}</td>{cells}</tr>"
