"""The dataset formats we know.

To add one, write `recognise(row)` and `convert(row, tags)` and add a line to FORMATS.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from easytune.data.conversation import Content, Tags, build, listed, read_turns, text_of
from easytune.data.rows import Message, Problem, Row, RowInvalid, type_words

Fields = Mapping[str, Any]
_PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("question", "answer"),
    ("query", "response"), ("question", "response"), ("instruction", "response"),
)  # fmt: skip
_LOOKED_AT = 200


@dataclass(frozen=True)
class Format:
    """How rows of one kind are told from others, and how they become conversations or text."""

    recognise: Callable[[Fields], bool]
    convert: Callable[[Fields, Tags], Content]


@dataclass(frozen=True)
class Layout:
    """What is known about a dataset before looking into it.

    `columns` maps the names a format uses to the dataset's own names.
    """

    format: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    tags: Tags = field(default_factory=Tags)


def recognise(rows: Sequence[Fields]) -> str | None:
    """Return the name of the format that fits most of the first rows, None when none fits any."""
    votes = dict.fromkeys(FORMATS, 0)
    for row in rows[:_LOOKED_AT]:
        for name, known in FORMATS.items():
            if known.recognise(row):
                votes[name] += 1
                break
    best = max(votes, key=lambda name: votes[name])
    return best if votes[best] else None


def convert(value: Any, number: int, source: str, layout: Layout) -> tuple[Row, Content] | Problem:
    """Return one row in the dataset's format, or why it cannot be used."""
    assert layout.format is not None
    try:
        if not isinstance(value, dict):
            raise RowInvalid("not_row", type=type_words(value))
        content = FORMATS[layout.format].convert(_renamed(value, layout.columns), layout.tags)
    except RowInvalid as invalid:
        return _in_own_words(invalid, layout.columns).at(number, source)
    return Row(number, source, content.messages, content.text), content


def columns_of(rows: Sequence[Fields]) -> list[str]:
    """Return the names of the fields in the first rows, in their order."""
    return list(dict.fromkeys(name for row in rows[:_LOOKED_AT] for name in row))


def mapped_layout(columns: Mapping[str, str]) -> Layout:
    """Return the layout for a mapping by hand: role (prompt, response, …) to column."""
    if "messages" in columns:
        names = {"messages": columns["messages"], "system": columns.get("system", "system")}
        return Layout("messages", names)
    if "text" in columns:
        return Layout("text", {"text": columns["text"]})
    renamed = {"prompt": "instruction", "response": "output"}
    names = {renamed.get(role, role): column for role, column in columns.items()}
    unmapped = dict.fromkeys(("instruction", "output", "input", "system", "history"), "")
    return Layout("alpaca", unmapped | names)


def _renamed(row: Fields, columns: Mapping[str, str]) -> Fields:
    """Return the row under the names its format uses; a name mapped to "" is left out."""
    if not columns:
        return row
    others = {name: value for name, value in row.items() if name not in columns}
    found = {name: row[column] for name, column in columns.items() if column in row}
    return others | found


def _in_own_words(invalid: RowInvalid, columns: Mapping[str, str]) -> RowInvalid:
    """Let a problem name the dataset's own column, not the one our format calls it."""
    path = invalid.values.get("field")
    if path is None:
        return invalid
    root = path.partition("[")[0]
    own = (columns.get(root) or root) + path[len(root) :]
    return RowInvalid(invalid.code, **{**invalid.values, "field": own})


def _is_messages(row: Fields) -> bool:
    return "messages" in row


def _from_messages(row: Fields, tags: Tags) -> Content:
    return _from_turns(row, "messages", tags)


def _is_sharegpt(row: Fields) -> bool:
    return "conversations" in row or "conversation" in row


def _from_sharegpt(row: Fields, tags: Tags) -> Content:
    return _from_turns(row, "conversation" if "conversation" in row else "conversations", tags)


def _from_turns(row: Fields, name: str, tags: Tags) -> Content:
    turns = listed(row, name)
    if not turns:
        raise RowInvalid("empty", field=name)
    messages, notices = read_turns(turns, name, tags)
    if row.get("tools"):
        notices.add("tools_ignored")
    return build([*_system(row), *messages], notices)


def _is_alpaca(row: Fields) -> bool:
    return "instruction" in row and "output" in row


def _from_alpaca(row: Fields, tags: Tags) -> Content:
    """Join instruction and input with a line break, as is usual; history comes before."""
    instruction = text_of(row, "instruction", optional=True)
    addition = text_of(row, "input", optional=True)
    if not addition.strip():
        text_of(row, "instruction")
    question = "\n".join(part for part in (instruction, addition) if part.strip())
    answer = text_of(row, "output")
    pair = [Message("user", question), Message("assistant", answer)]
    return build([*_system(row), *_history(row), *pair])


def _history(row: Fields) -> list[Message]:
    if row.get("history") in (None, "", []):
        return []
    messages = []
    for place, pair in enumerate(listed(row, "history")):
        path = f"history[{place}]"
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise RowInvalid("not_turn", field=path)
        asked, answered = ({"": side} for side in pair)
        messages.append(Message("user", text_of(asked, "", path=f"{path}[0]")))
        messages.append(Message("assistant", text_of(answered, "", path=f"{path}[1]")))
    return messages


def _pair(row: Fields) -> tuple[str, str] | None:
    return next((pair for pair in _PAIRS if pair[0] in row and pair[1] in row), None)


def _is_prompt_completion(row: Fields) -> bool:
    return _pair(row) is not None


def _from_prompt_completion(row: Fields, tags: Tags) -> Content:
    asked, answered = _pair(row) or next(
        (p for p in _PAIRS if p[0] in row or p[1] in row), _PAIRS[0]
    )
    if isinstance(row.get(asked), list) and isinstance(row.get(answered), list):
        before, notices = read_turns(listed(row, asked), asked, tags)
        after, more = read_turns(listed(row, answered), answered, tags)
        return build([*before, *after], notices | more)
    question, answer = text_of(row, asked), text_of(row, answered)
    context = text_of(row, "context", optional=True) if asked == "instruction" else ""
    question = f"{question}\n{context}" if context.strip() else question
    return build([*_system(row), Message("user", question), Message("assistant", answer)])


def _system(row: Fields) -> list[Message]:
    system = text_of(row, "system", optional=True)
    return [Message("system", system)] if system.strip() else []


def _is_text(row: Fields) -> bool:
    return "text" in row


def _from_text(row: Fields, tags: Tags) -> Content:
    return Content(text=text_of(row, "text"))


FORMATS: dict[str, Format] = {
    "messages": Format(_is_messages, _from_messages),
    "sharegpt": Format(_is_sharegpt, _from_sharegpt),
    "alpaca": Format(_is_alpaca, _from_alpaca),
    "prompt_completion": Format(_is_prompt_completion, _from_prompt_completion),
    "text": Format(_is_text, _from_text),
}
"""Every format by name; the first that recognises a row wins."""
