"""Conversations that are kept: made, gone on with, found again, exported and imported."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from easytune.generation import SamplingSection
from easytune.services import conversation_files
from easytune.services.conversation import Conversation, Message, Role, Summary
from easytune.services.conversation_files import Form
from easytune.services.store import Store

if TYPE_CHECKING:
    from easytune.services.conversation_rows import ConversationRows

__all__ = ["Conversation", "Conversations", "Form", "Message", "Role", "Summary"]


class Conversations:
    """The conversations of a home.

    Every method raises DatabaseUnusable, and those that name a conversation ConversationMissing.
    What a method returned from is on the disk.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(
        self,
        model: str = "",
        system: str = "",
        sampling: SamplingSection | None = None,
        title: str = "",
    ) -> Conversation:
        """Begin a conversation."""
        now = datetime.now(UTC)
        chosen = sampling or SamplingSection()
        begun = Conversation("", title, now, now, model, system, chosen, ())
        with self._writing() as rows:
            return rows.get(*rows.add([begun]))

    def get(self, id: str) -> Conversation:
        """Return a conversation with its messages."""
        with self._reading() as rows:
            return rows.get(id)

    def list(self, search: str = "", limit: int = 200) -> list[Summary]:
        """Return the conversations, last changed first.

        With `search`, those that have it in their title or messages, whatever the case.
        """
        with self._reading() as rows:
            return rows.list(search, limit)

    def append(self, id: str, *messages: Message) -> Conversation:
        """Add messages. While untitled, the beginning of the first question is the title."""
        with self._writing() as rows:
            return rows.append(id, messages)

    def truncate(self, id: str, keep: int) -> Conversation:
        """Keep only the first messages."""
        with self._writing() as rows:
            return rows.truncate(id, keep)

    def replace_last(self, id: str, message: Message) -> Conversation:
        """Put a message in the place of the last one."""
        with self._writing() as rows:
            return rows.replace_last(id, message)

    def change(
        self,
        id: str,
        *,
        title: str | None = None,
        model: str | None = None,
        system: str | None = None,
        sampling: SamplingSection | None = None,
    ) -> Conversation:
        """Change what is given. This does not move the conversation to the top of the list."""
        with self._writing() as rows:
            return rows.change(id, title=title, model=model, system=system, sampling=sampling)

    def delete(self, id: str) -> None:
        """Delete a conversation and its messages."""
        with self._writing() as rows:
            rows.delete(id)

    def export(self, ids: "list[str]", form: Form, lang: str = "en") -> str:
        """Return conversations as one text.

        `json` holds everything, and `import_file` reads it back; `jsonl` has one training row per
        conversation that has an answer; `markdown` is for people, its headings in `lang`.
        """
        with self._reading() as rows:
            found = [rows.get(id) for id in ids]
        return conversation_files.export(found, form, lang)

    def import_file(self, path: Path) -> "list[str]":
        """Add all conversations of a file, or none, and return their new ids.

        Reads our own JSON, and JSONL or JSON with conversations as datasets have them. Raises
        ImportUnreadable with the line and the reason; FileMissing, FileEmpty, FileUnreadable.
        """
        found = conversation_files.read(path)
        with self._writing() as rows:
            return rows.add(found)

    @contextmanager
    def _reading(self) -> Iterator["ConversationRows"]:
        with self._store.read() as session:
            # SQLAlchemy is loaded by now, and not before.
            from easytune.services.conversation_rows import ConversationRows

            yield ConversationRows(session)

    @contextmanager
    def _writing(self) -> Iterator["ConversationRows"]:
        with self._store.write() as session:
            from easytune.services.conversation_rows import ConversationRows

            yield ConversationRows(session)
