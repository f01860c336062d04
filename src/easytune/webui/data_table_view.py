"""Pages of rows as HTML: excerpts of what is asked and answered, with what was searched marked."""

import re
from collections.abc import Mapping
from html import escape
from typing import Any

from easytune.data.conversation import Content
from easytune.data.rows import Message, Problem
from easytune.data.stored import StoredRow
from easytune.data.versions.search import Found
from easytune.i18n import t
from easytune.webui.data_looked import Looked

PAGE = 25
_EXCERPT = 180
_BEFORE = 50
Edit = dict[str, Any]
"""A change that is not saved yet: {"text": JSON} or {"drop": True}."""


def table(
    looked: Looked, found: Found, first: int, searched: str, edits: Mapping[str, Edit], opened: str,
    lang: str,
) -> str:  # fmt: skip
    """Return the rows from place `first` of what was found; `edits` by position.

    `opened` is the place of the row that is shown in full, or "".
    """
    if not found.total:
        return f'<div class="et-empty">{escape(t("datasets.table.nothing", lang))}</div>'
    asked, answered = t("datasets.table.asked", lang), t("datasets.table.answered", lang)
    rows = "".join(
        _row(
            looked,
            row,
            first + place,
            searched,
            edits.get(str(row.position)),
            lang,
            is_open=str(first + place) == opened,
        )
        for place, row in enumerate(found.rows)
    )
    return (
        '<table class="data-rows"><thead><tr><th class="data-number">#</th>'
        f"<th>{escape(asked)}</th><th>{escape(answered)}</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def message(text: str) -> str:
    """Return a sentence in the place of the table."""
    return f'<div class="et-empty data-said">{escape(text)}</div>'


def pager(total: int, rows: int, page: int, lang: str) -> str:
    """Return how many rows fit, and buttons to turn the pages."""
    last = pages(total)
    key = "datasets.table.all" if total == rows else "datasets.table.fit"
    said = escape(t(key, lang, count=f"{total:,}", rows=f"{rows:,}"))
    if last == 1:
        return f'<div class="data-pager"><span>{said}</span></div>'
    at = t("datasets.table.page", lang, page=f"{page:,}", pages=f"{last:,}")
    first, before, after, end = (
        _turn(to, sign, 1 <= to <= last and to != page, t(f"datasets.table.{name}", lang))
        for to, sign, name in (
            (1, "«", "first"), (page - 1, "‹", "before"),
            (page + 1, "›", "after"), (last, "»", "end"),
        )
    )  # fmt: skip
    return (
        f'<div class="data-pager"><span class="et-grow">{said}</span>{first}{before}'
        f'<span class="et-at">{escape(at)}</span>{after}{end}</div>'
    )


def pages(total: int) -> int:
    """Return how many pages that many rows have; none still have one."""
    return max(1, -(-total // PAGE))


def changed(row: StoredRow, edit: Edit | None) -> StoredRow:
    """Return a row as it will be once a change that is not saved yet is."""
    if not edit or "text" not in edit:
        return row
    return StoredRow(row.position, str(edit["text"]), row.source, row.number, held_out=row.held_out)


def _turn(to: int, sign: str, is_possible: bool, name: str) -> str:
    state = "" if is_possible else " disabled"
    return (
        f'<button type="button" class="et-mini" data-act="page" data-page="{to}"{state}'
        f' aria-label="{escape(name)}" title="{escape(name)}">{sign}</button>'
    )


def _row(
    looked: Looked, row: StoredRow, place: int, searched: str, edit: Edit | None, lang: str, *,
    is_open: bool,
) -> str:  # fmt: skip
    shown = changed(row, edit)
    content = looked.meaning(shown)
    classes = " data-dropped" if edit and edit.get("drop") else ""
    marks = _marks(row, edit, lang)
    cells = _cells(content, shown, searched, lang)
    bad = " data-bad" if isinstance(content, Problem) else ""
    current = ' aria-current="true"' if is_open else ""
    return (
        f'<tr class="data-row{classes}{bad}" tabindex="0" data-act="row" data-place="{place}"'
        f' data-position="{row.position}"{current}>'
        f'<td class="data-number">{row.position + 1:,}{marks}</td>{cells}</tr>'
    )


def _marks(row: StoredRow, edit: Edit | None, lang: str) -> str:
    names = ["held_out"] if row.held_out else []
    if edit:
        names.append("dropped" if edit.get("drop") else "changed")
    said = {name: escape(t(f"datasets.mark.{name}", lang)) for name in names}
    return "".join(
        f'<span class="data-mark data-mark-{name}">{text}</span>' for name, text in said.items()
    )


def _cells(content: Content | Problem, row: StoredRow, searched: str, lang: str) -> str:
    if isinstance(content, Problem):
        said = escape(t(f"data.reason.{content.code}", lang))
        return (
            f'<td colspan="2"><span class="data-reason">{said}</span> '
            f"<code>{_excerpt(row.text, searched)}</code></td>"
        )
    if content.messages is None:
        return f'<td colspan="2">{_excerpt(content.text or "", searched)}</td>'
    asked = next((m for m in content.messages if m.role == "user"), None)
    answered = [m for m in content.messages if m.role == "assistant"]
    more = len(content.messages) - sum(m.role == "system" for m in content.messages) - 2
    turns = t("datasets.table.turns", lang, count=more + 2)
    mark = f' <span class="data-mark">{escape(turns)}</span>' if more > 0 else ""
    last = answered[-1] if answered else None
    hit = _hit(content.messages, (asked, last), searched)
    return (
        f"<td>{_text(asked, searched)}{mark}{hit}</td>"
        f'<td class="data-answer">{_text(last, searched)}</td>'
    )


def _hit(messages: tuple[Message, ...], shown: tuple[Message | None, ...], searched: str) -> str:
    """Return where a message that the row does not show has what was searched."""
    wanted = searched.casefold()
    if not wanted or any(m and wanted in m.content.casefold() for m in shown):
        return ""
    found = next((m for m in messages if wanted in m.content.casefold()), None)
    return f'<div class="data-hit">{_excerpt(found.content, searched)}</div>' if found else ""


def _text(said: Message | None, searched: str) -> str:
    return _excerpt(said.content, searched) if said else ""


def _excerpt(text: str, searched: str) -> str:
    """Return the beginning of a text, or where it has what was searched, which is marked."""
    place = text.casefold().find(searched.casefold()) if searched else -1
    start = max(0, place - _BEFORE) if place > _EXCERPT - len(searched) else 0
    piece = " ".join(text[start : start + _EXCERPT].split())
    before = "… " if start else ""
    after = " …" if start + _EXCERPT < len(text) else ""
    return before + _marked(piece, searched) + after


def _marked(piece: str, searched: str) -> str:
    if not searched:
        return escape(piece)
    parts = re.split(f"({re.escape(searched)})", piece, flags=re.IGNORECASE)
    return "".join(
        f"<mark>{escape(part)}</mark>" if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )
