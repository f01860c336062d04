"""A quick look at files before they are imported."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easytune.data import formats
from easytune.data.conversation import Content
from easytune.data.formats import Kind, Layout
from easytune.data.reading.archives import Shelf
from easytune.data.reading.looking import Look
from easytune.data.reading.planning import Listed, find, listed, look_at, one_kind
from easytune.data.rows import Problem

Notice = tuple[str, dict[str, Any]]
_EXAMPLES = 3
_NAMED = 5


@dataclass(frozen=True)
class ProbedFile:
    """What the first rows of a file tell.

    `format` and `layout` are None when no format is recognised; `examples` are the first three
    rows; `problems_seen` counts rows among those looked at that cannot be used; `bytes` is the
    size on disk, of an archive's member unpacked.
    """

    name: str
    path: Path
    member: str
    bytes: int
    encoding: str
    format: str | None
    columns: tuple[str, ...]
    examples: tuple[Any, ...]
    problems_seen: int
    layout: Layout | None


@dataclass(frozen=True)
class ProbedEntry:
    """A dataset that a `dataset_info.json` lists; `reason` says why it cannot be used, or "".

    `mapped` and `unmapped` are the keys of its description that took effect, and the others;
    `reason` is words for `i18n.t`.
    """

    name: str
    mapped: tuple[str, ...] = ()
    unmapped: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True)
class Probe:
    """What is known about files before they are imported.

    `kind` is None when a mapping by hand is needed; of a list with several datasets, it is that of
    the first. `notices` are (code, values) for the texts `notice.<code>`.
    """

    files: tuple[ProbedFile, ...]
    entries: tuple[ProbedEntry, ...]
    kind: Kind | None
    notices: tuple[Notice, ...]


def probe(paths: Sequence[Path], columns: Mapping[str, str] | None = None) -> Probe:
    """Look at the first rows of every file, reading at most about 8 MB of each.

    Raises FileMissing, FileEmpty, FileUnreadable, ColumnMissing, ArchiveUnsafe, KindsMixed,
    NothingToImport.
    """
    with Shelf() as shelf:
        found = find(paths)
        entries = listed(found, shelf) if found.lists else []
        if found.lists:
            looks = [each for entry in entries for each in entry.looks]
        else:
            looks = look_at(found.places, shelf, columns)
            one_kind(looks)
    files = tuple(_file(each) for each in looks)
    notices = [_entry_notice(entry) for entry in entries]
    notices += _skipped(found.skipped) + _of_rows(looks)
    return Probe(files, tuple(_entry(each) for each in entries), _kind(files), tuple(notices))


def example(value: Any, layout: Layout) -> Content | Problem:
    """Return what a row becomes under a layout, for the example beside a mapping by hand."""
    match formats.convert(value, 1, "", layout):
        case Problem() as problem:
            return problem
        case (_, content):
            return content


def _file(found: Look) -> ProbedFile:
    place, layout = found.place, found.layout
    return ProbedFile(
        name=place.name,
        path=place.path,
        member=place.member,
        bytes=found.bytes,
        encoding=found.encoding,
        format=layout.format if layout else None,
        columns=found.columns,
        examples=tuple(found.values[:_EXAMPLES]),
        problems_seen=found.problems,
        layout=layout,
    )


def _kind(files: Sequence[ProbedFile]) -> Kind | None:
    if not files or any(file.format is None for file in files):
        return None
    return formats.kind_of(files[0].format or "")


def _entry(found: Listed) -> ProbedEntry:
    return ProbedEntry(found.name, found.mapped, found.unmapped, found.reason)


def _entry_notice(found: Listed) -> Notice:
    if found.reason:
        return "data.entry_skipped", {"name": found.name, "reason": found.reason}
    values = {"name": found.name, "mapped": ", ".join(found.mapped)}
    if not found.unmapped:
        return "data.entry_mapped", values
    return "data.entry_partly_mapped", values | {"unmapped": ", ".join(found.unmapped)}


def _skipped(names: Sequence[str]) -> list[Notice]:
    if not names:
        return []
    first = ", ".join(names[:_NAMED]) + (" …" if len(names) > _NAMED else "")
    return [("data.files_skipped", {"count": len(names), "names": first})]


def _of_rows(looks: Sequence[Look]) -> list[Notice]:
    """Return what is to know about how the rows will be learned from."""
    codes = {each.layout.format for each in looks if each.layout}
    return [(f"data.{name}_rows", {}) for name in ("preference", "kto") if name in codes]
