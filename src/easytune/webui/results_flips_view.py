"""The rows of an evaluation as a table: what got better, what got worse, word by word."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from easytune.evaluation_files import RowAnswer, TestRow
from easytune.i18n import t
from easytune.services.differences import differences
from easytune.webui import data_figures as figures
from easytune.webui.compare_view import ending, problem
from easytune.webui.results_names import figure, metric_name, signed

PAGE = 50
KINDS = ("fixed", "broken", "same")
LONGEST = 4000
"""More of an answer is not shown in the table: fifty of them go to the browser at once."""


@dataclass(frozen=True)
class FlipLine:
    """One row with the answers of two models, as the table shows it."""

    row: int
    """Place in `rows.jsonl`."""
    asked: TestRow
    kind: str
    """fixed, broken or same; empty where the metric does not apply to the row."""
    before: float | None
    after: float | None
    first: RowAnswer | None
    second: RowAnswer | None

    @property
    def change(self) -> float:
        """Return by how much the score differs; 0 where it cannot be told."""
        if self.before is None or self.after is None:
            return 0.0
        return self.after - self.before


def table(
    lines: Sequence[FlipLine], metric: str, names: Sequence[str], place: int, lang: str
) -> str:
    """Return one page of rows from `place` on; `names` are those of the two models, or of one."""
    if not lines:
        return figures.empty(t("results.flips.nothing", lang))
    with_reference = any(line.asked.reference is not None for line in lines)
    scored = metric_name(metric, lang) if len(names) == 1 else t("results.flips.change", lang)
    heads = ["#", scored, t("results.flips.prompt", lang)]
    heads += [t("results.flips.reference", lang)] if with_reference else []
    top = "".join(f"<th>{escape(head)}</th>" for head in [*heads, *names])
    page = lines[place : place + PAGE]
    body = "".join(_row(line, metric, with_reference, len(names) == 1, lang) for line in page)
    told = t(
        "results.flips.page", lang, first=figures.count(place + 1),
        last=figures.count(place + len(page)), total=figures.count(len(lines)),
    )  # fmt: skip
    aloud = (t("dataset_work.page_before", lang), t("dataset_work.page_after", lang))
    return (
        f'<div class="et-table-wrap results-flips-wrap"><table class="et-table results-flips">'
        f"<thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"
        f"{figures.pages(place, PAGE, len(lines), told, aloud)}"
    )


def marked(other: str, text: str, tag: str) -> str:
    """Return a text as safe HTML, the words that `other` lacks in an element called `tag`."""
    parts = differences(other[:LONGEST], text[:LONGEST])
    html = "".join(
        f"<{tag}>{escape(part)}</{tag}>" if is_new else escape(part) for part, is_new in parts
    )
    return html + ("…" if len(text) > LONGEST else "")


def _row(line: FlipLine, metric: str, with_reference: bool, is_one: bool, lang: str) -> str:
    change = _score(line, metric, lang) if is_one else _change(line, metric, lang)
    cells = [f"<b>{line.row + 1}</b>{_actions(line.row, lang)}", change, _asked(line)]
    if with_reference:
        cells.append(_clip(escape((line.asked.reference or "")[:LONGEST])))
    cells += [_answer(line, is_first, lang) for is_first in ((True,) if is_one else (True, False))]
    body = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr data-kind="{escape(line.kind, quote=True)}" data-row="{line.row}">{body}</tr>'


def _actions(row: int, lang: str) -> str:
    keep = figures.button("keep", t("results.flips.keep_one", lang), row=row)
    compare = figures.button("compare", t("results.flips.compare_one", lang), row=row)
    return f'<span class="results-row-actions">{keep}{compare}</span>'


def _score(line: FlipLine, metric: str, lang: str) -> str:
    if not line.kind:
        return f'<span class="et-quiet">{escape(t("results.flips.not_scored", lang))}</span>'
    return escape(figure(metric, line.after, lang))


def _change(line: FlipLine, metric: str, lang: str) -> str:
    if not line.kind:
        return _score(line, metric, lang)
    word = escape(t(f"results.flips.kind.{line.kind}", lang))
    scores = f"{figure(metric, line.before, lang)} → {figure(metric, line.after, lang)}"
    by = signed(figure(metric, line.change, lang)) if line.change else ""
    return (
        f'<span class="results-kind" data-kind="{escape(line.kind, quote=True)}">{word}</span>'
        f"<small>{escape(scores)}</small><small>{escape(by)}</small>"
    )


def _asked(line: FlipLine) -> str:
    row = line.asked
    if row.prompt is not None:
        return _clip(escape(row.prompt[:LONGEST]))
    if not row.messages:
        return ""
    earlier = "".join(
        f'<div class="results-turn"><b>{turn.role}</b> {escape(turn.content[:LONGEST])}</div>'
        for turn in row.messages[:-1]
    )
    return _clip(f"{earlier}{escape(row.messages[-1].content[:LONGEST])}")


def _answer(line: FlipLine, is_first: bool, lang: str) -> str:
    own, other = (line.first, line.second) if is_first else (line.second, line.first)
    if own is None:
        return f'<span class="et-quiet">{escape(t("compare.state.missing", lang))}</span>'
    trouble = problem(own.code, own.values, lang)
    if trouble:
        return f'<p class="compare-problem">{escape(trouble)}</p>'
    tag = "del" if is_first else "ins"
    text = marked(other.text, own.text, tag) if other is not None else escape(own.text[:LONGEST])
    if not own.text.strip():
        text = f'<span class="et-quiet">{escape(t("results.flips.no_text", lang))}</span>'
    cut = f"<small>{escape(ending(own.reason, lang))}</small>" if own.reason != "stop" else ""
    return _clip(text) + cut + _choice(line.asked, own, lang)


def _choice(row: TestRow, own: RowAnswer, lang: str) -> str:
    if own.choice is None or not 0 <= own.choice < len(row.choices):
        return ""
    said = t("results.flips.chose", lang, choice=row.choices[own.choice])
    return f"<small>{escape(said)}</small>"


def _clip(html: str) -> str:
    return f'<div class="compare-clip">{html}</div>'
