"""The database of a home: what has no folder of its own (conversations, comparisons, keys).

SQLite in WAL mode. A write takes the lock when it begins, so that two writers wait for each other
instead of failing half way, and is on the disk when `write` ends: what was acknowledged survives a
kill. SQLAlchemy is imported on first use, not when the app starts.
"""

import importlib
import json
import math
import sqlite3
import threading
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easytune.inference_errors import DatabaseUnusable

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine
    from sqlalchemy.orm import Session

FILE = "easytune.db"
TABLE_MODULES = (
    "easytune.services.tables",
    "easytune.services.comparison_tables",
    "easytune.services.registry_tables",
)
"""Modules whose tables the store creates."""

BUSY_SECONDS = 30.0
"""How long a session waits for the write of another."""

_REASONS = {
    sqlite3.SQLITE_NOTADB: "@stored.database.damaged",
    sqlite3.SQLITE_CORRUPT: "@stored.database.damaged",
    sqlite3.SQLITE_READONLY: "@stored.database.read_only",
    sqlite3.SQLITE_CANTOPEN: "@stored.database.cannot_open",
    sqlite3.SQLITE_BUSY: "@stored.database.locked",
    sqlite3.SQLITE_LOCKED: "@stored.database.locked",
    sqlite3.SQLITE_FULL: "@stored.database.full",
}


class Store:
    """Sessions on the database of a home, for any number of threads and processes.

    Whatever is done in a session raises DatabaseUnusable when the file is damaged, read-only, full,
    locked for too long, or written by a newer EasyTune. A file that was moved away or put back is
    noticed by the next session.
    """

    def __init__(self, home: Path) -> None:
        self.path = home / FILE
        self._engine: Engine | None = None
        self._identity: tuple[int, int] | None = None
        self._lock = threading.RLock()

    @contextmanager
    def write(self) -> Iterator["Session"]:
        """Give a session that holds the write lock; all of it is kept, or nothing if it raises.

        Do not open another one inside: it would wait for this one.
        """
        with self._session(writes=True) as session:
            yield session

    @contextmanager
    def read(self) -> Iterator["Session"]:
        """Give a session that sees the database as it is now."""
        with self._session(writes=False) as session:
            yield session

    def close(self) -> None:
        """Let go of the file; the next session opens it again."""
        with self._lock:
            if self._engine is not None:
                self._engine.dispose()
            self._engine = None

    @contextmanager
    def _session(self, *, writes: bool) -> Iterator["Session"]:
        from sqlalchemy import exc
        from sqlalchemy.orm import Session

        try:
            engine = self._connected().execution_options(writes=writes)
            with Session(engine, expire_on_commit=False) as session, session.begin():
                # Without this the transaction would begin with the first statement.
                session.connection()
                yield session
        except (exc.IntegrityError, exc.ProgrammingError):
            raise
        except exc.DatabaseError as error:
            raise self._unusable(error.orig) from error

    def _connected(self) -> "Engine":
        with self._lock:
            if self._engine is not None and _identity(self.path) != self._identity:
                self._engine.dispose()
                self._engine = None
            if self._engine is None:
                try:
                    self._engine = _open(self.path)
                except (sqlite3.Error, OSError) as error:
                    raise self._unusable(error) from error
                self._identity = _identity(self.path)
            return self._engine

    def _unusable(self, error: BaseException | None) -> DatabaseUnusable:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL):
            self.close()
        unopened = "@stored.database.cannot_open" if isinstance(error, OSError) else str(error)
        return DatabaseUnusable(str(self.path), _REASONS.get(code, unopened))


def folded(text: str) -> str:
    """Return text as searches compare it: without case, wide letters as narrow ones."""
    return unicodedata.normalize("NFKC", text).casefold()


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _open(path: Path) -> "Engine":
    """Return an engine on a database that has all our tables."""
    from sqlalchemy import URL, create_engine, event

    path.parent.mkdir(parents=True, exist_ok=True)
    _use_write_ahead_log(path)
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        connect_args={"timeout": BUSY_SECONDS},
        json_serializer=_json,
        pool_size=8,
        max_overflow=-1,
    )
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    try:
        with engine.execution_options(writes=True).begin() as connection:
            _create_tables(connection, path)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _use_write_ahead_log(path: Path) -> None:
    """Switch the file to WAL, which it remembers. Here SQLite does not wait by itself."""
    give_up = time.monotonic() + BUSY_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > give_up:
                raise
            time.sleep(0.02)
        else:
            return
        finally:
            connection.close()


def _configure(connection: sqlite3.Connection, record: Any) -> None:
    # We begin transactions ourselves: Python's driver would do it too late.
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")
    connection.create_function("folded", 1, folded, deterministic=True)


def _begin(connection: "Connection") -> None:
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _create_tables(connection: "Connection", path: Path) -> None:
    from easytune.services import tables

    for name in TABLE_MODULES:
        importlib.import_module(name)
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > tables.SCHEMA:
        raise DatabaseUnusable(str(path), "@stored.database.newer")
    tables.Base.metadata.create_all(connection)
    if version < tables.SCHEMA:
        connection.exec_driver_sql(f"PRAGMA user_version={tables.SCHEMA}")


def _json(value: Any) -> str:
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False)


def _finite(value: Any) -> Any:
    """Return a JSON value with what JSON cannot say, NaN and infinity, as null."""
    match value:
        case dict():
            return {name: _finite(item) for name, item in value.items()}
        case list() | tuple():
            return [_finite(item) for item in value]
        case float() if not math.isfinite(value):
            return None
        case _:
            return value
