"""The differences of two versions as HTML, with the words that differ marked."""

import json
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from easytune.data.stored import StoredRow
from easytune.data.versions.diff import Change
from easytune.data.versions.words import words
from easytune.i18n import t
from easytune.webui import data_figures as figures
from easytune.webui.data_figures import count

PAGE = 20
KINDS = ("all", "added", "removed", "changed", "moved")
# Marking words of longer fields would keep the page waiting, and nobody reads them here.
_MARKED_CHARACTERS = 20_000
_SHOWN_CHARACTERS = 4_000
_AROUND = 160
"""Characters of unchanged text shown on each side of a change."""
_OWN = "dataset_work.diff"


class Counts(NamedTuple):
    """How many rows differ, by kind; `same` did not change."""

    added: int
    removed: int
    changed: int
    moved: int
    same: int

    def of(self, kind: str) -> int:
        """Return how many differences a kind has; of "all", all."""
        if kind == "all":
            return self.added + self.removed + self.changed + self.moved
        return getattr(self, kind)


def render(counts: Counts, changes: Sequence[Change], kind: str, first: int, lang: str) -> str:
    """Return how many rows differ, and a page of them from the `first`, counted from 0."""
    head = "".join(_choice(name, counts, name == kind, lang) for name in KINDS)
    same = escape(t(f"{_OWN}.same", lang, rows=count(counts.same)))
    top = f'<div class="work-kinds" role="group">{head}<span class="et-fact">{same}</span></div>'
    total = counts.of(kind)
    if not total:
        key = "identical" if not counts.of("all") else "none_of_kind"
        return _panel(top + figures.empty(t(f"{_OWN}.{key}", lang)))
    last = min(first + len(changes), total)
    told = t(f"{_OWN}.page", lang, first=count(first + 1), last=count(last), total=count(total))
    names = (t("dataset_work.page_before", lang), t("dataset_work.page_after", lang))
    turning = figures.pages(first, PAGE, total, told, names)
    body = "".join(_change(change, lang) for change in changes)
    return _panel(top + body + turning)


def comparing(rows: int, lang: str) -> str:
    """Return what stands there while large versions are compared, with a button to end that."""
    said = escape(t(f"{_OWN}.comparing", lang, rows=count(rows)))
    end = figures.button("cancel", t(f"{_OWN}.cancel", lang))
    return f'<p class="work-notice work-waiting" role="status"><span>{said}</span>{end}</p>'


def _panel(html: str) -> str:
    return f'<div class="work-panel" id="data-diff-shown">{html}</div>'


def _choice(name: str, counts: Counts, is_chosen: bool, lang: str) -> str:
    said = f"{t(f'{_OWN}.kind.{name}', lang)} {count(counts.of(name))}"
    pressed = "true" if is_chosen else "false"
    return (
        f'<button type="button" class="et-mini work-kind work-kind-{name}" data-work="kind"'
        f' data-kind="{name}" aria-pressed="{pressed}">{escape(said)}</button>'
    )


def _change(change: Change, lang: str) -> str:
    where = escape(_where(change, lang))
    kind = escape(t(f"{_OWN}.one.{change.kind}", lang))
    return (
        f'<article class="work-change work-change-{change.kind}">'
        f"<header><b>{kind}</b><span>{where}</span></header>{_body(change)}</article>"
    )


def _body(change: Change) -> str:
    match change:
        case Change("changed", StoredRow() as before, StoredRow() as after):
            return compared(before, after)
        case Change("removed", StoredRow() as before, _):
            return single(before, "del")
        case Change("added", _, StoredRow() as after):
            return single(after, "ins")
        case Change(_, before, after):
            row = after or before
            return single(row, "span") if row else ""


def _where(change: Change, lang: str) -> str:
    before, after = change.before, change.after
    if before and after and before.position != after.position:
        return t(f"{_OWN}.from_to", lang, before=count(before.position + 1),
                 after=count(after.position + 1)) + _side(before, after, lang)  # fmt: skip
    row = after or before
    assert row is not None
    said = t(f"{_OWN}.row", lang, number=count(row.position + 1))
    return said + (_side(before, after, lang) if before and after else "")


def _side(before: StoredRow, after: StoredRow, lang: str) -> str:
    if before.held_out == after.held_out:
        return ""
    return " · " + t(f"{_OWN}.{'now_held_out' if after.held_out else 'now_learned'}", lang)


def single(row: StoredRow, tag: str) -> str:
    """Return all fields of a row, each in an element: ins, del or span."""
    return _fields(
        [(name, f"<{tag}>{escape(_cut(text))}</{tag}>") for name, text in leaves(row) if text]
    )


def compared(before: StoredRow, after: StoredRow) -> str:
    """Return the fields of a row that differ, with words marked; equal ones are left out."""
    old, new = dict(leaves(before)), dict(leaves(after))
    differing = [
        (name, marked(old.get(name, ""), new.get(name, "")))
        for name in dict.fromkeys([*old, *new])
        if old.get(name) != new.get(name)
    ]
    return _fields(differing)


def leaves(row: StoredRow) -> list[tuple[str, str]]:
    """Return the fields of a row with their texts: `messages[0].content` and the like."""
    value = row.value
    return list(_leaves(value, "")) if isinstance(value, dict | list) else [("", row.text)]


def _leaves(value: Any, path: str) -> Sequence[tuple[str, str]]:
    match value:
        case dict() if value:
            inner = ((f"{path}.{key}" if path else str(key), part) for key, part in value.items())
        case list() if value:
            inner = ((f"{path}[{place}]", part) for place, part in enumerate(value))
        case str():
            return [(path, value)]
        case _:
            return [(path, json.dumps(value, ensure_ascii=False))]
    return [leaf for name, part in inner for leaf in _leaves(part, name)]


def marked(before: str, after: str) -> str:
    """Return two texts woven into one, with what went and what came marked."""
    if max(len(before), len(after)) > _MARKED_CHARACTERS:
        return f"<del>{escape(_cut(before))}</del><ins>{escape(_cut(after))}</ins>"
    tags = {"added": "ins", "removed": "del"}
    parts = words(before, after)
    last = len(parts) - 1
    return "".join(
        f"<{tags[kind]}>{escape(text)}</{tags[kind]}>"
        if kind in tags
        else escape(_around(text, place == 0, place == last))
        for place, (kind, text) in enumerate(parts)
    )


def _around(text: str, is_first: bool, is_last: bool) -> str:
    """Return unchanged text without what is far from any change."""
    if len(text) <= 2 * _AROUND + 40 or (is_first and is_last):
        return text
    head = "" if is_first else text[:_AROUND]
    tail = "" if is_last else text[-_AROUND:]
    return f"{head} … {tail}"


def _fields(fields: Sequence[tuple[str, str]]) -> str:
    drawn = "".join(f'<dt>{escape(name)}</dt><dd dir="auto">{html}</dd>' for name, html in fields)
    return f'<dl class="work-fields">{drawn}</dl>'


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + " …"
