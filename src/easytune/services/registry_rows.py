"""What people say about versions, as rows of the database.

Importing this costs SQLAlchemy; the registry does so on first use.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from easytune.registry_errors import EntryChanged, EntryMissing
from easytune.services.registry_entry import Change, Facts, now
from easytune.services.registry_scan import CHECKPOINT
from easytune.services.registry_tables import ChangeRow, NameRow, VersionRow

_CURRENT = ("current", "rolled_back")


@dataclass(frozen=True)
class Said:
    """What people say about one version."""

    name: str
    number: int
    stage: str
    tags: tuple[str, ...]
    notes: str
    author: str
    revision: int


class RegistryRows:
    """The registry in the database, for the length of one session of the store."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._names: dict[str, NameRow] = {}

    def said(self) -> dict[str, Said]:
        """Return key -> what people say, of all versions there ever were."""
        row = VersionRow
        query = select(
            row.key, row.name, row.number, row.stage, row.tags, row.notes, row.author, row.revision
        )
        return {
            key: Said(name, number, stage, tuple(tags), notes, author, revision)
            for key, name, number, stage, tags, notes, author, revision in self._session.execute(
                query
            )
        }

    def one(self, key: str) -> Said | None:
        """Return what people say about one version; None when it has never been seen."""
        row = self._session.get(VersionRow, key)
        return row and Said(
            row.name, row.number, row.stage, tuple(row.tags), row.notes, row.author, row.revision
        )

    def checkpoints(self) -> list[str]:
        """Return the keys of the checkpoints that somebody wanted kept."""
        query = select(VersionRow.key).where(VersionRow.key.startswith(CHECKPOINT))
        return list(self._session.scalars(query))

    def current(self) -> dict[str, str]:
        """Return name -> key of its current version, of the names that have one."""
        query = select(NameRow.name, NameRow.current).where(NameRow.current.is_not(None))
        return {name: key for name, key in self._session.execute(query) if key}

    def numbered(self, name: str, number: int) -> str | None:
        """Return the key of a version by name and number."""
        query = select(VersionRow.key).where(VersionRow.name == name, VersionRow.number == number)
        return self._session.scalar(query)

    def register(self, new: Iterable[Facts], who: str = "") -> None:
        """Number versions that have not been seen before, in the order in which they began."""
        known = set(self._session.scalars(select(VersionRow.key)))
        unknown = [facts for facts in new if facts.key not in known]
        for facts in sorted(unknown, key=lambda each: (each.created, each.key)):
            number, author = self._next(facts.suggested), who or facts.author
            self._session.add(
                VersionRow(
                    key=facts.key, name=facts.suggested, number=number, author=author,
                    tags=[], notes="", stage="candidate", revision=0,
                )
            )  # fmt: skip
            self._note(facts.key, facts.suggested, author, "registered", None, number)

    def edit(
        self, key: str, changes: dict[str, Any], who: str, revision: int | None = None
    ) -> None:
        """Set fields of a version, and note what each was before.

        Raises EntryMissing, EntryChanged when `revision` is not the one it has now.
        """
        row = self._row(key)
        if revision is not None and revision != row.revision:
            raise EntryChanged(f"{row.name}:v{row.number}")
        changed = False
        for field, value in changes.items():
            before = getattr(row, field)
            if value == before:
                continue
            changed = True
            if field == "name":
                self._rename(row, value, who)
                continue
            setattr(row, field, value)
            self._note(key, row.name, who, field, before, value)
        row.revision += 1 if changed else 0

    def set_current(self, key: str, who: str, what: str = "current") -> None:
        """Make a version the current one of its name. Raises EntryMissing."""
        row = self._row(key)
        name = self._name(row.name)
        if name.current != key:
            before, name.current = name.current, key
            self._note(key, row.name, who, what, before, key)

    def clear_current(self, key: str, who: str) -> None:
        """Let a name be without a current version, if that was the current one."""
        for name in self._session.scalars(select(NameRow).where(NameRow.current == key)):
            name.current = None
            self._note(key, name.name, who, "current", key, None)

    def earlier(self, name: str) -> list[str]:
        """Return the keys that have been current of a name, the latest first, each once."""
        query = (
            select(ChangeRow.before)
            .where(ChangeRow.name == name, ChangeRow.what.in_(_CURRENT))
            .order_by(ChangeRow.id.desc())
        )
        found = [key for key in self._session.scalars(query) if key]
        return list(dict.fromkeys(found))

    def note(self, key: str, who: str, what: str) -> None:
        """Note in the history that something was done with a version. Raises EntryMissing."""
        self._note(key, self._row(key).name, who, what, None, None)

    def history(self, key: str, name: str) -> list[Change]:
        """Return what was changed of a version, and of what is current, the latest first."""
        of_name = ChangeRow.what.in_(_CURRENT) & (ChangeRow.name == name)
        query = select(ChangeRow).where(or_(ChangeRow.entry == key, of_name))
        return [
            Change(row.at, row.who, row.what, row.entry, row.name, *self._told(row))
            for row in self._session.scalars(query.order_by(ChangeRow.id.desc()))
        ]

    def _told(self, row: ChangeRow) -> tuple[Any, Any]:
        """Return what was before and after, versions as people call them."""
        if row.what not in _CURRENT:
            return row.before, row.after
        return self._ref(row.before), self._ref(row.after)

    def _ref(self, key: str | None) -> str | None:
        said = self.one(key) if key else None
        return f"{said.name}:v{said.number}" if said else None

    def _rename(self, row: VersionRow, name: str, who: str) -> None:
        """Move a version to another name, as the next number there."""
        self.clear_current(row.key, who)
        before = f"{row.name}:v{row.number}"
        row.name, row.number = name, self._next(name)
        self._note(row.key, name, who, "name", before, f"{name}:v{row.number}")

    def _next(self, name: str) -> int:
        row = self._name(name)
        row.last += 1
        return row.last

    def _name(self, name: str) -> NameRow:
        row = self._names.get(name) or self._session.get(NameRow, name)
        if row is None:
            row = NameRow(name=name, last=0, current=None)
            self._session.add(row)
        self._names[name] = row
        return row

    def _row(self, key: str) -> VersionRow:
        row = self._session.get(VersionRow, key)
        if row is None:
            raise EntryMissing(key)
        return row

    def _note(self, key: str, name: str, who: str, what: str, before: Any, after: Any) -> None:
        self._session.add(
            ChangeRow(
                at=now(), who=who, what=what, entry=key, name=name, before=before, after=after
            )
        )
