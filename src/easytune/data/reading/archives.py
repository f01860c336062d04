"""Zip archives, opened with care: they are checked before anything in them is read."""

import zipfile
from pathlib import Path
from types import TracebackType
from typing import IO

from easytune.data.decoding import unreadable
from easytune.dataset_errors import ArchiveUnsafe
from easytune.errors import FileMissing

LARGEST_BYTES = 64 * 2**30
LARGEST_RATIO = 200
HARMLESS_BYTES = 200 * 2**20
"""What may be unpacked from however little: a bomb is worth its name only beyond that."""

_MOST_MEMBERS = 20_000
_LINK = 0o120000
_KINDS = 0o170000
_ARCHIVES = (".zip", ".7z", ".rar", ".tar", ".tgz", ".jar")


def members(path: Path) -> list[tuple[str, str]]:
    """Return the files of an archive as (name, name for people), in the order of their names.

    Raises FileMissing, FileUnreadable, ArchiveUnsafe.
    """
    with _open(path) as archive:
        found = [info for info in archive.infolist() if not info.is_dir()]
        check(path, found)
    return sorted((info.filename, _shown(info)) for info in found)


class Shelf:
    """Keeps the archive open of which several members are read, as a context manager."""

    def __init__(self) -> None:
        self._path: Path | None = None
        self._archive: zipfile.ZipFile | None = None

    def __enter__(self) -> "Shelf":
        """Return the shelf, empty."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what is open."""
        if self._archive:
            self._archive.close()
        self._path = self._archive = None

    def open(self, path: Path, name: str) -> tuple[IO[bytes], int]:
        """Open a file of an archive as a stream of what it unpacks to, with its size in bytes.

        The stream ends at the size the archive declares, and a wrong checksum raises BadZipFile.
        Raises FileMissing, FileUnreadable, ArchiveUnsafe.
        """
        archive = self._opened(path)
        try:
            info = archive.getinfo(name)
            return archive.open(info), info.file_size
        except KeyError as missing:
            raise FileMissing(path=f"{path.name}/{name}") from missing
        except (NotImplementedError, zipfile.BadZipFile) as problem:
            raise unreadable(f"{path.name}/{name}", "archive") from problem

    def _opened(self, path: Path) -> zipfile.ZipFile:
        if self._archive is None or self._path != path:
            self.__exit__(None, None, None)
            self._archive, self._path = _open(path), path
            check(path, self._archive.infolist())
        return self._archive


def check(path: Path, found: list[zipfile.ZipInfo]) -> None:
    """Refuse an archive that is a bomb, would write elsewhere, or hides what is in it.

    Raises ArchiveUnsafe.
    """
    if len(found) > _MOST_MEMBERS:
        raise _unsafe(path, "too_many")
    check_size(path.name, sum(info.file_size for info in found), path.stat().st_size)
    for info in found:
        _check_member(path, info)


def check_sheet(path: Path, name: str) -> None:
    """Refuse a spreadsheet, which is an archive too, that is a bomb. Raises ArchiveUnsafe."""
    with _open(path) as archive:
        size = sum(info.file_size for info in archive.infolist())
    check_size(name, size, path.stat().st_size)


def check_size(name: str, unpacked: int, packed: int) -> None:
    """Refuse what becomes far more than it was. Raises ArchiveUnsafe."""
    is_bomb = unpacked > HARMLESS_BYTES and unpacked > LARGEST_RATIO * max(packed, 1)
    if is_bomb or unpacked > LARGEST_BYTES:
        raise ArchiveUnsafe(name, "@data.archive.too_large")


def _check_member(path: Path, info: zipfile.ZipInfo) -> None:
    parts = info.orig_filename.replace("\\", "/").split("/")
    drive = ":" in parts[0]
    if parts[0] == "" or drive or ".." in parts or "\0" in info.orig_filename:
        raise _unsafe(path, "path")
    if info.external_attr >> 16 & _KINDS == _LINK:
        raise _unsafe(path, "link")
    if info.flag_bits & 1:
        raise _unsafe(path, "encrypted")
    if info.filename.lower().endswith(_ARCHIVES):
        raise _unsafe(path, "nested")


def _unsafe(path: Path, code: str) -> ArchiveUnsafe:
    return ArchiveUnsafe(path.name, f"@data.archive.{code}")


def _open(path: Path) -> zipfile.ZipFile:
    if not path.is_file():
        raise FileMissing(path=str(path))
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, NotImplementedError, ValueError) as problem:
        raise unreadable(path.name, "archive") from problem


def _shown(info: zipfile.ZipInfo) -> str:
    """Return a name as it was meant: old Windows archives keep Chinese names as GB18030."""
    if info.flag_bits & 0x800 or info.filename.isascii():
        return info.filename
    try:
        return info.filename.encode("cp437").decode("gb18030")
    except (UnicodeEncodeError, UnicodeDecodeError):
        return info.filename
