"""The tables of comparisons and votes. Importing this costs SQLAlchemy, as `tables` does."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from easytune.services.tables import Base


class ComparisonRow(Base):
    """A comparison without its prompts, and what its batch does."""

    __tablename__ = "comparison"

    id: Mapped[str] = mapped_column(primary_key=True)
    title: Mapped[str]
    kind: Mapped[str]
    created: Mapped[datetime] = mapped_column(index=True)
    columns: Mapped[list[Any]]
    labels: Mapped[str]
    """Labels of the columns, for searches."""
    revision: Mapped[int] = mapped_column(default=0)
    """Grows with every change of the comparison, its answers or its votes."""
    batch_state: Mapped[str] = mapped_column(default="finished")
    batch_owner: Mapped[str] = mapped_column(default="")
    """The process, and the service in it, that works through the prompts."""
    batch_stop: Mapped[bool] = mapped_column(default=False)
    """Somebody asked the owner to stop."""
    batch_clock: Mapped[datetime | None]
    """When the first prompt of this sitting began to be answered."""
    batch_latest: Mapped[datetime | None]
    """When the last prompt was done."""
    batch_counted: Mapped[int] = mapped_column(default=0)
    """Prompts done in this sitting."""
    batch_failure: Mapped[list[Any]] = mapped_column(default=list)
    """Code and values of the error that ended it; empty without one."""


class EntryRow(Base):
    """One prompt."""

    __tablename__ = "comparison_entry"

    comparison: Mapped[str] = mapped_column(
        ForeignKey(ComparisonRow.id, ondelete="CASCADE"), primary_key=True
    )
    position: Mapped[int] = mapped_column(primary_key=True)
    prompt: Mapped[str]
    messages: Mapped[list[Any]]
    reference: Mapped[str]
    done: Mapped[bool] = mapped_column(default=False)
    """Whether all columns have answered."""


class AnswerRow(Base):
    """What one column answered to one prompt."""

    __tablename__ = "comparison_answer"
    __table_args__ = (
        ForeignKeyConstraint(
            ["comparison", "position"],
            ["comparison_entry.comparison", "comparison_entry.position"],
            ondelete="CASCADE",
        ),
    )

    comparison: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    place: Mapped[int] = mapped_column(primary_key=True)
    """Index of the column."""
    text: Mapped[str]
    thinking: Mapped[str]
    seed: Mapped[int]
    reason: Mapped[str]
    code: Mapped[str]
    values: Mapped[dict[str, Any]]
    details: Mapped[dict[str, Any]]
    scores: Mapped[dict[str, Any]]


class VoteRow(Base):
    """Which of two columns (`a` before `b`) answered a prompt better."""

    __tablename__ = "comparison_vote"
    __table_args__ = (
        ForeignKeyConstraint(
            ["comparison", "position"],
            ["comparison_entry.comparison", "comparison_entry.position"],
            ondelete="CASCADE",
        ),
    )

    comparison: Mapped[str] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    a: Mapped[int] = mapped_column(primary_key=True)
    b: Mapped[int] = mapped_column(primary_key=True)
    verdict: Mapped[str]
    """`a`, `b`, `tie` or `both_bad`."""
    left: Mapped[int]
    """The column that was shown on the left."""
    cast_at: Mapped[datetime]
