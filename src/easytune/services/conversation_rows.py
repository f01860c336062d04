"""Conversations as rows of the database. Importing this costs SQLAlchemy."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, delete, func, insert, or_, select
from sqlalchemy.orm import Session

from easytune.generation import SamplingSection
from easytune.inference_errors import ConversationMissing
from easytune.services.conversation import Conversation, Message, Role, Summary
from easytune.services.stored_sampling import sampling_of
from easytune.services.tables import Base, ConversationRow, MessageRow, found_in

_LONGEST_TITLE = 200
_LONGEST_MADE_TITLE = 60


class ConversationRows:
    """The conversations as one session sees them. Raises ConversationMissing."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def add(self, conversations: Sequence[Conversation]) -> "list[str]":
        """Keep conversations and their messages under new ids, which are returned."""
        ids = [secrets.token_hex(8) for _ in conversations]
        rows = [_values(id, each) for id, each in zip(ids, conversations, strict=True)]
        messages = [
            _message_values(id, message)
            for id, each in zip(ids, conversations, strict=True)
            for message in each.messages
        ]
        self._insert(ConversationRow, rows)
        self._insert(MessageRow, messages)
        return ids

    def get(self, id: str) -> Conversation:
        """Return a conversation."""
        return self._read(self._row(id))

    def list(self, search: str, limit: int) -> "list[Summary]":
        """Return those with `search` in title or messages, last changed first."""
        count = func.count(MessageRow.id)
        row = ConversationRow
        query = (
            select(row.id, row.title, row.updated, row.model, count)
            .outerjoin(MessageRow, MessageRow.conversation == row.id)
            .group_by(row.id)
            .order_by(row.updated.desc(), row.id)
            .limit(limit)
        )
        if search.strip():
            query = query.where(_has(search.strip()))
        return [Summary(*found) for found in self._session.execute(query)]

    def append(self, id: str, messages: tuple[Message, ...]) -> Conversation:
        """Add messages at the end."""
        row = self._row(id)
        self._add_messages(row, messages)
        return self._changed(row)

    def truncate(self, id: str, keep: int) -> Conversation:
        """Keep only the first messages."""
        row = self._row(id)
        self._drop(row, from_place=max(0, keep))
        return self._changed(row)

    def replace_last(self, id: str, message: Message) -> Conversation:
        """Put a message, with an id of its own, in the place of the last one if there is one."""
        row = self._row(id)
        self._drop(row, from_place=-1)
        self._add_messages(row, (message,))
        return self._changed(row)

    def change(
        self,
        id: str,
        *,
        title: str | None,
        model: str | None,
        system: str | None,
        sampling: SamplingSection | None,
    ) -> Conversation:
        """Set what is not None; the place in the list stays."""
        row = self._row(id)
        row.title = row.title if title is None else titled(title)
        row.model = row.model if model is None else whole(model)
        row.system = row.system if system is None else whole(system)
        if sampling is not None:
            row.sampling = sampling.model_dump(mode="json")
        self._session.flush()
        return self._read(row)

    def delete(self, id: str) -> None:
        """Delete a conversation and its messages."""
        self._session.delete(self._row(id))

    def _row(self, id: str) -> ConversationRow:
        row = self._session.get(ConversationRow, id)
        if row is None:
            raise ConversationMissing(id)
        return row

    def _messages(self, row: ConversationRow) -> tuple[Message, ...]:
        table = MessageRow
        query = (
            # Columns, not objects: a long history is read four times as fast.
            select(table.role, table.content, table.thinking, table.model, table.details, table.id)
            .where(table.conversation == row.id)
            .order_by(table.id)
        )
        return tuple(
            Message(cast("Role", role), content, thinking, model, details, id)
            for role, content, thinking, model, details, id in self._session.execute(query)
        )

    def _drop(self, row: ConversationRow, from_place: int) -> None:
        ids = [message.id for message in self._messages(row)][from_place:]
        self._session.execute(delete(MessageRow).where(MessageRow.id.in_(ids)))

    def _add_messages(self, row: ConversationRow, messages: tuple[Message, ...]) -> None:
        self._insert(MessageRow, [_message_values(row.id, message) for message in messages])
        row.title = row.title or _made_title(messages)

    def _insert(self, table: type[Base], rows: "list[dict[str, Any]]") -> None:
        if rows:
            self._session.execute(insert(table), rows)

    def _changed(self, row: ConversationRow) -> Conversation:
        row.updated = datetime.now(UTC)
        self._session.flush()
        return self._read(row)

    def _read(self, row: ConversationRow) -> Conversation:
        return Conversation(
            id=row.id,
            title=row.title,
            created=row.created,
            updated=row.updated,
            model=row.model,
            system=row.system,
            sampling=sampling_of(row.sampling)[0],
            messages=self._messages(row),
        )


def titled(text: str) -> str:
    """Return text as a title: one line, not too long."""
    return " ".join(whole(text).split())[:_LONGEST_TITLE]


def whole(text: str) -> str:
    """Return text without halves of characters, which no database takes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _made_title(messages: Sequence[Message]) -> str:
    """Return the beginning of the first question."""
    asked = (each.content for each in messages if each.role == "user" and each.content.strip())
    words = " ".join(whole(next(asked, "")).split())
    if len(words) <= _LONGEST_MADE_TITLE:
        return words
    # Chinese has no spaces to cut at.
    cut = words[:_LONGEST_MADE_TITLE].rstrip()
    shorter = cut.rpartition(" ")[0]
    kept = shorter if len(shorter) > _LONGEST_MADE_TITLE / 2 else cut
    return kept.rstrip(" ,;:，、；：") + "…"


def _has(search: str) -> ColumnElement[bool]:
    # A table of its own: all messages are counted, not only those that have the text.
    said = select(MessageRow.conversation).where(found_in(MessageRow.content, search))
    return or_(found_in(ConversationRow.title, search), ConversationRow.id.in_(said))


def _values(id: str, conversation: Conversation) -> dict[str, Any]:
    return {
        "id": id,
        "title": titled(conversation.title) or _made_title(conversation.messages),
        "created": conversation.created,
        "updated": conversation.updated,
        "model": whole(conversation.model),
        "system": whole(conversation.system),
        "sampling": conversation.sampling.model_dump(mode="json"),
    }


def _message_values(conversation: str, message: Message) -> dict[str, Any]:
    return {
        "conversation": conversation,
        "role": message.role,
        "content": whole(message.content),
        "thinking": whole(message.thinking),
        "model": whole(message.model),
        "details": message.details,
    }
