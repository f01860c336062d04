"""The tables of the registry. Importing this costs SQLAlchemy, as `tables` does.

What files say is kept here too, beside a mark that changes when they do: it can be dropped and
read again at any time. What people said is nowhere else.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from easytune.services.tables import Base


class VersionRow(Base):
    """What people say about a version."""

    __tablename__ = "registry_entry"
    __table_args__ = (UniqueConstraint("name", "number"),)

    key: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    number: Mapped[int]
    stage: Mapped[str] = mapped_column(default="candidate")
    tags: Mapped[list[Any]] = mapped_column(default=list)
    notes: Mapped[str] = mapped_column(default="")
    author: Mapped[str] = mapped_column(default="")
    revision: Mapped[int] = mapped_column(default=0)


class NameRow(Base):
    """A name, and which of its versions is the current one."""

    __tablename__ = "registry_name"

    name: Mapped[str] = mapped_column(primary_key=True)
    last: Mapped[int] = mapped_column(default=0)
    """The highest number given out; none is given twice."""
    current: Mapped[str | None]


class ChangeRow(Base):
    """One change; in the order of `id`."""

    __tablename__ = "registry_change"
    __table_args__ = ({"sqlite_autoincrement": True},)

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    who: Mapped[str]
    what: Mapped[str]
    entry: Mapped[str] = mapped_column(index=True)
    name: Mapped[str] = mapped_column(index=True)
    before: Mapped[Any] = mapped_column(JSON)
    after: Mapped[Any] = mapped_column(JSON)


class FactsRow(Base):
    """What the files of a version say, as long as their mark is the same."""

    __tablename__ = "registry_facts"

    key: Mapped[str] = mapped_column(primary_key=True)
    mark: Mapped[str]
    facts: Mapped[dict[str, Any]]
    """Empty for what is no version."""


class FilesRow(Base):
    """Sizes and SHA-256 of the files of a version."""

    __tablename__ = "registry_files"

    key: Mapped[str] = mapped_column(primary_key=True)
    mark: Mapped[str]
    """Of the files as they were when `files` was computed."""
    files: Mapped[list[Any]]
    first: Mapped[list[Any]]
    """What they were when they were first seen."""
