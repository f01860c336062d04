"""The tables of the database. Importing this costs SQLAlchemy: only `Store` does, on first use.

Another module with tables imports `Base` from here and is named in `store.TABLE_MODULES`, so that
the store creates its tables too. Raise `SCHEMA` when a table changes in a way that an older
EasyTune cannot read.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, DateTime, Dialect, ForeignKey, Index, func
from sqlalchemy.orm import DeclarativeBase, InstrumentedAttribute, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

from easytune.services.store import folded

SCHEMA = 1
"""Version of all tables together, noted in the database as `PRAGMA user_version`."""


class Moment(TypeDecorator[datetime]):
    """A point in time: aware on this side, UTC in the database."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what is stored."""
        return value.astimezone(UTC).replace(tzinfo=None) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return what was meant."""
        return value.replace(tzinfo=UTC) if value else None


class Base(DeclarativeBase):
    """What every table derives from."""

    type_annotation_map = {datetime: Moment, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012


class ConversationRow(Base):
    """A conversation without its messages."""

    __tablename__ = "conversation"

    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    created: Mapped[datetime]
    updated: Mapped[datetime] = mapped_column(index=True)
    model: Mapped[str]
    system: Mapped[str]
    sampling: Mapped[dict[str, Any]]


class MessageRow(Base):
    """One message; in the order of `id`."""

    __tablename__ = "message"
    __table_args__ = (Index("message_order", "conversation", "id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(primary_key=True)
    conversation: Mapped[str] = mapped_column(ForeignKey(ConversationRow.id, ondelete="CASCADE"))
    role: Mapped[str]
    content: Mapped[str]
    thinking: Mapped[str]
    model: Mapped[str]
    details: Mapped[dict[str, Any]]


class KeyRow(Base):
    """A key of the API; of the secret only its SHA-256 is kept."""

    __tablename__ = "api_key"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    hint: Mapped[str]
    digest: Mapped[str]
    created: Mapped[datetime]
    last_used: Mapped[datetime | None]


def found_in(column: InstrumentedAttribute[str], search: str) -> ColumnElement[bool]:
    """Return the condition that a column has the text in it, whatever the case, in any script."""
    return func.instr(func.folded(column), folded(search)) > 0
