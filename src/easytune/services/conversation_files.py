"""Conversations as text: for people, to keep elsewhere, to train on; and back."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from easytune import strict_json
from easytune.data import conversation as turns
from easytune.data import files, formats
from easytune.data.decoding import decode
from easytune.data.formats import Layout
from easytune.data.rows import Message as DataMessage
from easytune.data.rows import Problem, RowInvalid
from easytune.errors import FileEmpty, FileMissing, FileUnreadable
from easytune.i18n import t
from easytune.inference_errors import ImportUnreadable
from easytune.services.conversation import Conversation, Message, Role
from easytune.services.stored_sampling import sampling_of
from easytune.thinking import split_thinking

Form = Literal["markdown", "json", "jsonl"]
FORMAT = "easytune-conversations"
VERSION = 1
MAX_BYTES = 64 * 1024 * 1024
_TURN_FIELDS = ("messages", "conversations", "conversation")


# --- out --------------------------------------------------------------------


def export(conversations: Sequence[Conversation], form: Form, lang: str = "en") -> str:
    """Return conversations as one text. See `Conversations.export`."""
    match form:
        case "markdown":
            return "\n---\n\n".join(_markdown(conversation, lang) for conversation in conversations)
        case "json":
            held = [_plain(conversation) for conversation in conversations]
            content = {"format": FORMAT, "version": VERSION, "conversations": held}
            return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
        case "jsonl":
            rows = (_training_row(conversation) for conversation in conversations)
            return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows if row)


def _plain(conversation: Conversation) -> dict[str, Any]:
    messages = [_without(asdict(message), "id") for message in conversation.messages]
    return _without(asdict(conversation), "id") | {
        "created": conversation.created.isoformat(),
        "updated": conversation.updated.isoformat(),
        "sampling": conversation.sampling.model_dump(mode="json"),
        "messages": messages,
    }


def _without(content: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in content.items() if key != name}


def _training_row(conversation: Conversation) -> dict[str, Any] | None:
    """Return what can be learned from: questions that have an answer, each with that answer."""
    spoken = [message for message in conversation.messages if message.content.strip()]
    kept = [
        message
        for message, following in zip_longest(spoken, spoken[1:])
        if message.role != "user" or (following and following.role == "assistant")
    ]
    if not any(message.role == "assistant" for message in kept):
        return None
    system = Message("system", conversation.system)
    said = [system, *kept] if conversation.system.strip() else kept
    return {"messages": [_training_turn(message) for message in said]}


def _training_turn(message: Message) -> dict[str, str]:
    turn = {"role": message.role, "content": message.content}
    if message.role == "assistant" and message.thinking.strip():
        turn["reasoning_content"] = message.thinking
    return turn


def _markdown(conversation: Conversation, lang: str) -> str:
    parts = [f"# {conversation.title or t('stored.markdown.untitled', lang)}"]
    facts = [f"{conversation.created:%Y-%m-%d %H:%M} UTC", conversation.model]
    parts.append(" · ".join(fact for fact in facts if fact))
    if conversation.system.strip():
        parts += [f"## {t('stored.markdown.system', lang)}", conversation.system.strip()]
    for message in conversation.messages:
        parts += _markdown_message(message, lang)
    return "\n\n".join(parts) + "\n"


def _markdown_message(message: Message, lang: str) -> Iterator[str]:
    who = t(f"stored.markdown.{message.role}", lang)
    yield f"## {who}" + (f" ({message.model})" if message.model else "")
    if message.thinking.strip():
        summary = t("stored.markdown.thinking", lang)
        yield f"<details><summary>{summary}</summary>"
        yield message.thinking.strip()
        yield "</details>"
    yield message.content.strip()


# --- in ---------------------------------------------------------------------


def read(path: Path) -> list[Conversation]:
    """Return all conversations of a file. See `Conversations.import_file`."""
    if not path.is_file():
        raise FileMissing(path=str(path))
    try:
        own = _own_content(path)
        found = _own(own, path) if own is not None else _foreign(path)
    except FileUnreadable as error:
        raise ImportUnreadable(path.name, error.reason) from error
    except FileEmpty as error:
        raise ImportUnreadable(path.name, "@stored.import.empty") from error
    except strict_json.JsonRefused as refused:
        raise ImportUnreadable(path.name, _refusal(refused)) from refused
    if not found:
        raise ImportUnreadable(path.name, "@stored.import.empty")
    return found


def _refusal(refused: strict_json.JsonRefused) -> str:
    place = f"@data.line {refused.line}: " if refused.line else ""
    what = f" ({refused.what})" if refused.what else ""
    return f"{place}@stored.import.{refused.code}{what}"


def _own_content(path: Path) -> dict[str, Any] | None:
    """Return what our own export holds; None for any other file."""
    if path.stat().st_size > MAX_BYTES:
        raise ImportUnreadable(path.name, "@stored.import.too_large")
    if path.suffix.lower() not in (".json", ".jsonl", ".ndjson"):
        return None
    text = decode(path.read_bytes(), path.name)
    strict_json.check(text)
    try:
        content = json.loads(text)
    except ValueError:
        return None
    return content if isinstance(content, dict) and content.get("format") == FORMAT else None


class _OwnMessage(BaseModel):
    role: Role
    content: str
    thinking: str = ""
    model: str = ""
    details: dict[str, Any] = {}


_Moment = Annotated[
    AwareDatetime, Field(ge=datetime(1970, 1, 2, tzinfo=UTC), le=datetime(9000, 1, 1, tzinfo=UTC))
]


class _OwnConversation(BaseModel):
    title: str = ""
    created: _Moment
    updated: _Moment
    model: str = ""
    system: str = ""
    sampling: dict[str, Any] = {}
    messages: list[_OwnMessage]

    def kept(self) -> Conversation:
        """Return the conversation, not yet with an id."""
        messages = tuple(Message(**message.model_dump()) for message in self.messages)
        options = {"sampling": sampling_of(self.sampling)[0], "messages": messages}
        return Conversation(id="", **self.model_dump(exclude=set(options)), **options)


class _OwnFile(BaseModel):
    version: int
    conversations: list[_OwnConversation]


def _own(content: Mapping[str, Any], path: Path) -> list[Conversation]:
    try:
        held = _OwnFile.model_validate(content)
    except ValidationError as error:
        raise ImportUnreadable(path.name, _wrong_field(error)) from error
    if held.version > VERSION:
        raise ImportUnreadable(path.name, "@stored.import.newer")
    return [conversation.kept() for conversation in held.conversations]


def _wrong_field(error: ValidationError) -> str:
    match error.errors()[0]["loc"]:
        case ("conversations", int() as place, *rest):
            start = f"@stored.import.conversation {place + 1}: "
        case rest:
            start = ""
    field = ".".join(str(part) for part in rest)
    return f"{start}@stored.import.wrong_field {field}".rstrip()


def _foreign(path: Path) -> list[Conversation]:
    """Return the conversations of a file as datasets have them."""
    table = files.read(path, path.name)
    unit = "@data.line" if path.suffix.lower() in (".jsonl", ".ndjson") else "@data.row"
    described = [value for _, value in table.rows if isinstance(value, dict)]
    layout = Layout(formats.recognise(described) or "messages")
    now, found = datetime.now(UTC), []
    for problem in table.problems[:1]:
        raise ImportUnreadable(path.name, _reason(problem, unit))
    for number, value in table.rows:
        try:
            # The first of the file comes first in the list, too.
            moment = now - timedelta(microseconds=len(found))
            found.append(_conversation(_said(value, number, path, layout), value, moment))
        except RowInvalid as invalid:
            reason = _reason(invalid.at(number, path.name), unit)
            raise ImportUnreadable(path.name, reason) from invalid
    return found


def _reason(problem: Problem, unit: str) -> str:
    field = problem.values.get("field")
    # Codes of ours are texts of ours; the others belong to the data.
    section = "stored.import" if problem.code in ("tool_turns", "plain_text") else "data.reason"
    what = f" ({field})" if field else ""
    return f"{unit} {problem.number}: @{section}.{problem.code}{what}"


def _said(value: Any, number: int, path: Path, layout: Layout) -> Iterable[DataMessage]:
    """Return the messages of a row, none left out: a question may well have no answer yet."""
    name = next((n for n in _TURN_FIELDS if isinstance(value, dict) and n in value), None)
    if name:
        listed = turns.listed(value, name)
        messages, _ = turns.read_turns(listed, name, turns.Tags())
        system = turns.text_of(value, "system", optional=True)
        return [DataMessage("system", system), *messages] if system.strip() else messages
    match formats.convert(value, number, path.name, layout):
        case Problem() as problem:
            raise RowInvalid(problem.code, **problem.values)
        case (row, _) if row.messages:
            return row.messages
        case _:
            raise RowInvalid("plain_text")


def _conversation(said: Iterable[DataMessage], row: Any, moment: datetime) -> Conversation:
    system: list[str] = []
    messages: list[Message] = []
    for message in said:
        if message.role == "tool":
            raise RowInvalid("tool_turns")
        if message.role == "system" and not messages:
            system.append(message.content)
        else:
            messages.append(_message(message.role, message.content))
    if not messages:
        raise RowInvalid("empty")
    title = row.get("title")
    return Conversation(
        id="",
        title=title if isinstance(title, str) else "",
        created=moment,
        updated=moment,
        model="",
        system="\n\n".join(system),
        sampling=sampling_of({})[0],
        messages=tuple(messages),
    )


def _message(role: Role, content: str) -> Message:
    if role != "assistant":
        return Message(role, content)
    thinking, answer = split_thinking(content, opened=False)
    return Message(role, answer, thinking)
