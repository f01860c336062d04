"""Files that go to a hub, read so that bytes are counted and a stop is seen between two blocks."""

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from easytune import hubs
from easytune.engine.failures import first_line
from easytune.errors import EasyTuneError
from easytune.hub_errors import HubInterrupted, HubNotReached
from easytune.hubs import Hub


@dataclass(frozen=True)
class Sent:
    """One file that is sent."""

    name: str
    """Its path in the repository, with slashes."""
    path: Path
    bytes: int
    sha256: str

    @classmethod
    def of(cls, name: str, path: Path) -> "Sent":
        """Return a file with its size and hash."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(name, path, path.stat().st_size, sha256)


@dataclass(frozen=True)
class Done:
    """What a hub has after an upload."""

    url: str
    revision: str
    commit: str
    private: bool
    found: dict[str, str]
    """Name -> hash, as the hub tells it."""


class CountedFile(io.BufferedReader):
    """A file that says how far it has been read; what that raises ends the reading."""

    def __init__(self, path: Path, watch: Callable[[int], None]) -> None:
        super().__init__(path.open("rb", buffering=0))
        self._watch: Callable[[int], None] | None = None
        self._later = watch

    def begin(self) -> None:
        """Count from now on: what was read before was read for its hash."""
        self._watch = self._later

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        block = super().read(size)
        if self._watch is not None:
            self._watch(self.tell())
        return block


def broken(error: Exception, hub: Hub, repository: str, sending: bool) -> EasyTuneError:
    """Return what a lost connection means: nothing was sent, or not all of it."""
    reason = first_line(error) or type(error).__name__
    if sending:
        return HubInterrupted(hub.title, repository, reason)
    return HubNotReached(hub.title, hubs.address(hub), reason)


def git_blob(path: Path) -> str:
    """Return the hash that git gives a file: the SHA-1 of its header and content."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
