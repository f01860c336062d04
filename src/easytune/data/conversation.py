"""Turns of any spelling into one conversation that can be learned from.

What is repaired, each counted in a notice: turns of the same speaker in a row are joined with an
empty line between; questions after the last answer and answers before the first question are left
out. What is not: a conversation without any answer or question is a problem.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from easytune.data.rows import Message, Role, RowInvalid, type_words

ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "ipython": "tool",
}
"""Words that datasets use for who speaks."""


@dataclass(frozen=True)
class Tags:
    """What a dataset calls the parts of a turn, where it differs from what is usual."""

    role: tuple[str, ...] = ("role", "from")
    content: tuple[str, ...] = ("content", "value")
    roles: Mapping[str, Role] = field(default_factory=lambda: ROLES)


@dataclass(frozen=True)
class Content:
    """What one row holds, and the repairs it needed (codes of `notice.data.*`)."""

    messages: tuple[Message, ...] | None = None
    text: str | None = None
    repairs: tuple[str, ...] = ()


def text_of(row: Mapping[str, Any], name: str, *, optional: bool = False, path: str = "") -> str:
    """Return a field's text; an optional one may be absent, null or blank.

    Raises RowInvalid: missing, null, not_text, damaged or empty. `path` is how the problem calls
    the field.
    """
    path = path or name
    value = row.get(name)
    if value is None:
        if optional:
            return ""
        raise RowInvalid("null" if name in row else "missing", field=path)
    if not isinstance(value, str):
        raise RowInvalid("not_text", field=path, type=type_words(value))
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise RowInvalid("damaged", field=path)
    if not optional and not value.strip():
        raise RowInvalid("empty", field=path)
    return value


def listed(row: Mapping[str, Any], name: str) -> list[Any]:
    """Return a field's list, which table files keep as JSON text.

    Raises RowInvalid: missing, null or not_list.
    """
    value = row.get(name)
    if value is None:
        raise RowInvalid("null" if name in row else "missing", field=name)
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as problem:
            raise RowInvalid("not_list", field=name) from problem
    if not isinstance(value, list):
        raise RowInvalid("not_list", field=name)
    return value


def read_turns(turns: list[Any], name: str, tags: Tags) -> tuple[list[Message], set[str]]:
    """Return the messages of a list of turns, and the notices they call for.

    Raises RowInvalid naming the turn, counted from 0 as in `messages[0]`.
    """
    notices: set[str] = set()
    messages = []
    for place, turn in enumerate(turns):
        path = f"{name}[{place}]"
        if not isinstance(turn, dict):
            raise RowInvalid("not_turn", field=path)
        messages.append(_message(turn, path, tags, notices))
    return messages, notices


def build(messages: Iterable[Message], repairs: Iterable[str] = ()) -> Content:
    """Return the conversation, repaired where that is sensible. Raises RowInvalid."""
    turns = [message for message in messages if message.content.strip()]
    fixed = set(repairs)
    system = [turn for turn in turns if turn.role == "system"]
    spoken = [turn for turn in turns if turn.role != "system"]
    kept = _from_question_to_answer(spoken, fixed)
    joined = _join_neighbours([*system, *kept], fixed)
    return Content(messages=tuple(joined), repairs=tuple(sorted(fixed)))


def _message(turn: dict[str, Any], path: str, tags: Tags, notices: set[str]) -> Message:
    role_name = next((name for name in tags.role if name in turn), tags.role[0])
    content_name = next((name for name in tags.content if name in turn), tags.content[0])
    word = text_of(turn, role_name, path=f"{path}.{role_name}")
    role = tags.roles.get(word) or tags.roles.get(word.strip().lower())
    if role is None:
        raise RowInvalid("unknown_role", field=f"{path}.{role_name}", role=word)
    if word.strip().lower() == "function_call":
        notices.add("tool_calls_as_text")
    calls = _tool_calls(turn)
    content = _content(
        turn, content_name, f"{path}.{content_name}", bool(calls) or role == "system"
    )
    if calls:
        notices.add("tool_calls_as_text")
        content = f"{content}\n{calls}".strip()
    return Message(role, _with_reasoning(turn, role, content))


def _content(turn: dict[str, Any], name: str, path: str, optional: bool) -> str:
    """Return a turn's text, also when it is split into typed parts."""
    parts = turn.get(name)
    if not isinstance(parts, list):
        return text_of(turn, name, optional=optional, path=path)
    if any(not isinstance(part, dict) or part.get("type") != "text" for part in parts):
        raise RowInvalid("not_text", field=path, type=type_words(parts))
    texts = [text_of(part, "text", path=f"{path}[{place}]") for place, part in enumerate(parts)]
    return text_of({name: "\n".join(texts)}, name, optional=optional, path=path)


def _tool_calls(turn: dict[str, Any]) -> str:
    """Return the calls of an OpenAI message as JSON text, one per line."""
    calls = turn.get("tool_calls")
    if not isinstance(calls, list):
        return ""
    functions = [call.get("function", call) if isinstance(call, dict) else call for call in calls]
    return "\n".join(json.dumps(function, ensure_ascii=False) for function in functions)


def _with_reasoning(turn: dict[str, Any], role: Role, content: str) -> str:
    """Put separately kept thoughts where thinking models write them."""
    thoughts = turn.get("reasoning_content")
    if role != "assistant" or not isinstance(thoughts, str) or not thoughts.strip():
        return content
    return f"<think>\n{thoughts.strip()}\n</think>\n\n{content}"


def _from_question_to_answer(turns: list[Message], fixed: set[str]) -> list[Message]:
    answers = [place for place, turn in enumerate(turns) if turn.role == "assistant"]
    questions = [place for place, turn in enumerate(turns) if turn.role == "user"]
    if not answers:
        raise RowInvalid("no_answer")
    if not questions or questions[0] > answers[-1]:
        raise RowInvalid("no_question")
    if answers[-1] < len(turns) - 1:
        fixed.add("trailing_turns")
    if questions[0] > 0:
        fixed.add("leading_turns")
    return turns[questions[0] : answers[-1] + 1]


def _join_neighbours(turns: list[Message], fixed: set[str]) -> list[Message]:
    joined: list[Message] = []
    for turn in turns:
        # Several tools may well answer one after another.
        if joined and joined[-1].role == turn.role != "tool":
            joined[-1] = Message(turn.role, f"{joined[-1].content}\n\n{turn.content}")
            fixed.add("joined_turns")
        else:
            joined.append(turn)
    return joined
