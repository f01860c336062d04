"""The bytes of one file: unpacked, counted and fingerprinted on their way."""

import hashlib
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from easytune.data.decoding import Transcoder, unreadable
from easytune.data.reading import archives
from easytune.data.reading.places import Place
from easytune.errors import FileEmpty, FileMissing, FileUnreadable

_BLOCK = 1 << 18


class Opened:
    """A file while it is read, as a context manager.

    `done` of `total` bytes are read; of a packed file these are those on disk. `encoding` is known
    after the first text. With `at_most`, text ends after about so many bytes, which `cut` tells.
    """

    def __init__(
        self, place: Place, shelf: archives.Shelf | None = None, at_most: int | None = None
    ) -> None:
        self.place = place
        self.name = place.name
        self.done = 0
        self.total = 0
        self.encoding = ""
        self._stack = ExitStack()
        self._hash = hashlib.sha256()
        self._raw: IO[bytes] | None = None
        self._copied = False
        self._shelf = shelf
        self._at_most = at_most
        self.cut = False

    def __enter__(self) -> "Opened":
        """Open the file. Raises FileMissing, FileEmpty, FileUnreadable, ArchiveUnsafe."""
        path, member = self.place.path, self.place.member
        if not path.is_file():
            raise FileMissing(path=self.name)
        if member:
            shelf = self._shelf or self._stack.enter_context(archives.Shelf())
            raw, self.total = shelf.open(path, member)
            self._raw = self._stack.enter_context(raw)
        else:
            self._raw = self._stack.enter_context(path.open("rb"))
            self.total = path.stat().st_size
        if not self.total:
            self._stack.close()
            raise FileEmpty(path=self.name)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file and remove what was unpacked of it."""
        self._stack.close()

    def blocks(self) -> Iterator[bytes]:
        """Yield what is in the file, unpacked, a quarter of a megabyte at a time.

        Raises FileUnreadable, and ArchiveUnsafe for a bomb.
        """
        unpacked = 0
        stream = self._unpacking()
        while not self.cut and (block := self._read(stream)):
            unpacked += len(block)
            if self.place.packing:
                archives.check_size(self.name, unpacked, self.done)
            yield block
            self.cut = self._at_most is not None and unpacked >= self._at_most

    def utf8(self) -> Iterator[bytes]:
        """Yield the text of the file as UTF-8. See `easytune.data.decoding.Transcoder`."""
        transcoder = Transcoder(self.name)
        for block in transcoder.utf8(self.blocks()):
            self.encoding = transcoder.encoding
            yield block

    def file(self) -> Path:
        """Return a file on disk with the content, for libraries that want one.

        It is a copy for the time being when the content is packed or in an archive.
        """
        if not (self.place.packing or self.place.member):
            return self.place.path
        self._at_most = None
        folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="easytune-"))
        copy = Path(folder) / f"unpacked{self.place.ending}"
        with copy.open("wb") as target:
            for block in self.blocks():
                target.write(block)
        self._copied = True
        return copy

    def advance(self, share: float) -> None:
        """Note how much of the `file` is read, from 0 to 1."""
        if not self._copied:
            self.done = int(self.total * share)

    def digest(self) -> str:
        """Return the SHA-256 of the file; of an archive's member, unpacked. Reads what is left."""
        while self.read(_BLOCK):
            pass
        return self._hash.hexdigest()

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` of the file's own bytes, counted and fingerprinted."""
        assert self._raw is not None
        block = self._raw.read(size)
        self._hash.update(block)
        self.done = min(self.done + len(block), self.total)
        return block

    def _read(self, stream: Any) -> bytes:
        try:
            return stream.read(_BLOCK)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError) as problem:
            if isinstance(problem, OSError) and problem.errno:
                raise
            raise self._broken() from problem

    def _broken(self) -> FileUnreadable:
        return unreadable(self.name, "packed" if self.place.packing else "archive")

    def _unpacking(self) -> Any:
        if not self.place.packing:
            return self
        # Only who has a packed file pays for it.
        import pyarrow

        source = pyarrow.PythonFile(_Source(self), "r")
        return pyarrow.CompressedInputStream(source, self.place.packing)


class _Source:
    """As little of a file as Arrow asks for; closing it is left to its owner."""

    closed = False

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    def read(self, size: int = -1) -> bytes:
        return self._opened.read(size)

    def close(self) -> None:
        pass
