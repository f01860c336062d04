"""What would be made of files: one dataset, or all those that a list names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from easytune.data import dataset_info, formats
from easytune.data.formats import Layout
from easytune.data.reading import places
from easytune.data.reading.archives import Shelf
from easytune.data.reading.kinds import READERS
from easytune.data.reading.looking import Look, look
from easytune.data.reading.places import Found, Place
from easytune.data.reading.streams import Opened
from easytune.dataset_errors import KindsMixed, NothingToImport
from easytune.errors import DatasetEntryUnusable, FileEmpty, FileMissing, FormatUnknown


@dataclass
class PlannedSource:
    """One file to import: on disk, or `member` of the zip archive at `path`.

    `digest` (SHA-256 of the file; of a member, unpacked), `rows` (good and bad) and `problems` are
    known once `batches` has read it; `bytes` is its size on disk, of a member unpacked.
    """

    name: str
    path: Path
    member: str = ""
    layout: Layout = field(default_factory=Layout)
    bytes: int = 0
    digest: str = ""
    rows: int = 0
    problems: int = 0


@dataclass
class Planned:
    """One dataset to make, and the files it is made of."""

    title: str
    sources: list[PlannedSource]


@dataclass(frozen=True)
class Listed:
    """One entry of a `dataset_info.json`, with a look at its files, or why it cannot be used."""

    name: str
    looks: tuple[Look, ...] = ()
    mapped: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()
    reason: str = ""


def plan(
    paths: Sequence[Path], columns: Mapping[str, str] | None = None, name: str = ""
) -> list[Planned]:
    """Return the datasets that importing `paths` would make: files, folders and archives.

    A `dataset_info.json` gives one for each entry that can be used, anything else a single one,
    called `name` or after what is imported. `columns` maps by hand, as in
    `easytune.data.formats.mapped_layout`.

    Raises FileMissing, FileEmpty, FileUnreadable, FormatUnknown, ColumnMissing, ArchiveUnsafe,
    KindsMixed, NothingToImport, DatasetEntryUnusable when no entry of a list can be used.
    """
    with Shelf() as shelf:
        found = find(paths)
        if found.lists:
            return _several(listed(found, shelf), name)
        looks = look_at(found.places, shelf, columns)
    one_kind(looks)
    return [Planned(name or _title(paths, looks), [_source(each) for each in looks])]


def find(paths: Sequence[Path]) -> Found:
    """Return the files under `paths` that can be read. Raises as `plan` does."""
    if not paths:
        raise NothingToImport(path="")
    found = places.find(paths, READERS)
    if not found.places and not found.lists:
        raise NothingToImport(path=", ".join(path.name for path in paths))
    return found


def look_at(
    found: Sequence[Place], shelf: Shelf, columns: Mapping[str, str] | None = None
) -> list[Look]:
    """Return looks at files, empty ones left out while there are others. Raises as `plan` does."""
    looks: list[Look] = []
    empty: list[FileEmpty] = []
    for place in found:
        try:
            looks.append(look(place, shelf, columns))
        except FileEmpty as problem:
            empty.append(problem)
    if not looks:
        raise empty[0]
    return looks


def one_kind(looks: Sequence[Look]) -> None:
    """Make sure that files fit into one dataset. Raises KindsMixed."""
    kinds: dict[str, str] = {}
    for each in looks:
        if each.layout and each.layout.format:
            kinds.setdefault(formats.kind_of(each.layout.format), each.place.name)
    if len(kinds) > 1:
        raise KindsMixed(kinds["conversations"], kinds["text"])


def listed(found: Found, shelf: Shelf) -> list[Listed]:
    """Return the entries of all lists of datasets. Raises FileUnreadable."""
    return [
        _entry(name, described, listing, found, shelf)
        for listing in found.lists
        for name, described in dataset_info.parse(_content(listing, shelf), listing.name).items()
    ]


def _content(place: Place, shelf: Shelf) -> bytes:
    with Opened(place, shelf) as opened:
        return b"".join(opened.blocks())


def _entry(name: str, described: object, listing: Place, found: Found, shelf: Shelf) -> Listed:
    try:
        entry = dataset_info.describe(name, described)
        looks = look_at(_files(entry.path, listing, found), shelf)
    except DatasetEntryUnusable as problem:
        return Listed(name, reason=problem.reason)
    except FileMissing:
        return Listed(name, reason="@data.entry.file_missing")
    except FileEmpty:
        return Listed(name, reason="@data.entry.file_empty")
    looks = [replace(each, layout=entry.layout) for each in looks]
    return Listed(name, tuple(looks), entry.mapped, entry.unmapped)


def _files(named: Path, listing: Place, found: Found) -> list[Place]:
    """Return the files of an entry: beside its list, in the same archive, or given along with it.

    Raises FileMissing.
    """
    if listing.member:
        beside = (PurePosixPath(listing.member).parent / named.as_posix()).as_posix()
        inside = [place for place in found.places if place.path == listing.path]
        matching = [p for p in inside if p.member == beside or p.member.startswith(f"{beside}/")]
    else:
        path = listing.path.parent / named
        matching = places.find([path], READERS).places if path.exists() else []
    matching = matching or [p for p in found.places if p.file_name == named.name]
    if not matching:
        raise FileMissing(path=str(named))
    return matching


def _several(entries: Sequence[Listed], name: str) -> list[Planned]:
    usable = [entry for entry in entries if entry.looks]
    if not usable:
        reason = entries[0].reason if entries else "@data.entry.no_file"
        raise DatasetEntryUnusable(name=entries[0].name if entries else "", reason=reason)
    plans = []
    for entry in usable:
        title = f"{name} {entry.name}".strip() if len(usable) > 1 else name or entry.name
        plans.append(Planned(title, [_source(each) for each in entry.looks]))
    return plans


def _source(found: Look) -> PlannedSource:
    if found.layout is None:
        raise FormatUnknown(path=found.place.name, columns=", ".join(found.columns) or "-")
    place = found.place
    return PlannedSource(place.name, place.path, place.member, found.layout, found.bytes)


def _title(paths: Sequence[Path], looks: Sequence[Look]) -> str:
    """Return what to call a dataset: after its folder or archive, else its first file."""
    [first, *_] = paths
    return first.name if first.is_dir() else Place(first.name, first).title or looks[0].place.title
