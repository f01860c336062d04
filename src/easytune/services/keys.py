"""Keys of the API: made once, shown once, kept as a hash."""

import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from easytune.inference_errors import DatabaseUnusable
from easytune.services.store import Store

_FRESH_SECONDS = 0.5
_NOTED_EVERY = timedelta(minutes=1)
_LONGEST_NAME = 100


@dataclass(frozen=True)
class Key:
    """A key as people see it; `hint` is how its secret begins and ends: "et-…abcd"."""

    id: str
    name: str
    hint: str
    created: datetime
    last_used: datetime | None


class Keys:
    """The keys of a home. Every method raises DatabaseUnusable."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._known: dict[str, Key] = {}
        self._read_at = float("-inf")
        self._noted: dict[str, datetime] = {}

    def create(self, name: str) -> tuple[Key, str]:
        """Return a new key and its secret, which cannot be had again."""
        secret = f"et-{secrets.token_urlsafe(32)}"
        title = " ".join(name.split())[:_LONGEST_NAME]
        key = Key(secrets.token_hex(8), title, f"et-…{secret[-4:]}", datetime.now(UTC), None)
        with self._store.write() as session:
            from easytune.services.tables import KeyRow

            session.add(
                KeyRow(
                    id=key.id,
                    name=key.name,
                    hint=key.hint,
                    digest=_digest(secret),
                    created=key.created,
                )
            )
        self._forget()
        return key, secret

    def list(self) -> list[Key]:
        """Return all keys, newest first."""
        return sorted(self._read().values(), key=lambda key: key.created, reverse=True)

    def delete(self, id: str) -> None:
        """Delete a key, if it is there.

        It stops working at once; in another process on the same home, within a second.
        """
        with self._store.write() as session:
            from easytune.services.tables import KeyRow

            row = session.get(KeyRow, id)
            if row is not None:
                session.delete(row)
        self._forget()

    def check(self, secret: str) -> Key | None:
        """Return the key a secret belongs to, None when there is none.

        Notes that the key was used, at most once a minute.
        """
        digest = _digest(secret)
        # Every key is compared, and each in constant time: how long it takes tells nothing.
        matching = [key for known, key in self._fresh() if hmac.compare_digest(known, digest)]
        if not matching:
            return None
        self._note_use(matching[0])
        return matching[0]

    def _fresh(self) -> "list[tuple[str, Key]]":
        """Return the keys by digest as they were at most half a second ago."""
        with self._lock:
            if time.monotonic() - self._read_at > _FRESH_SECONDS:
                self._known = self._read()
                self._read_at = time.monotonic()
            return [*self._known.items()]

    def _forget(self) -> None:
        with self._lock:
            self._read_at = float("-inf")

    def _read(self) -> dict[str, Key]:
        with self._store.read() as session:
            from sqlalchemy import select

            from easytune.services.tables import KeyRow

            return {
                row.digest: Key(row.id, row.name, row.hint, row.created, row.last_used)
                for row in session.scalars(select(KeyRow))
            }

    def _note_use(self, key: Key) -> None:
        now = datetime.now(UTC)
        with self._lock:
            noted = max(filter(None, (key.last_used, self._noted.get(key.id))), default=None)
            if noted is not None and now - noted < _NOTED_EVERY:
                return
            self._noted[key.id] = now
        try:
            with self._store.write() as session:
                from easytune.services.tables import KeyRow

                row = session.get(KeyRow, key.id)
                if row is not None:
                    row.last_used = now
        except DatabaseUnusable:
            # A full disk should not lock people out: the note is only for their information.
            return


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
