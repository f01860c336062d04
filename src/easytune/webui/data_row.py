"""One row as a conversation, with its parts as fields that can be mended."""

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from easytune.data.conversation import Content
from easytune.data.rows import Problem
from easytune.data.stored import StoredRow, parse, row_text
from easytune.dataset_errors import RowUnfit
from easytune.i18n import t
from easytune.webui.data_looked import Looked
from easytune.webui.data_table_view import Edit, changed

LONGEST_MESSAGE = 20_000
LONGEST_EDITED = 300_000
MOST_FIELDS = 120
Drawn = dict[str, Any]
Step = str | int
_TEXTS = (
    "before", "after", "close", "edit", "drop", "undo", "keep", "cancel", "as_json", "as_fields",
    "stored", "tokens",
)  # fmt: skip


def draw(
    looked: Looked, row: StoredRow, place: int, total: int, edit: Edit | None, lang: str
) -> Drawn:
    """Return what `data.js` needs to draw row `place` of `total` that fit the filter."""
    shown = changed(row, edit)
    content = looked.meaning(shown)
    is_own = looked.facts is not None
    drawn: Drawn = {
        "key": f"{looked.name}#{row.position}", "place": place, "total": total,
        "position": row.position,
        "title": t("datasets.row.title", lang, number=f"{row.position + 1:,}"),
        "source": t("datasets.row.source", lang, source=row.source, number=f"{row.number:,}"),
        "marks": [t("datasets.mark.held_out", lang)] if row.held_out else [],
        "changed": _state(edit, lang), "dropped": bool(edit and edit.get("drop")),
        "texts": {name: t(f"datasets.row.{name}", lang) for name in _TEXTS},
        "editable": is_own and len(shown.text) <= LONGEST_EDITED,
        "raw": _pretty(shown), "xray": is_own and not edit,
        **_meaning(content, lang),
    }  # fmt: skip
    if is_own and not drawn["editable"]:
        drawn["hint"] = t("datasets.row.too_long", lang)
    if drawn["editable"]:
        drawn |= _editor(shown, content, lang)
    return drawn


def apply(row: StoredRow, changes: Any, raw: Any) -> str:
    """Return a row's text after changes: fields by their path, or the whole row as JSON.

    Raises RowUnfit for what is not JSON, and for fields the row does not have.
    """
    if isinstance(raw, str):
        return row_text(_parsed(raw))
    value = copy.deepcopy(row.value)
    for change in changes if isinstance(changes, list) else ():
        value = _with(value, change.get("path"), change.get("text"))
    return row_text(value)


def _parsed(raw: str) -> Any:
    try:
        return parse(raw)
    except ValueError as error:
        raise RowUnfit(f"{error}") from error


def _with(value: Any, path: Any, text: Any) -> Any:
    """Return a row with another text at a path; a new name at its end adds a field."""
    if not isinstance(path, list) or not path or not isinstance(text, str):
        raise RowUnfit("@datasets.row.no_field")
    inner = value
    try:
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = text
    except (KeyError, IndexError, TypeError) as error:
        raise RowUnfit("@datasets.row.no_field") from error
    return value


def _state(edit: Edit | None, lang: str) -> str:
    if not edit:
        return ""
    return t(f"datasets.mark.{'dropped' if edit.get('drop') else 'changed'}", lang)


def _meaning(content: Content | Problem, lang: str) -> Drawn:
    if isinstance(content, Problem):
        said = t(f"data.problem.{content.code}", lang, **content.placeholders)
        return {"problem": said, "messages": []}
    if content.messages is None:
        turns = [{"role": "text", "name": t("datasets.role.text", lang),
                  **_cut(content.text or "", lang)}]  # fmt: skip
        return {"problem": "", "messages": turns}
    turns = [
        {"role": m.role, "name": t(f"datasets.role.{m.role}", lang), **_cut(m.content, lang)}
        for m in content.messages
    ]
    return {"problem": "", "messages": turns}


def _cut(text: str, lang: str) -> Drawn:
    if len(text) <= LONGEST_MESSAGE:
        return {"text": text}
    left = f"{len(text) - LONGEST_MESSAGE:,}"
    return {"text": text[:LONGEST_MESSAGE], "more": t("datasets.row.more", lang, count=left)}


def _pretty(row: StoredRow) -> str:
    try:
        value = parse(row.text)
    except ValueError:
        return row.text[:LONGEST_EDITED]
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()[:LONGEST_EDITED]


def _editor(row: StoredRow, content: Content | Problem, lang: str) -> Drawn:
    """Return the fields of a row; none where it can only be mended as JSON."""
    value = row.value
    is_parsed = not isinstance(value, str)
    fields = list(_fields(value, [])) if is_parsed else []
    if isinstance(content, Problem) and content.code == "missing" and isinstance(value, dict):
        name = str(content.values.get("field", ""))
        if name and name.isidentifier() and name not in value:
            fields.append({"path": [name], "name": name, "text": ""})
    if len(fields) > MOST_FIELDS:
        fields = []
    hint = "" if is_parsed else t("datasets.row.write_json", lang)
    return {"fields": fields, "json_hint": hint}


def _fields(value: Any, path: Sequence[Step]) -> Iterator[Drawn]:
    """Yield the leaves of a row that hold a text, a number or nothing."""
    match value:
        case dict():
            for name, inner in value.items():
                yield from _fields(inner, [*path, name])
        case list():
            for place, inner in enumerate(value):
                yield from _fields(inner, [*path, place])
        case _ if path:
            text = "" if value is None else value if isinstance(value, str) else str(value)
            yield {"path": list(path), "name": _name(path), "text": text}


def _name(path: Sequence[Step]) -> str:
    """Return a path as people write it: messages[0].content."""
    name = ""
    for step in path:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else step
    return name
