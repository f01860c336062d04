"""Conversations as such: their system prompt, and a row for each of their answers."""

from collections import Counter
from dataclasses import replace
from typing import Any

import orjson

from easytune.data.conversation import Tags
from easytune.data.formats import Layout
from easytune.data.steps.options import SplitTurnsSection, SystemPromptSection
from easytune.data.steps.step import Transform
from easytune.data.stored import parse

_LISTS = ("messages", "conversations", "conversation")


def prepare_system_prompt(options: SystemPromptSection, found: Counter[str]) -> Transform:
    """Return what gives a conversation a system prompt; plain text is left alone."""
    prompt = options.text or ""

    def give(value: Any, layout: Layout) -> list[Any]:
        if not prompt or layout.format == "text" or not isinstance(value, dict):
            return [value]
        present = _system_of(value, layout)
        if present and options.existing == "keep":
            return [value]
        text = f"{prompt}\n\n{present}" if present and options.existing == "extend" else prompt
        return [value if text == present else _with_system(value, layout, text)]

    return give


def layout_of_system_prompt(options: SystemPromptSection, layout: Layout) -> Layout:
    """Return the layout with a system column where a mapping by hand left it out."""
    if not options.text or layout.format == "text" or layout.columns.get("system") != "":
        return layout
    return replace(layout, columns={**layout.columns, "system": "system"})


def prepare_split_turns(options: SplitTurnsSection, found: Counter[str]) -> Transform:
    """Return what makes a row of each answer; a row with one answer is left alone."""

    def split(value: Any, layout: Layout) -> list[Any]:
        if not isinstance(value, dict) or layout.format == "text":
            return [value]
        column, turns = _turns(value, layout)
        if turns is not None:
            return _parts(value, column, turns, layout.tags, options.history)
        return _pairs(value, layout, options.history)

    return split


def _turns(value: dict[str, Any], layout: Layout) -> tuple[str, list[Any] | None]:
    """Return the column that holds a list of turns, and the list; None when there is none."""
    for name in (layout.columns.get("messages"), *_LISTS):
        if name and (turns := _listed(value.get(name))):
            return name, turns
    return "", None


def _listed(content: Any) -> list[Any] | None:
    """Return a list of turns, which table files keep as JSON text."""
    if isinstance(content, str):
        try:
            content = parse(content)
        except ValueError:
            return None
    whole = isinstance(content, list) and all(isinstance(turn, dict) for turn in content)
    return content if whole else None


def _relisted(turns: list[Any], before: Any) -> Any:
    return orjson.dumps(turns).decode() if isinstance(before, str) else turns


def _role(turn: dict[str, Any], tags: Tags) -> str | None:
    word = next((turn[name] for name in tags.role if name in turn), None)
    return tags.roles.get(word) or tags.roles.get(word.lower()) if isinstance(word, str) else None


def _content_name(turn: dict[str, Any], tags: Tags) -> str:
    return next((name for name in tags.content if name in turn), tags.content[0])


def _system_column(value: dict[str, Any], layout: Layout) -> str:
    return layout.columns.get("system") or "system"


def _system_of(value: dict[str, Any], layout: Layout) -> str:
    """Return the system prompt a conversation has: in its column, else as its first turn."""
    text = value.get(_system_column(value, layout))
    if isinstance(text, str) and text.strip():
        return text
    _, turns = _turns(value, layout)
    if turns and _role(turns[0], layout.tags) == "system":
        content = turns[0].get(_content_name(turns[0], layout.tags))
        return content if isinstance(content, str) else ""
    return ""


def _with_system(value: dict[str, Any], layout: Layout, text: str) -> dict[str, Any]:
    column = _system_column(value, layout)
    name, turns = _turns(value, layout)
    if turns is None or (isinstance(value.get(column), str) and value[column].strip()):
        return {**value, column: text}
    rest = turns[1:] if _role(turns[0], layout.tags) == "system" else turns
    model = turns[0]
    role = next((key for key in layout.tags.role if key in model), layout.tags.role[0])
    word = next((w for w, r in layout.tags.roles.items() if r == "system"), "system")
    system = {role: word, _content_name(model, layout.tags): text}
    return {**value, name: _relisted([system, *rest], value[name])}


def _parts(
    value: dict[str, Any], column: str, turns: list[Any], tags: Tags, history: bool
) -> list[Any]:
    """Return a row per answer. Answers without text, such as calls of tools, end no row."""
    roles = [_role(turn, tags) for turn in turns]
    ends = [
        place
        for place, role in enumerate(roles)
        if role == "assistant" and (place + 1 == len(turns) or roles[place + 1] == "user")
    ]
    if len(ends) < 2 or "user" not in roles[: ends[0]]:
        return [value]
    opening = turns[:1] if roles[0] == "system" else []
    rows, start = [], len(opening)
    for end in ends:
        first = len(opening) if history else start
        part = [*opening, *turns[first : end + 1]]
        rows.append({**value, column: _relisted(part, value[column])})
        start = end + 1
    return rows


def _pairs(value: dict[str, Any], layout: Layout, history: bool) -> list[Any]:
    """Return a row for each pair in an Alpaca row's history, and one for its own question."""
    names = {name: layout.columns.get(name, name) for name in ("instruction", "input", "output")}
    column = layout.columns.get("history", "history")
    raw = value.get(column)
    pairs = _read_pairs(raw)
    if not pairs or not all(names[name] for name in ("instruction", "output")):
        return [value]
    rows: list[Any] = []
    for place, (asked, answered) in enumerate(pairs):
        before = _relisted(pairs[:place] if history else [], raw)
        row = {**value, names["instruction"]: asked, names["output"]: answered, column: before}
        if names["input"] in value:
            row[names["input"]] = ""
        rows.append(row)
    return [*rows, value if history else {**value, column: _relisted([], raw)}]


def _read_pairs(raw: Any) -> list[list[Any]]:
    """Return the earlier questions and answers of an Alpaca row; none when they are no pairs."""
    if isinstance(raw, str):
        try:
            raw = parse(raw)
        except ValueError:
            return []
    if not isinstance(raw, list) or any(not isinstance(p, list) or len(p) != 2 for p in raw):
        return []
    return raw
