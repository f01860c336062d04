"""Where rows lie: files, folders of files, and members of zip archives."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from easytune.data.reading import archives

LIST_NAME = "dataset_info.json"
PACKED = {".gz": "gzip", ".zst": "zstd"}
"""Endings of single packed files, and what their packing is called."""

ARCHIVE = ".zip"
_ASIDE = ("readme", "license", "licence", "changelog", "citation", "notice", "contributing")


@dataclass(frozen=True)
class Place:
    """One file: on disk, or `member` of the archive at `path`. `name` is what people call it."""

    name: str
    path: Path
    member: str = ""

    @property
    def file_name(self) -> str:
        """Return the file's own name, without folders."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    @property
    def packing(self) -> str:
        """Return how the file is packed by itself: gzip, zstd or ""."""
        return PACKED.get(Path(self.file_name).suffix.lower(), "")

    @property
    def ending(self) -> str:
        """Return the ending that tells the kind of file; of `rows.jsonl.gz`, `.jsonl`."""
        own = Path(self.file_name)
        return (Path(own.stem) if self.packing else own).suffix.lower()

    @property
    def title(self) -> str:
        """Return the file's name without endings."""
        own = Path(self.file_name)
        return Path(own.stem).stem if self.packing else own.stem


@dataclass
class Found:
    """What lies under the paths of an import: files we read, lists of datasets, and the rest."""

    places: list[Place] = field(default_factory=list)
    lists: list[Place] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


def find(paths: Sequence[Path], endings: Iterable[str]) -> Found:
    """Return the files under `paths`, those of folders and archives in the order of their names.

    A file that is named itself is taken whatever its ending. Raises what `archives.members` does.
    """
    known = frozenset(endings)
    found = Found()
    for path in paths:
        if path.is_dir():
            for place in _inside(path):
                _sort_in(place, found, known)
        elif path.suffix.lower() == ARCHIVE:
            for place in _members(path, path.name):
                _sort_in(place, found, known)
        elif path.name == LIST_NAME:
            found.lists.append(Place(path.name, path))
        else:
            found.places.append(Place(path.name, path))
    found.places = _with_own_names(_without_papers(found))
    return found


def _inside(folder: Path) -> Iterator[Place]:
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_dir() or _is_hidden(inner.parts):
            continue
        name = f"{folder.name}/{inner.as_posix()}"
        if path.suffix.lower() == ARCHIVE:
            yield from _members(path, name)
        else:
            yield Place(name, path)


def _members(archive: Path, name: str) -> Iterator[Place]:
    for member, shown in archives.members(archive):
        if not _is_hidden(PurePosixPath(member).parts):
            yield Place(f"{name}/{shown}", archive, member)


def _is_hidden(parts: Sequence[str]) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _sort_in(place: Place, found: Found, known: frozenset[str]) -> None:
    if place.file_name == LIST_NAME:
        found.lists.append(place)
    elif place.ending in known:
        found.places.append(place)
    else:
        found.skipped.append(place.name)


def _without_papers(found: Found) -> list[Place]:
    """Leave out READMEs and licences that come along with data in a folder or archive."""
    papers = [place for place in found.places if _is_paper(place)]
    data = [place for place in found.places if not _is_paper(place)]
    if not data:
        return papers
    found.skipped += [place.name for place in papers]
    return data


def _is_paper(place: Place) -> bool:
    return (
        place.ending in (".md", ".txt")
        and place.name != place.file_name
        and place.title.lower().startswith(_ASIDE)
    )


def _with_own_names(places: list[Place]) -> list[Place]:
    """Number the names that stand for several files."""
    seen: dict[str, int] = {}
    named = []
    for place in places:
        seen[place.name] = count = seen.get(place.name, 0) + 1
        named.append(place if count == 1 else replace(place, name=f"{place.name} ({count})"))
    return named
