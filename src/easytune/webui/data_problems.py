"""The rows that cannot be used: how many and why, and what can be done with all of them."""

from collections import Counter
from html import escape

from easytune.data.versions.search import Filter
from easytune.i18n import t
from easytune.webui import data_download
from easytune.webui.data_looked import Looked

LOOKED_AT = 1000
"""So many of them are counted by reason."""


def draw(looked: Looked | None, chosen: str, lang: str) -> str:
    """Return the bar above the rows, or nothing where every row can be used.

    `chosen` is the reason the table is narrowed to: a code, "any", or "".
    """
    if looked is None or looked.facts is None or not looked.problems:
        return ""
    counts = _counts(looked)
    said = t("datasets.problems.title", lang, rows=f"{looked.problems:,}", of=f"{looked.rows:,}")
    chips = [_chip("any", t("datasets.problems.all", lang), looked.problems, chosen)]
    is_sample = looked.problems > LOOKED_AT
    chips += [
        _chip(code, t(f"data.reason.{code}", lang), None if is_sample else count, chosen)
        for code, count in counts.most_common()
    ]
    drop = escape(t("datasets.problems.drop", lang))
    return (
        f'<div class="data-problems" role="status"><p><b>{escape(said)}</b> '
        f"{escape(t('datasets.problems.hint', lang))}</p>"
        f'<div class="data-actions">{"".join(chips)}<span class="et-grow"></span>'
        f'<button type="button" class="et-mini" data-act="drop_problems">{drop}</button>'
        f"{data_download.problems_link(looked.facts.reference, lang)}</div></div>"
    )


def _counts(looked: Looked) -> Counter[str]:
    found = looked.find(Filter(problem="any"), 0, LOOKED_AT)
    return Counter(row.problem for row in found.rows)


def _chip(code: str, text: str, count: int | None, chosen: str) -> str:
    pressed = "true" if code == chosen else "false"
    number = "" if count is None else f" <b>{count:,}</b>"
    return (
        f'<button type="button" class="data-chip" data-act="problem" data-code="{escape(code)}"'
        f' aria-pressed="{pressed}">{escape(text)}{number}</button>'
    )
