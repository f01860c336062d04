"""SHA-256 of the files of versions: computed once, in the background, and kept in the database.

Importing this costs SQLAlchemy; the registry does so on first use.
"""

import hashlib
import threading
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, NamedTuple

from sqlalchemy import select

from easytune.inference_errors import DatabaseUnusable
from easytune.services import registry_scan
from easytune.services.registry_entry import Facts, FileFact
from easytune.services.registry_tables import FilesRow
from easytune.services.store import Store

_BLOCK = 1 << 20
Outcome = Literal["same", "changed", "missing", "added"]


class Files(NamedTuple):
    """The files of a version, and what became of them since they were first seen."""

    now: tuple[FileFact, ...]
    changes: dict[str, Outcome]
    """path -> changed, missing or added; those that are the same are left out."""

    @property
    def is_known(self) -> bool:
        """Tell whether all hashes have been computed."""
        return all(file.sha256 for file in self.now)


class Hashes:
    """The hashes of a home. Threads may share one."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Condition()
        self._waiting: deque[Facts] = deque()
        self._queued: set[str] = set()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def files(self, facts: Facts) -> Files:
        """Return the files of a version; hashes that are not known yet are "" and get computed."""
        folder = Path(facts.folder)
        kept = self._kept(facts.key)
        if kept is not None and kept.mark == registry_scan.files_mark(folder):
            return _compared(_facts(kept.first), _facts(kept.files))
        self.ask([facts], first=True)
        listed = tuple(FileFact(path, size, "") for path, size in registry_scan.files(folder))
        return Files(listed, {})

    def verify(self, facts: Facts) -> Files:
        """Compute all hashes anew, and return what has changed since they were first seen."""
        return self._compute(facts)

    def ask(self, wanted: Iterable[Facts], *, first: bool = False) -> None:
        """Have hashes computed in the background; those asked for `first` before all others."""
        with self._lock:
            for facts in wanted:
                if first and facts.key in self._queued:
                    self._waiting = deque(w for w in self._waiting if w.key != facts.key)
                elif facts.key in self._queued:
                    continue
                self._queued.add(facts.key)
                (self._waiting.appendleft if first else self._waiting.append)(facts)
            if self._thread is None and self._waiting and not self._closing.is_set():
                self._thread = threading.Thread(target=self._work, name="hashes", daemon=True)
                self._thread.start()

    def unknown(self, among: Iterable[Facts]) -> list[Facts]:
        """Return those of which no hash has ever been computed."""
        with self._store.read() as session:
            known = set(session.scalars(select(FilesRow.key)))
        return [facts for facts in among if facts.key not in known]

    def close(self) -> None:
        """Stop after the block that is being read."""
        self._closing.set()
        with self._lock:
            thread, self._thread = self._thread, None
            self._waiting.clear()
        if thread is not None:
            thread.join(timeout=5)

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._waiting or self._closing.is_set():
                    self._thread = None
                    return
                facts = self._waiting.popleft()
            try:
                self._compute(facts)
            except (OSError, DatabaseUnusable, _Closing):
                # The folder went away meanwhile: whoever looks at it again asks again.
                pass
            finally:
                with self._lock:
                    self._queued.discard(facts.key)

    def _compute(self, facts: Facts) -> Files:
        folder = Path(facts.folder)
        mark = registry_scan.files_mark(folder)
        found = [
            FileFact(path, size, self._digest(folder / path))
            for path, size in registry_scan.files(folder)
        ]
        content = [list(file) for file in _rows(found)]
        with self._store.write() as session:
            kept = session.get(FilesRow, facts.key)
            if kept is None:
                session.add(FilesRow(key=facts.key, mark=mark, files=content, first=content))
                first = content
            else:
                kept.mark, kept.files, first = mark, content, kept.first
        return _compared(_facts(first), tuple(found))

    def _digest(self, path: Path) -> str:
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                if self._closing.is_set():
                    raise _Closing
                digest.update(block)
        return digest.hexdigest()

    def _kept(self, key: str) -> FilesRow | None:
        with self._store.read() as session:
            return session.get(FilesRow, key)


class _Closing(Exception):
    """The process is ending."""


def _rows(files: Iterable[FileFact]) -> list[tuple[Any, ...]]:
    return [(file.path, file.bytes, file.sha256) for file in files]


def _facts(rows: Iterable[Any]) -> tuple[FileFact, ...]:
    return tuple(FileFact(*row) for row in rows)


def _compared(first: tuple[FileFact, ...], now: tuple[FileFact, ...]) -> Files:
    before = {file.path: file for file in first}
    changes: dict[str, Outcome] = {}
    for file in now:
        known = before.pop(file.path, None)
        if known is None:
            changes[file.path] = "added"
        elif known != file:
            changes[file.path] = "changed"
    changes.update(dict.fromkeys(before, "missing"))
    return Files(now, changes)
