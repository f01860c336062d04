"""Comparisons as rows of the database.

Importing this costs SQLAlchemy; the services do so on first use.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import and_, delete, exists, func, or_, select
from sqlalchemy.orm import Session

from easytune.inference_errors import ComparisonMissing
from easytune.services.comparison import (
    BatchState,
    Column,
    Comparison,
    Entry,
    StoredAnswer,
    Summary,
    Vote,
)
from easytune.services.comparison_tables import AnswerRow, ComparisonRow, EntryRow, VoteRow
from easytune.services.prompts import Prompt
from easytune.services.tables import found_in
from easytune.wire import Turn

_COLUMNS: TypeAdapter[tuple[Column, ...]] = TypeAdapter(tuple[Column, ...])
_TURNS: TypeAdapter[tuple[Turn, ...]] = TypeAdapter(tuple[Turn, ...])
_ANSWER = tuple(getattr(AnswerRow, field.name) for field in fields(StoredAnswer))
TITLE_LENGTH = 60


class ComparisonRows:
    """The comparisons of the database, for the length of one session of the store."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def insert(self, comparison: Comparison) -> None:
        """Store a new comparison, with the entries it has."""
        self._session.add(
            ComparisonRow(
                id=comparison.id,
                title=comparison.title,
                kind=comparison.kind,
                created=comparison.created,
                columns=_COLUMNS.dump_python(comparison.columns, mode="json"),
                labels="\n".join(column.label for column in comparison.columns),
                batch_clock=None,
                batch_latest=None,
            )
        )
        self._session.flush()
        for entry in comparison.entries:
            self._add_entry(comparison.id, entry.position, Prompt(entry.messages, entry.reference))
            answers = {place: each for place, each in enumerate(entry.answers) if each is not None}
            self.put_answers(comparison.id, entry.position, answers)

    def rename(self, comparison: str, title: str) -> None:
        """Give a comparison a title; an empty one is replaced by its first prompt."""
        first = self._session.get(EntryRow, (comparison, 0))
        wanted = " ".join(title.split()) or (title_of(first.prompt) if first else "")
        self.changed(comparison).title = wanted

    def delete(self, comparison: str) -> None:
        """Delete a comparison with all that belongs to it. Raises ComparisonMissing."""
        self._session.delete(self.row(comparison))

    def row(self, comparison: str) -> ComparisonRow:
        """Return the row of a comparison. Raises ComparisonMissing."""
        found = self._session.get(ComparisonRow, comparison)
        if found is None:
            raise ComparisonMissing(comparison=comparison)
        return found

    def changed(self, comparison: str) -> ComparisonRow:
        """Return the row of a comparison that is about to change, its revision raised."""
        found = self.row(comparison)
        found.revision += 1
        return found

    def load(self, comparison: str) -> Comparison:
        """Return a comparison whole. Raises ComparisonMissing."""
        found = self.row(comparison)
        entries = self._session.scalars(
            select(EntryRow).where(EntryRow.comparison == comparison).order_by(EntryRow.position)
        )
        return _comparison_of(found, entries, self._answers(comparison))

    def summaries(self, search: str, limit: int) -> list[Summary]:
        """Return the newest comparisons with `search` in title, labels or prompts."""
        counted = (
            select(func.count()).where(EntryRow.comparison == ComparisonRow.id).scalar_subquery()
        )
        query = select(ComparisonRow, counted).order_by(ComparisonRow.created.desc()).limit(limit)
        if search.strip():
            text = search.strip()
            has_prompt = exists().where(
                EntryRow.comparison == ComparisonRow.id, found_in(EntryRow.prompt, text)
            )
            by_name = found_in(ComparisonRow.title, text), found_in(ComparisonRow.labels, text)
            query = query.where(or_(*by_name, has_prompt))
        return [_summary(found, entries) for found, entries in self._session.execute(query)]

    def add_entries(self, comparison: str, prompts: Sequence[Prompt]) -> int:
        """Store prompts to be answered after those there are; return the position of the first."""
        found = self.changed(comparison)
        used = self._session.scalar(
            select(func.max(EntryRow.position)).where(EntryRow.comparison == comparison)
        )
        first = 0 if used is None else used + 1
        for number, prompt in enumerate(prompts):
            self._add_entry(comparison, first + number, prompt)
        if not found.title:
            found.title = title_of(prompts[0].messages[-1].content)
        self._session.flush()
        return first

    def put_answers(
        self, comparison: str, position: int, answers: Mapping[int, StoredAnswer]
    ) -> None:
        """Store the answers of these columns to a prompt. Raises ComparisonMissing."""
        found = self.changed(comparison)
        for place, answer in answers.items():
            self._session.merge(
                AnswerRow(comparison=comparison, position=position, place=place, **asdict(answer))
            )
        self._session.flush()
        entry = self._session.get_one(EntryRow, (comparison, position))
        have = self._session.scalar(
            select(func.count()).where(
                AnswerRow.comparison == comparison, AnswerRow.position == position
            )
        )
        entry.done = have == len(found.columns)

    def next_open(self, comparison: str) -> tuple[Comparison, list[int]] | None:
        """Return the comparison with the first prompt only that lacks answers, and whose."""
        found = self.row(comparison)
        entry = self._session.scalar(
            select(EntryRow)
            .where(EntryRow.comparison == comparison, EntryRow.done.is_(False))
            .order_by(EntryRow.position)
            .limit(1)
        )
        if entry is None:
            return None
        whole = _comparison_of(found, [entry], self._answers(comparison, entry.position))
        missing = [place for place, each in enumerate(whole.entries[0].answers) if each is None]
        return whole, missing

    def reopen(self, comparison: str, kept_failures: Sequence[str]) -> None:
        """Forget answers that failed or were cut off, so that they are asked again.

        Failures with a code of `kept_failures` stay.
        """
        failed = and_(AnswerRow.reason == "failed", AnswerRow.code.not_in(kept_failures))
        again = select(AnswerRow).where(
            AnswerRow.comparison == comparison, or_(failed, AnswerRow.reason == "cancelled")
        )
        for answer in self._session.scalars(again):
            self._session.get_one(EntryRow, (comparison, answer.position)).done = False
            self._session.delete(answer)
        self._session.flush()

    def begin_batch(self, comparison: str, owner: str) -> None:
        """Note that `owner` works through the prompts from now on."""
        found = self.changed(comparison)
        found.batch_state, found.batch_owner, found.batch_stop = "running", owner, False
        found.batch_clock = found.batch_latest = None
        found.batch_counted, found.batch_failure = 0, []

    def count_prompt(self, comparison: str) -> None:
        """Note that one more prompt is done in this sitting."""
        found = self.row(comparison)
        found.batch_counted += 1
        found.batch_latest = datetime.now(UTC)

    def end_batch(
        self, comparison: str, state: BatchState, failure: tuple[str, dict[str, Any]] | None
    ) -> None:
        """Note how a batch ended."""
        found = self.changed(comparison)
        found.batch_state, found.batch_stop = state, False
        found.batch_failure = list(failure or ())

    def votes(self, comparison: str) -> list[Vote]:
        """Return all votes of a comparison, in the order of its prompts."""
        query = select(VoteRow).where(VoteRow.comparison == comparison)
        found = self._session.scalars(query.order_by(VoteRow.position, VoteRow.a, VoteRow.b))
        return [Vote(v.position, v.a, v.b, v.verdict, v.left) for v in found]  # type: ignore[arg-type]

    def put_vote(self, comparison: str, vote: Vote) -> None:
        """Keep a vote, in place of an earlier one on the same two answers."""
        self.changed(comparison)
        self._session.merge(
            VoteRow(comparison=comparison, cast_at=datetime.now(UTC), **asdict(vote))
        )

    def clear_votes(self, comparison: str) -> None:
        """Forget all votes of a comparison."""
        self.changed(comparison)
        self._session.execute(delete(VoteRow).where(VoteRow.comparison == comparison))

    def counts(self, comparison: str) -> tuple[int, int]:
        """Return how many prompts are done, and how many there are."""
        done = func.count().filter(EntryRow.done.is_(True))
        counted = select(done, func.count()).where(EntryRow.comparison == comparison)
        answered, total = self._session.execute(counted).one()
        return answered, total

    def _add_entry(self, comparison: str, position: int, prompt: Prompt) -> None:
        self._session.add(
            EntryRow(
                comparison=comparison,
                position=position,
                prompt=prompt.messages[-1].content,
                messages=_TURNS.dump_python(prompt.messages, mode="json"),
                reference=prompt.reference,
            )
        )

    def _answers(
        self, comparison: str, position: int | None = None
    ) -> dict[int, dict[int, StoredAnswer]]:
        """Return the answers there are, by position and place of the column."""
        query = select(AnswerRow.position, AnswerRow.place, *_ANSWER)
        query = query.where(AnswerRow.comparison == comparison)
        if position is not None:
            query = query.where(AnswerRow.position == position)
        found: dict[int, dict[int, StoredAnswer]] = {}
        for at, place, *values in self._session.execute(query):
            found.setdefault(at, {})[place] = StoredAnswer(*values)
        return found


