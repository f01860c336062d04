"""All datasets of a home: what there is, and everything that makes, changes or removes it."""

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from easytune import locks
from easytune.data.formats import Layout
from easytune.data.progress import Progress, silent
from easytune.data.versions import edits as edit_rows
from easytune.data.versions.diff import Diff
from easytune.data.versions.draft import Draft
from easytune.data.versions.edits import Edit
from easytune.data.versions.export import Form
from easytune.data.versions.export import export as write_file
from easytune.data.versions.folder import LOCK, NEW_PREFIX, DatasetFolder, locked
from easytune.data.versions.manifest import (
    DatasetFacts,
    Edited,
    Origin,
    RolledBack,
    Tombstone,
    VersionFacts,
)
from easytune.data.versions.rows import Part, Rows
from easytune.dataset_errors import DatasetBusy, DatasetUnknown, LastVersion


class Library:
    """The datasets below `<home>/datasets`. Holds no state: any number may work on one home."""

    def __init__(self, home: Path) -> None:
        self.home, self.folder = home, home / "datasets"

    def get(self, dataset: str) -> DatasetFacts:
        """Return one dataset. Raises DatasetUnknown, VersionDamaged."""
        return self._folder(dataset).summary()

    def versions(self, dataset: str) -> list[VersionFacts]:
        """Return the versions of a dataset, newest first. Raises DatasetUnknown, VersionDamaged."""
        return self._folder(dataset).all_versions()

    def deleted(self, dataset: str) -> list[Tombstone]:
        """Return what stays of deleted versions, the newest first. Raises DatasetUnknown."""
        stones = self._folder(dataset).tombstones()
        return [stones[number] for number in sorted(stones, reverse=True)]

    def version(self, dataset: str, number: int | None = None) -> VersionFacts:
        """Return one version, the current without a number.

        Raises DatasetUnknown, VersionUnknown, VersionDamaged.
        """
        folder = self._folder(dataset)
        return folder.about(folder.current() if number is None else number)

    def open(self, dataset: str, number: int | None = None) -> Rows:
        """Return the rows of a version, the current without a number.

        Raises DatasetUnknown, VersionUnknown, VersionDamaged.
        """
        return Rows(self._folder(dataset), self.version(dataset, number))

    def unnoted_bytes(self, dataset: str) -> int:
        """Return the bytes of the rows of the current version whose facts nobody has noted yet.

        Raises DatasetUnknown, VersionDamaged.
        """
        folder = self._folder(dataset)
        names = [f"{name}.parquet" for name in self.version(dataset).segments]
        unnoted = [folder.rows / name for name in names if not (folder.facts / name).is_file()]
        return sum(file.stat().st_size for file in unnoted if file.is_file())

    def draft(
        self,
        *,
        dataset: str | None = None,
        title: str = "",
        origin: Origin,
        author: str = "",
        note: str = "",
        layouts: Mapping[str, Layout] | None = None,
        parent: int | None = None,
    ) -> Draft:
        """Begin a version of `dataset`, or of a new dataset called `title`.

        `layouts` by source; sources it does not name keep the parent's. `parent` is the version
        that `Draft.keep` copies from, by default the current one. `draft.origin`, `draft.note` and
        `draft.layouts` may be set until the commit. Raises DatasetUnknown, VersionUnknown,
        StorageFull, DatasetBusy.
        """
        folder = None if dataset is None else self._folder(dataset)
        before = None
        if folder:
            before = folder.manifest(folder.current() if parent is None else parent)
        return Draft(
            self.folder,
            dataset=folder,
            title=title,
            origin=origin,
            author=author,
            note=note,
            layouts=layouts,
            parent=before,
        )

    def edit(
        self,
        dataset: str,
        edits: Sequence[Edit],
        number: int | None = None,
        author: str = "",
        note: str = "",
    ) -> VersionFacts:
        """Make a version with these changes of `number` (the current one); positions are its own.

        Raises RowUnfit, RowUnknown, NothingChanged, VersionEmpty and what `draft` raises.
        """
        rows = self.open(dataset, number)
        with self._changed(rows, Edited(), author, note) as draft:
            edit_rows.apply(edits, rows, draft)
            return draft.commit()

    def drop_problems(
        self, dataset: str, number: int | None = None, author: str = "", note: str = ""
    ) -> VersionFacts:
        """Make a version without the rows that cannot be used.

        Raises NothingChanged, VersionEmpty and what `draft` raises.
        """
        rows = self.open(dataset, number)
        origin = Edited(dropped=rows.facts.problems)
        with self._changed(rows, origin, author, note) as draft:
            edit_rows.keep_only(~rows.unusable(), draft)
            return draft.commit()

    def switch(self, dataset: str, number: int) -> VersionFacts:
        """Make a version the current one. Raises DatasetUnknown, VersionUnknown, DatasetBusy."""
        folder = self._folder(dataset)
        with folder.locked():
            folder.manifest(number)
            folder.write(current=number, next=folder.next_number())
            return folder.about(number)

    def rollback(self, dataset: str, number: int, author: str = "", note: str = "") -> VersionFacts:
        """Make a new version with the rows of an earlier one.

        Raises NothingChanged and what `draft` raises.
        """
        rows = self.open(dataset, number)
        with self._changed(rows, RolledBack(to=number), author, note) as draft:
            draft.keep(0, len(rows))
            return draft.commit()

    def rename(self, dataset: str, title: str) -> DatasetFacts:
        """Call a dataset something else; its id stays. Raises DatasetUnknown, DatasetBusy."""
        folder = self._folder(dataset)
        with folder.locked():
            folder.write(title=title.strip() or dataset)
            return folder.summary()

    def note(self, dataset: str, number: int, text: str) -> VersionFacts:
        """Write another note for a version. Raises VersionUnknown, DatasetBusy."""
        return self._label(dataset, number, note=text)

    def tag(self, dataset: str, number: int, tags: Sequence[str]) -> VersionFacts:
        """Give a version these tags and no others. Raises VersionUnknown, DatasetBusy."""
        stripped = dict.fromkeys(tag.strip() for tag in tags)
        return self._label(dataset, number, tags=[tag for tag in stripped if tag])

    def delete_version(self, dataset: str, number: int) -> None:
        """Remove a version; its number and fingerprint stay known.

        Rows that no other version has are removed with it. When it was the current one, the newest
        that is left becomes it. Raises VersionUnknown, LastVersion, DatasetBusy.
        """
        folder = self._folder(dataset)
        with folder.locked():
            folder.manifest(number)
            left = [other for other in folder.numbers() if other != number]
            if not left:
                raise LastVersion(dataset, number)
            current = folder.current()
            now = left[-1] if current == number else current
            folder.write(current=now, next=folder.next_number())
            folder.bury(number)
            folder.sweep()

    def delete(self, dataset: str) -> None:
        """Move a whole dataset to `<home>/trash`. Raises DatasetUnknown, DatasetBusy."""
        folder = self._folder(dataset)
        trash = self.home / "trash"
        trash.mkdir(exist_ok=True)
        with locked(self.folder / LOCK, dataset):
            with folder.locked():
                if folder.sweep_drafts():
                    raise DatasetBusy(dataset)
            folder.path.rename(_free(trash, f"dataset-{dataset}"))

    def export(
        self,
        dataset: str,
        number: int | None,
        target: Path,
        form: Form = "jsonl",
        part: Part | None = None,
        problems_only: bool = False,
        progress: Progress = silent,
    ) -> Path:
        """Write the rows of a version to a file, and return it.

        Rows that could not be parsed are left out, and of tables those that are no objects. With
        `problems_only` it is the rows that cannot be used, each as source, number, problem and
        text. Raises StorageFull, VersionUnknown, VersionDamaged.
        """
        return write_file(self.open(dataset, number), target, form, part, problems_only, progress)

    def diff(self, a: tuple[str, int], b: tuple[str, int]) -> Diff:
        """Return what differs between two versions, of one or of two datasets.

        Takes seconds for millions of rows. Raises VersionUnknown, VersionDamaged.
        """
        return Diff(self.open(*a), self.open(*b))

    def sweep(self) -> None:
        """Remove what writers that are no more have left. Called at start and by every commit."""
        if not self.folder.is_dir():
            return
        with locked(self.folder / LOCK, ""):
            for path in self.folder.glob(f"{NEW_PREFIX}*"):
                if not locks.is_held(path / LOCK):
                    shutil.rmtree(path, ignore_errors=True)
        for folder in self._folders():
            with folder.locked():
                folder.sweep()

    def list(self) -> list[DatasetFacts]:
        """Return all datasets, the one changed last first. Raises VersionDamaged."""
        found = [folder.summary() for folder in self._folders() if folder.numbers()]
        return sorted(found, key=lambda facts: facts.current.created, reverse=True)

    def _changed(self, rows: Rows, origin: Origin, author: str, note: str) -> Draft:
        """Begin a version out of another of the same dataset."""
        facts = rows.facts
        return self.draft(
            dataset=facts.dataset, origin=origin, author=author, note=note, parent=facts.number
        )

    def _label(self, dataset: str, number: int, **changes: Any) -> VersionFacts:
        folder = self._folder(dataset)
        with folder.locked():
            folder.manifest(number)
            folder.label(number, **changes)
            return folder.about(number)

    def _folders(self) -> Iterator[DatasetFolder]:
        if self.folder.is_dir():
            found = (DatasetFolder(path) for path in sorted(self.folder.iterdir()))
            yield from (folder for folder in found if folder.exists())

    def _folder(self, dataset: str) -> DatasetFolder:
        # The name comes from a config or a request: it must not lead out of the folder.
        folder = DatasetFolder(self.folder / dataset)
        if Path(dataset).name != dataset or not folder.exists():
            raise DatasetUnknown(dataset)
        return folder


def _free(folder: Path, name: str) -> Path:
    """Return a path in a folder that nothing has yet."""
    numbered = (folder / (name if n == 1 else f"{name}-{n}") for n in itertools.count(1))
    return next(path for path in numbered if not path.exists())
