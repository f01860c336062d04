"""Files become versions: all of them, or none."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import MappingProxyType

from easytune.data import reading
from easytune.data.formats import Layout
from easytune.data.progress import Progress
from easytune.data.reading import Planned, PlannedSource
from easytune.data.tasks import ImportTask
from easytune.data.versions.draft import Draft
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported, ImportedFile, VersionFacts
from easytune.dataset_errors import KindsMixed, NothingToImport


def bring_in(
    task: ImportTask, library: Library, fetched: Path, progress: Progress
) -> list[VersionFacts]:
    """Import what a task names, and return the new versions; `fetched` takes downloads.

    Raises what `reading` and `Library` raise, and KindsMixed.
    """
    paths = [Path(path) for path in task.paths]
    if task.hub:
        paths = _fetch(task.hub, fetched, progress)
    if not paths:
        raise NothingToImport(path="")
    name = task.title or task.hub.partition(":")[0].rpartition("/")[2]
    planned = reading.plan(paths, task.columns, name)
    if task.mode == "new":
        return _make_new(task, planned, library, progress)
    if task.mode == "replace":
        return [_replace(task, planned, library, progress)]
    return [_append(task, planned, library, progress)]


def _fetch(name: str, folder: Path, progress: Progress) -> list[Path]:
    from easytune.data.reading import hub

    folder.mkdir(parents=True, exist_ok=True)
    return hub.fetch(name, folder, progress)


def _make_new(
    task: ImportTask, planned: list[Planned], library: Library, progress: Progress
) -> list[VersionFacts]:
    """Make a dataset of each plan. None is seen before all are read."""
    with ExitStack() as stack:
        drafts = []
        for each in planned:
            origin = Imported(mode="new")
            draft = library.draft(
                title=each.title, origin=origin, author=task.author, note=task.note
            )
            stack.enter_context(draft)
            _fill(draft, [each], progress)
            drafts.append(draft)
        return _commit_all(drafts, library)


def _commit_all(drafts: list[Draft], library: Library) -> list[VersionFacts]:
    made: list[VersionFacts] = []
    try:
        for draft in drafts:
            made.append(draft.commit())
    except BaseException:
        for version in made:
            library.delete(version.dataset)
        raise
    return made


def _replace(
    task: ImportTask, planned: list[Planned], library: Library, progress: Progress
) -> VersionFacts:
    origin = Imported(mode="replace")
    with library.draft(
        dataset=task.dataset, origin=origin, author=task.author, note=task.note
    ) as draft:
        _fill(draft, planned, progress)
        return draft.commit()


def _append(
    task: ImportTask, planned: list[Planned], library: Library, progress: Progress
) -> VersionFacts:
    """Add rows to whatever is the current version by the end."""
    dataset = task.dataset or ""
    current = library.version(dataset)
    coming = {source.name: source.layout for each in planned for source in each.sources}
    check_kind(current, coming)
    origin = Imported(mode="append")
    with library.draft(dataset=dataset, origin=origin, author=task.author, note=task.note) as draft:
        draft.keep_current()
        names = {name: f"{name} ({task.created:%Y-%m-%d %H:%M:%S})" for name in current.layouts}
        _fill(draft, planned, progress, names)
        return draft.commit()


def check_kind(version: VersionFacts, coming: Mapping[str, Layout]) -> None:
    """Make sure that rows with these layouts, by source, are of the kind that a version holds.

    Raises KindsMixed.
    """
    kinds = {is_text: name for name, is_text in _kinds(coming).items()}
    kinds |= dict.fromkeys(_kinds(version.layouts).values(), version.title or version.dataset)
    known = set(_kinds(version.layouts).values()) | set(_kinds(coming).values())
    if known == {True, False}:
        raise KindsMixed(conversations=kinds[False], texts=kinds[True])


def _kinds(layouts: Mapping[str, Layout]) -> dict[str, bool]:
    return {name: layout.format == "text" for name, layout in layouts.items()}


def _fill(
    draft: Draft,
    planned: list[Planned],
    progress: Progress,
    names: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Add all rows, and tell the draft which files they came from.

    `names` has another name for files that are called as earlier ones are, but may have columns of
    their own.
    """
    for each in planned:
        for batch in reading.batches(each, progress):
            if names:
                batch.sources = [names.get(name, name) for name in batch.sources]
            draft.add(batch)
    sources = [source for each in planned for source in each.sources]
    draft.layouts = draft.layouts | {names.get(s.name, s.name): s.layout for s in sources}
    files = tuple(_file(source, names) for source in sources)
    draft.origin = draft.origin.model_copy(update={"files": files})
    progress("commit", 0, None)


def _file(source: PlannedSource, names: Mapping[str, str]) -> ImportedFile:
    return ImportedFile(
        name=names.get(source.name, source.name),
        digest=source.digest,
        bytes=source.bytes,
        rows=source.rows,
    )