def title_of(prompt: str) -> str:
    """Return the beginning of a prompt as a title."""
    line = " ".join(prompt.split())
    return line if len(line) <= TITLE_LENGTH else line[: TITLE_LENGTH - 1].rstrip() + "…"


def _comparison_of(
    found: ComparisonRow,
    entries: Iterable[EntryRow],
    answers: Mapping[int, Mapping[int, StoredAnswer]],
) -> Comparison:
    columns = _COLUMNS.validate_python(found.columns)
    return Comparison(
        id=found.id,
        title=found.title,
        kind="batch" if found.kind == "batch" else "live",
        created=found.created,
        columns=columns,
        entries=tuple(
            _entry_of(entry, answers.get(entry.position, {}), len(columns)) for entry in entries
        ),
    )


def _entry_of(found: EntryRow, answers: Mapping[int, StoredAnswer], columns: int) -> Entry:
    return Entry(
        position=found.position,
        prompt=found.prompt,
        messages=_TURNS.validate_python(found.messages),
        reference=found.reference,
        answers=tuple(answers.get(place) for place in range(columns)),
    )


def _summary(found: ComparisonRow, entries: int) -> Summary:
    return Summary(
        id=found.id,
        title=found.title,
        kind="batch" if found.kind == "batch" else "live",
        created=found.created,
        columns=tuple(found.labels.split("\n")),
        entries=entries,
    )
