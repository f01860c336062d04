"""What the files of all versions say, read once: kept in the database beside a mark of the files.

A look costs a few calls to the system per folder. What is new is read in the order in which it
began, for as long as the caller waits; the rest is left for the next look.

Importing this costs SQLAlchemy; the registry does so on first use.
"""

import threading
import time
from collections.abc import Iterable
from pathlib import Path

from sqlalchemy import delete, insert, select

from easytune.services import registry_scan
from easytune.services.registry_entry import Facts
from easytune.services.registry_facts import Reader, has_ended
from easytune.services.registry_tables import FactsRow
from easytune.services.store import Store

_NO_EXIT = "- "
_WRITTEN_AT_ONCE = 100
Known = dict[str, tuple[str, Facts | None]]


class Index:
    """The facts of every version of a home. Threads may share one."""

    def __init__(self, home: Path, store: Store, reader: Reader) -> None:
        self._home, self._store, self._reader = home, store, reader
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._known: Known | None = None

    def look(
        self, checkpoints: Iterable[str], patience_s: float = float("inf")
    ) -> tuple[dict[str, Facts], int]:
        """Return key -> facts of all versions, and how many folders are yet to be read.

        `checkpoints` are the keys of those that somebody wanted kept.
        """
        wanted = self._wanted(checkpoints)
        deadline = time.monotonic() + patience_s
        known = self._memory()
        missing = [key for key, mark in wanted.items() if self._is_new(known, key, mark)]
        while missing and self._reading.acquire(timeout=_wait_s(deadline)):
            try:
                missing = [key for key in missing if self._is_new(known, key, wanted[key])]
                batch, missing = missing[:_WRITTEN_AT_ONCE], missing[_WRITTEN_AT_ONCE:]
                missing = self._read(known, batch, wanted, deadline) + missing
            finally:
                self._reading.release()
            if time.monotonic() > deadline:
                break
        found: dict[str, Facts] = {}
        for key, mark in wanted.items():
            read = known.get(key)
            if read is not None and read[0] == mark and read[1] is not None:
                found[key] = read[1]
        return found, len(missing)

    def one(self, key: str) -> Facts | None:
        """Return the facts of one version, read now if need be; None when it is not there."""
        mark = registry_scan.mark(self._home, key)
        if mark is None:
            return None
        known = self._memory()
        if self._is_new(known, key, mark):
            with self._reading:
                self._read(known, [key], {key: mark}, float("inf"))
        read = known.get(key)
        return read[1] if read is not None else None

    def _wanted(self, checkpoints: Iterable[str]) -> dict[str, str]:
        wanted = registry_scan.marks(self._home)
        for key in checkpoints:
            if (mark := registry_scan.checkpoint_mark(self._home, key)) is not None:
                wanted[key] = mark
        return wanted

    def _is_new(self, known: Known, key: str, mark: str) -> bool:
        read = known.get(key)
        if read is not None and read[0] == mark and (read[1] or not mark.startswith(_NO_EXIT)):
            return False
        # Without a record of its end a run still goes on, or its runner was killed.
        return not mark.startswith(_NO_EXIT) or has_ended(self._home, key)

    def _read(
        self, known: Known, keys: list[str], wanted: dict[str, str], deadline: float
    ) -> list[str]:
        """Read some versions and keep what they say; return those that time was too short for."""
        fresh: Known = {}
        for place, key in enumerate(keys):
            fresh[key] = (wanted[key], self._reader.read(key))
            if time.monotonic() > deadline:
                left = keys[place + 1 :]
                break
        else:
            left = []
        with self._store.write() as session:
            session.execute(delete(FactsRow).where(FactsRow.key.in_(fresh)))
            session.execute(insert(FactsRow), [
                {"key": key, "mark": mark, "facts": facts.as_json() if facts else {}}
                for key, (mark, facts) in fresh.items()
            ])  # fmt: skip
        known.update(fresh)
        return left

    def _memory(self) -> Known:
        with self._lock:
            if self._known is None:
                self._known = self._stored()
            return self._known

    def _stored(self) -> Known:
        found: Known = {}
        with self._store.read() as session:
            for key, mark, facts in session.execute(
                select(FactsRow.key, FactsRow.mark, FactsRow.facts)
            ):
                try:
                    found[key] = (mark, Facts.of_json(facts) if facts else None)
                except (TypeError, KeyError, ValueError):
                    # Written by another version of EasyTune: it is read again.
                    continue
        return found


def _wait_s(deadline: float) -> float:
    return min(max(0.0, deadline - time.monotonic()), threading.TIMEOUT_MAX)
