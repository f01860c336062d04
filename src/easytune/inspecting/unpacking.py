"""Archives are unpacked into the quarantine with running caps; folders copied without links."""

import errno
import os
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import IO

from easytune.data.reading import archives
from easytune.dataset_errors import ArchiveUnsafe
from easytune.errors import EasyTuneError, FileMissing
from easytune.inspecting import listing
from easytune.inspecting.findings import Findings

_PIECE = 1 << 20
_DEEPEST = 8
# Files that are loaded are written whole; a tool may leave a page or so unwritten.
_MOST_HOLLOW = 64 * 2**20


def unpack(archive: Path, target: Path, findings: Findings) -> None:
    """Unpack a zip or tar archive into an empty folder; what speaks against it is noted.

    Only regular files are written, each below `target`. Raises OSError for a full disk.
    """
    try:
        if zipfile.is_zipfile(archive):
            _unzip(archive, target)
        elif tarfile.is_tarfile(archive):
            _untar(archive, target)
        else:
            findings.add("archive_unknown", "critical", file=archive.name)
            return
    except (ArchiveUnsafe, FileMissing) as refused:
        reason = refused.values.get("reason", "")
        findings.add("archive_unsafe", "critical", file=archive.name, reason=reason)
    except (EasyTuneError, zipfile.BadZipFile, tarfile.TarError, EOFError, ValueError,
            zipfile.LargeZipFile, NotImplementedError, MemoryError) as broken:  # fmt: skip
        reason = type(broken).__name__
        findings.add("archive_broken", "critical", file=archive.name, reason=reason)
    _lift(target)


def _unzip(archive: Path, target: Path) -> None:
    archives.members(archive)
    cap = _Cap(archive)
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            if not info.is_dir():
                cap.count()
                with opened.open(info) as source:
                    _write(source, _inside(archive, target, info.filename), cap)


def _untar(archive: Path, target: Path) -> None:
    cap = _Cap(archive)
    with tarfile.open(archive) as opened:
        for member in opened:
            cap.count()
            if member.isdir():
                continue
            # Links, devices and files with holes: none of them belongs into an archive of weights.
            if not member.isreg() or member.issparse():
                raise ArchiveUnsafe(archive.name, "@data.archive.link")
            cap.fits(member.size)
            source = opened.extractfile(member)
            if source is not None:
                _write(source, _inside(archive, target, member.name), cap)


class _Cap:
    """How much may still be unpacked, counted while it is done: an archive can lie about sizes."""

    def __init__(self, archive: Path) -> None:
        self._archive, self._files, self._bytes = archive, 0, 0

    def count(self) -> None:
        self._files += 1
        if self._files > listing.MOST_FILES:
            raise ArchiveUnsafe(self._archive.name, "@data.archive.too_many")

    def fits(self, size: int) -> None:
        packed = self._archive.stat().st_size
        archives.check_size(self._archive.name, self._bytes + size, packed)

    def took(self, size: int) -> None:
        self._bytes += size
        self.fits(0)


def _inside(archive: Path, target: Path, name: str) -> Path:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    is_plain = bool(parts) and not name.startswith(("/", "\\")) and ":" not in parts[0]
    if not is_plain or ".." in parts or "\0" in name or len(parts) > _DEEPEST:
        raise ArchiveUnsafe(archive.name, "@data.archive.path")
    return target.joinpath(*parts)


def _write(source: IO[bytes], place: Path, cap: _Cap) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    # "x": two members of one name would otherwise be written over each other.
    with place.open("xb") as file:
        while piece := source.read(_PIECE):
            cap.took(len(piece))
            file.write(piece)


def _lift(target: Path) -> None:
    """Take the files out of the one folder that archives often wrap around them."""
    inside = [path for path in target.iterdir() if path.name != "__MACOSX"]
    if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink():
        wrapped = inside[0].rename(target / f".lifted-{os.getpid()}")
        for path in wrapped.iterdir():
            path.rename(target / path.name)
        wrapped.rmdir()


def copy(source: Path, target: Path, findings: Findings) -> None:
    """Copy the regular files of a folder into an empty one; anything else is noted, not followed.

    Raises OSError, that of a full disk before anything is copied which would not fit.
    """
    copy_files(dict(_files(source, findings)), target, findings)


def copy_files(files: Mapping[str, Path], target: Path, findings: Findings) -> None:
    """Copy files to their names below `target`; those that only pretend their size are noted.

    Raises OSError, that of a full disk before anything is copied.
    """
    sizes = {name: path.stat().st_size for name, path in files.items()}
    sound = {name: path for name, path in files.items() if _is_whole(path, name, findings)}
    if sum(sizes[name] for name in sound) > shutil.disk_usage(target).free:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
    for name, path in sound.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        _copy_one(path, target / name)


def _files(source: Path, findings: Findings) -> Iterator[tuple[str, Path]]:
    """Yield the regular files of a folder with their names in it, noting all else."""
    count = 0
    for folder, subfolders, names in os.walk(source, followlinks=False):
        links = [one for one in subfolders if (Path(folder) / one).is_symlink()]
        for name in [*links, *names]:
            path = Path(folder) / name
            inside = path.relative_to(source).as_posix()
            shown = inside.encode("utf-8", "backslashreplace").decode()
            mode = path.lstat().st_mode
            count += 1
            if count > listing.MOST_FILES:
                findings.add("files_many", "critical", count=listing.MOST_FILES)
                return
            if stat.S_ISLNK(mode):
                findings.add("link", "critical", file=shown)
            elif not stat.S_ISREG(mode):
                findings.add("special_file", "critical", file=shown)
            else:
                yield inside, path


def _is_whole(path: Path, name: str, findings: Findings) -> bool:
    """Tell whether a file is worth the room that its copy takes, noting why not."""
    status = path.stat()
    shown = name.encode("utf-8", "backslashreplace").decode()
    if name.endswith(listing.TEXTS) and status.st_size > listing.LARGEST_TEXT:
        findings.add("text_large", "critical", file=shown, bytes=status.st_size)
        return False
    if (hollow := status.st_size - _written(path, status)) > _MOST_HOLLOW:
        findings.add("file_hollow", "critical", file=shown, bytes=status.st_size, hollow=hollow)
        return False
    return True


def _written(path: Path, status: os.stat_result) -> int:
    """Return how many bytes of a file have ever been written; the rest are holes.

    A copy would fill them: a file of a few bytes can claim a whole disk.
    """
    if not hasattr(os, "SEEK_HOLE"):
        return status.st_size
    with path.open("rb") as file:
        first = os.lseek(file.fileno(), 0, os.SEEK_HOLE) if status.st_size else 0
    # A file system that packs its files takes less room as well, but has no holes in them.
    return status.st_size if first == status.st_size else status.st_blocks * 512


def _copy_one(path: Path, place: Path) -> None:
    # Should the file become a link meanwhile, opening it fails.
    follow = getattr(os, "O_NOFOLLOW", 0)
    descriptor = os.open(path, os.O_RDONLY | follow)
    with os.fdopen(descriptor, "rb") as source, place.open("xb") as file:
        shutil.copyfileobj(source, file, _PIECE)
