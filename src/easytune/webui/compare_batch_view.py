"""A batch as HTML: how far it is, what the columns scored, and the table of answers."""

from collections.abc import Mapping, Sequence
from html import escape

from easytune import quantities
from easytune.i18n import has, t
from easytune.services.comparison import BatchProgress, Column, Comparison, Entry, StoredAnswer
from easytune.webui.compare_view import OFF, Look, ending, marked, problem

ROWS_PER_PAGE = 20
FIGURES = ("answered", "tokens", "tokens_per_second", "first_token_seconds")
_CHIPS = {"running": "running", "finished": "finished", "stopped": "stopped", "failed": "failed"}


def progress(now: BatchProgress, lang: str) -> str:
    """Return the bar with the state, what is done and how long the rest takes."""
    share = now.done / now.total if now.total else 0.0
    chip = _CHIPS.get(now.state, "lost")
    left = (
        t("monitor.time_left", lang, duration=quantities.duration(now.seconds_left, lang))
        if now.seconds_left is not None and now.state == "running"
        else ""
    )
    failure = problem(*now.failure, lang) if now.failure else ""
    told = f'<p class="compare-problem" role="alert">{escape(failure)}</p>' if failure else ""
    return (
        f'<div class="compare-progress" data-state="{now.state}">'
        f'<div class="et-head"><span class="et-chip et-state-{chip}">'
        f"{escape(t(f'compare.batch.state.{now.state}', lang))}</span></div>"
        f'<div class="et-progress" role="progressbar" aria-valuemin="0" aria-valuemax="100"'
        f' aria-valuenow="{share * 100:.0f}"><i style="width:{share * 100:.1f}%"></i></div>'
        f'<div class="et-under"><span>'
        f"{escape(t('compare.batch.done', lang, done=now.done, total=now.total))}</span>"
        f"<span>{escape(left)}</span></div>{told}</div>"
    )


def scores(columns: Sequence[Column], found: Sequence[Mapping[str, float]], lang: str) -> str:
    """Return a table with a line per column: its scores, then what it took."""
    metrics = [name for name in _names(found) if name not in FIGURES]
    shown = [*metrics, *(name for name in FIGURES if name in _names(found))]
    if not shown:
        return ""
    heads = "".join(f"<th>{escape(figure_name(name, lang))}</th>" for name in shown)
    best = {name: max(column.get(name, 0.0) for column in found) for name in metrics}
    lines = "".join(
        f"<tr><td>{number}. {escape(column.label)}</td>{_figures(shown, values, best, lang)}</tr>"
        for number, (column, values) in enumerate(zip(columns, found, strict=True), 1)
    )
    column = escape(t("compare.batch.column", lang))
    return (
        '<div class="et-table-wrap"><table class="et-table compare-scores" id="compare-scores">'
        f"<thead><tr><th>{column}</th>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )


def figure_name(name: str, lang: str) -> str:
    """Return a metric's or a figure's name for people."""
    key = f"compare.figure.{name}"
    return t(key, lang) if has(key) else name


def chosen(comparison: Comparison, different_only: bool) -> list[Entry]:
    """Return the entries for the table: all, or those whose answers are not all the same."""
    if not different_only:
        return list(comparison.entries)
    return [entry for entry in comparison.entries if len(set(_texts(entry))) > 1]


def pages(entries: int) -> int:
    """Return how many pages a table of so many entries has; at least one."""
    return max(1, -(-entries // ROWS_PER_PAGE))


def table(comparison: Comparison, entries: Sequence[Entry], page: int, look: Look) -> str:
    """Return one page (from 1) of the table of answers."""
    if not entries:
        return f'<div class="et-empty">{escape(t("compare.batch.nothing", look.lang))}</div>'
    shown = entries[(page - 1) * ROWS_PER_PAGE : page * ROWS_PER_PAGE]
    with_reference = any(entry.reference for entry in comparison.entries)
    names = [t("compare.batch.prompt", look.lang)]
    names += [t("compare.batch.reference", look.lang)] if with_reference else []
    names += [f"{number} · {c.label}" for number, c in enumerate(comparison.columns, 1)]
    heads = "".join(f"<th>{escape(name)}</th>" for name in names)
    rows = "".join(_row(entry, with_reference, look) for entry in shown)
    return (
        '<div class="et-table-wrap compare-table-wrap"><table class="et-table compare-table">'
        f"<thead><tr><th>#</th>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(entry: Entry, with_reference: bool, look: Look) -> str:
    cells = [str(entry.position + 1), _clipped(escape(entry.prompt))]
    if with_reference:
        cells.append(_clipped(escape(entry.reference)))
    cells += [_answer(entry, place, look) for place in range(len(entry.answers))]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _answer(entry: Entry, place: int, look: Look) -> str:
    answer = entry.answers[place]
    if answer is None:
        return f'<span class="et-quiet">{escape(t("compare.state.missing", look.lang))}</span>'
    text = _clipped(_text(entry, answer, place, look))
    trouble = problem(answer.code, answer.values, look.lang)
    if trouble:
        text += f'<p class="compare-problem">{escape(trouble)}</p>'
    elif answer.reason not in ("", "stop"):
        text += f"<small>{escape(ending(answer.reason, look.lang))}</small>"
    figures = "".join(
        f"<span>{escape(figure_name(name, look.lang))} <b>{value:.0f}</b></span>"
        for name, value in answer.scores.items()
    )
    return f'{text}<div class="compare-marks">{figures}</div>' if figures else text


def _text(entry: Entry, answer: StoredAnswer, place: int, look: Look) -> str:
    others = entry.answers
    reference = others[look.reference] if 0 <= look.reference < len(others) else None
    if look.reference == OFF or reference is None or place == look.reference:
        return escape(answer.text)
    return marked(reference.text, answer.text)


def _clipped(html: str) -> str:
    return f'<div class="compare-clip">{html}</div>'


def _texts(entry: Entry) -> list[str]:
    return [answer.text.strip() for answer in entry.answers if answer is not None]


def _names(found: Sequence[Mapping[str, float]]) -> list[str]:
    return list(dict.fromkeys(name for column in found for name in column))


def _figures(
    shown: Sequence[str], values: Mapping[str, float], best: Mapping[str, float], lang: str
) -> str:
    cells = []
    for name in shown:
        value = values.get(name)
        digits = {"answered": 0, "first_token_seconds": 2}.get(name, 1)
        text = t("monitor.none", lang) if value is None else f"{value:.{digits}f}"
        leads = name in best and value is not None and value == best[name] > 0
        cells.append(f"<td>{f'<b>{text}</b>' if leads else text}</td>")
    return "".join(cells)


def page_buttons(page: int, last: int, entries: int, lang: str) -> str:
    """Return where in the table one is, with buttons to go on; the count alone on one page."""
    told = t("compare.batch.rows", lang, count=entries)
    if last == 1:
        return f'<span class="compare-pages">{escape(told)}</span>'
    place = t("compare.batch.page", lang, page=page, last=last)
    back, on = _page_button("‹", page - 1, last, lang), _page_button("›", page + 1, last, lang)
    return f'<span class="compare-pages">{escape(told)} {back}<b>{escape(place)}</b>{on}</span>'


def _page_button(sign: str, page: int, last: int, lang: str) -> str:
    name = escape(t("compare.batch.to_page", lang, page=page), quote=True)
    disabled = "" if 1 <= page <= last else " disabled"
    return (
        f'<button type="button" class="et-mini" data-compare="page" data-page="{page}"'
        f' aria-label="{name}"{disabled}>{sign}</button>'
    )
