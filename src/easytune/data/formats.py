"""The dataset formats we know.

To add one, write `recognise(row)` and `convert(row, tags)` and add a line to FORMATS.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from easytune.data import plain_rows
from easytune.data.conversation import Content, Tags, build, listed, read_turns, text_of
from easytune.data.rows import Message, Problem, Row, RowInvalid, type_words

Fields = Mapping[str, Any]
Kind = Literal["conversations", "text"]
_PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("question", "answer"),
    ("query", "response"), ("question", "response"), ("instruction", "response"),
)  # fmt: skip
_LOOKED_AT = 200
_QUESTIONS = ("prompt", "question", "instruction", "query")
# How Anthropic's hh-rlhf and its many descendants write a dialogue into one text.
_SAID = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")
_LABELS = {"true": True, "false": False}


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


def recognise(rows: Sequence[Any]) -> str | None:
    """Return the name of the format that fits most of the first rows, None when none fits any."""
    votes = dict.fromkeys(FORMATS, 0)
    for row in rows[:_LOOKED_AT]:
        if name := format_of(row):
            votes[name] += 1
    best = max(votes, key=lambda name: votes[name])
    return best if votes[best] else None


def format_of(row: Any) -> str | None:
    """Return the name of the format that fits one row; a mere text is a row of plain text."""
    if isinstance(row, str):
        return "text"
    if not isinstance(row, dict):
        return None
    return next((name for name, known in FORMATS.items() if known.recognise(row)), None)


def kind_of(name: str) -> Kind:
    """Return what rows of a format are: conversations or plain text."""
    return "text" if name == "text" else "conversations"


def convert(value: Any, number: int, source: str, layout: Layout) -> tuple[Row, Content] | Problem:
    """Return one row in the dataset's format, or why it cannot be used.

    A row that is of another known format of the same kind is read by its own.
    """
    assert layout.format is not None
    try:
        content = _content(value, layout)
    except RowInvalid as invalid:
        return _in_own_words(invalid, layout.columns).at(number, source)
    return Row(number, source, content.messages, content.text), content


def surely_fits(layout: Layout) -> plain_rows.Look:
    """Return a quick look that is true only for rows of JSON that `convert` takes as they are."""
    assert layout.format is not None
    look = plain_rows.LOOKS.get(layout.format)
    usual = Tags()
    if look is None or layout.tags != usual or any(k != c for k, c in layout.columns.items()):
        return plain_rows.never
    return look


def columns_of(rows: Sequence[Any]) -> list[str]:
    """Return the names of the fields in the first rows, in their order."""
    described = [row for row in rows[:_LOOKED_AT] if isinstance(row, dict)]
    return list(dict.fromkeys(name for row in described for name in row))


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


def _content(value: Any, layout: Layout) -> Content:
    assert layout.format is not None
    if isinstance(value, str) and layout.format == "text":
        return _from_text({"text": value}, layout.tags)
    if not isinstance(value, dict):
        raise RowInvalid("not_row", type=type_words(value))
    known = FORMATS[layout.format]
    row = _renamed(value, layout.columns)
    # A label that says neither yes nor no is not left out of account.
    if not known.recognise(row) and not (layout.format == "kto" and "label" in row):
        own = format_of(value)
        if own and own != layout.format and kind_of(own) == kind_of(layout.format):
            return FORMATS[own].convert(value, layout.tags)
    return known.convert(row, layout.tags)


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


def _is_preference(row: Fields) -> bool:
    return "chosen" in row and "rejected" in row


def _from_preference(row: Fields, tags: Tags) -> Content:
    """Learn the chosen answer: a text, a turn, or the turns of the whole conversation."""
    before, notices = _question(row, tags)
    chosen, more = _answer(row, "chosen", tags)
    if any(turn.role == "user" for turn in chosen):
        before = [turn for turn in before if turn.role == "system"]
    return build([*before, *chosen], {"preference_chosen_only", *notices, *more})


def _question(row: Fields, tags: Tags) -> tuple[list[Message], set[str]]:
    """Return what an answer that stands apart is an answer to."""
    name = next((n for n in ("messages", "conversations") if row.get(n)), None)
    name = name or next((n for n in _QUESTIONS if row.get(n)), None)
    if name is None:
        return _system(row), set()
    if not isinstance(row[name], str):
        turns, notices = read_turns(listed(row, name), name, tags)
        return [*_system(row), *turns], notices
    addition = text_of(row, "input", optional=True)
    asked = [part for part in (text_of(row, name), addition) if part.strip()]
    return [*_system(row), *_history(row), Message("user", "\n".join(asked))], set()


def _answer(row: Fields, name: str, tags: Tags) -> tuple[list[Message], set[str]]:
    value = row.get(name)
    if isinstance(value, dict):
        return read_turns([value], name, tags)
    if isinstance(value, list):
        return read_turns(value, name, tags)
    said = text_of(row, name)
    parts = _SAID.split(said)
    if len(parts) > 2 and not parts[0].strip():
        words = zip(parts[1::2], parts[2::2], strict=True)
        return [
            Message("user" if who == "Human" else "assistant", w.strip()) for who, w in words
        ], set()
    return [Message("assistant", said)], set()


def _is_kto(row: Fields) -> bool:
    kinds = (_is_messages, _is_sharegpt, _is_alpaca, _is_prompt_completion)
    return _label(row) is not None and any(fits(row) for fits in kinds)


def _from_kto(row: Fields, tags: Tags) -> Content:
    """Learn the answers that are wanted."""
    label = _label(row)
    if label is None:
        raise RowInvalid("missing" if "label" not in row else "not_bool", field="label")
    if not label:
        raise RowInvalid("undesired")
    if _is_messages(row):
        return _from_messages(row, tags)
    if _is_sharegpt(row):
        return _from_sharegpt(row, tags)
    return (_from_alpaca if _is_alpaca(row) else _from_prompt_completion)(row, tags)


def _label(row: Fields) -> bool | None:
    """Return whether the answer is a wanted one, None when the row does not say so."""
    value = row.get("label", row.get("kto_tag"))
    if isinstance(value, str):
        return _LABELS.get(value.strip().lower())
    return value if isinstance(value, bool) else None


def _system(row: Fields) -> list[Message]:
    system = text_of(row, "system", optional=True)
    return [Message("system", system)] if system.strip() else []


def _is_text(row: Fields) -> bool:
    return "text" in row


def _from_text(row: Fields, tags: Tags) -> Content:
    return Content(text=text_of(row, "text"))


FORMATS: dict[str, Format] = {
    "preference": Format(_is_preference, _from_preference),
    "kto": Format(_is_kto, _from_kto),
    "messages": Format(_is_messages, _from_messages),
    "sharegpt": Format(_is_sharegpt, _from_sharegpt),
    "alpaca": Format(_is_alpaca, _from_alpaca),
    "prompt_completion": Format(_is_prompt_completion, _from_prompt_completion),
    "text": Format(_is_text, _from_text),
}
"""Every format by name; the first that recognises a row wins."""
