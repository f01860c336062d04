"""A version in the making: nothing of it is seen before it is committed."""

import itertools
import os
import shutil
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from easytune import job, locks, records
from easytune.data.formats import Layout
from easytune.data.stored import ID_BYTES, Batch
from easytune.data.versions import batches
from easytune.data.versions import segments as segment_files
from easytune.data.versions.assembly import AS_IS, Assembled, Material, Pieces, assemble
from easytune.data.versions.disk import room_for, settle, sync
from easytune.data.versions.folder import DRAFT_PREFIX, LOCK, NEW_PREFIX, DatasetFolder, locked
from easytune.data.versions.known import Known, among, problem_key
from easytune.data.versions.manifest import Manifest, Origin, VersionFacts
from easytune.data.versions.order import Order, Places
from easytune.data.versions.segments import Segments, SegmentWriter
from easytune.dataset_errors import DatasetBusy, NothingChanged, RowUnknown, VersionEmpty

if TYPE_CHECKING:
    import numpy as np


_WORTH_WRITING = 2_000


class Draft:
    """Takes rows in their order and becomes a version by `commit`. A context manager.

    Leaving it without `commit`, or a killed process, leaves nothing of it behind.
    `origin`, `note` and `layouts` may be set until the commit.
    """

    def __init__(
        self,
        library: Path,
        *,
        dataset: DatasetFolder | None,
        title: str,
        origin: Origin,
        author: str = "",
        note: str = "",
        layouts: Mapping[str, Layout] | None = None,
        parent: Manifest | None = None,
    ) -> None:
        self.origin, self.author, self.note = origin, author, note
        self.layouts: dict[str, Layout] = dict(layouts or {})
        self.parent, self.title = parent, title
        self.rows = 0
        self._is_new = dataset is None
        self._library = library
        self._held: IO[bytes] | None = None
        with room_for(library):
            self.folder, self._work = self._begun(dataset)
        self._segments = Segments(self.folder.rows)
        self._writer = SegmentWriter(self._work / "rows.parquet")
        # Rows may come one by one; each way to the disk costs a millisecond.
        self._waiting = Batch()
        self._known: Known | None = None
        # Segments that new rows may lie in; that of this draft comes after them.
        self._there: list[str] = []
        self._sources: dict[str, int] = {}
        self._new: list[Places] = []
        self._ids: list[bytes] = []
        self._unusable: list[np.ndarray] = []
        self._pieces = Pieces()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nothing behind that was not committed."""
        self._writer.abandon()
        shutil.rmtree(self.folder.path if self._is_new else self._work, ignore_errors=True)
        self._release()

    # --- rows ---------------------------------------------------------------

    def add(self, batch: Batch) -> None:
        """Append rows. What this dataset has already is not stored again. Raises StorageFull."""
        self._pieces.new(len(batch))
        self.rows += len(batch)
        batches.extend(self._waiting, batch)
        if len(self._waiting) >= _WORTH_WRITING:
            self._take_in()

    def _take_in(self) -> None:
        """Write the rows that wait, but for those that the dataset has."""
        import numpy as np

        batch, self._waiting = self._waiting, Batch()
        ids = b"".join(batch.ids)
        codes, values = batches.problems(batch)
        keys = np.frombuffer(batches.keys(batch, codes, values), dtype="S16")
        if self._known is None:
            self._known = self._what_is_there(keys)
        segment, row = self._known.find(keys)
        fresh, where = batches.first_of_each(keys, np.flatnonzero(segment < 0))
        first = self._writer.rows
        with room_for(self._library):
            self._store(batch, ids, codes, values, fresh)
        own = len(self._there)
        self._known.add(keys[fresh], own, first + np.arange(len(fresh)))
        unknown = segment < 0
        segment[unknown], row[unknown] = own, first + where
        self._new.append(self._places(batch, segment, row))
        self._ids.append(ids)
        self._unusable.append(batches.flags(batch))

    def keep(self, first: int, count: int, held_out: bool | None = None) -> None:
        """Append `count` rows of the parent from position `first`, as they are.

        `held_out` puts them on that side of the split; None leaves them where they were. Raises
        RowUnknown.
        """
        there = self.parent.rows if self.parent else 0
        if first < 0 or first + count > there:
            raise RowUnknown(self._called, first + count - 1, there)
        self._pieces.keep(first, count, AS_IS if held_out is None else int(held_out))
        self.rows += count

    def keep_at(
        self, positions: "Sequence[int] | np.ndarray", held_out: bool | None = None
    ) -> None:
        """Append the rows of the parent at these positions, in the order given."""
        for position in positions:
            self.keep(int(position), 1, held_out)

    def keep_current(self) -> None:
        """Append all rows that the dataset has when this draft is committed; not beside `keep`.

        For appending: of two who append at once, the second to commit keeps the first one's rows.
        """
        self._pieces.all_of_parent()
        self.rows += self.parent.rows if self.parent else 0

    def _what_is_there(self, wanted: "np.ndarray") -> Known:
        """Learn the rows of all segments that the dataset has now.

        Few wanted rows are all that will come: then only those that may be among them.
        """
        import numpy as np

        known = Known()
        self._there = self.folder.segments()
        for index, name in enumerate(self._there):
            ids = self._segments.ids(name)
            codes = self._segments.problems(name)
            bad = np.flatnonzero(codes != "")
            if len(bad):
                values = self._segments.values(name)
                ids = ids.copy()
                for row in bad:
                    ids[row] = problem_key(_whole(ids[row]), codes[row], values[row])
            few = len(wanted) < _WORTH_WRITING
            rows = among(ids, wanted) if few else np.arange(len(ids))
            known.add(ids[rows], index, rows)
        return known

    def _store(
        self, batch: Batch, ids: bytes, codes: list[str], values: list[str], fresh: "np.ndarray"
    ) -> None:
        if len(fresh) == len(batch):
            self._writer.add(batch.texts, ids, codes, values)
        elif len(fresh):
            self._writer.add(
                [batch.texts[row] for row in fresh],
                b"".join(batch.ids[row] for row in fresh),
                [codes[row] for row in fresh] if codes else [],
                [values[row] for row in fresh] if values else [],
            )

    def _places(self, batch: Batch, segment: "np.ndarray", row: "np.ndarray") -> Places:
        import numpy as np

        sources = self._sources
        for name in dict.fromkeys(batch.sources):
            sources.setdefault(name, len(sources))
        return Places(
            segment,
            row,
            np.array(batch.held_out, bool),
            np.array([sources[name] for name in batch.sources], np.int32),
            np.array(batch.numbers, np.int64),
        )

    # --- commit -------------------------------------------------------------

    def commit(self) -> VersionFacts:
        """Make the rows the current version of the dataset, all at once.

        Raises NothingChanged, VersionEmpty, StorageFull, DatasetBusy.
        """
        with self, room_for(self._library):
            if len(self._waiting):
                self._take_in()
            self._writer.close()
            written = segment_files.digest(self._writer.path) if self._writer.rows else ""
            if self._is_new:
                self._write_version(written)
                return self._published().about(1)
            with self.folder.locked():
                self.folder.sweep_drafts()
                return self.folder.about(self._write_version(written))

    def _write_version(self, written: str) -> int:
        """Write all files of the version, the manifest last, and return its number."""
        current = self.folder.current()
        if self._pieces.whole_parent and current:
            self.parent = self.folder.manifest(current)
        made = self._assembled(written)
        if not made.rows:
            raise VersionEmpty(self._called)
        if current:
            self._refuse_the_same(made, self.folder.manifest(current))
        order_file = self._work / "order.parquet"
        made.order.write(order_file)
        order = segment_files.digest(order_file)
        if written in made.order.segments:
            settle(self._writer.path, self._segments.path(written))
        settle(order_file, self.folder.order_path(order))
        number = self.folder.next_number()
        manifest = self._manifest(number, made, order)
        records.write_text(self.folder.manifest_path(number), manifest.model_dump_json(indent=1))
        self.folder.write(current=number, next=number + 1)
        return number

    def _assembled(self, written: str) -> Assembled:
        import numpy as np

        new = Material(
            (*self._there, written),
            tuple(self._sources),
            Places.joined([_no_places(), *self._new]),
            np.frombuffer(b"".join(self._ids), "S16"),
            np.concatenate([np.zeros(0, bool), *self._unusable]),
        )
        if self.parent is None:
            return assemble(None, {}, new, self.layouts, self._pieces)
        order = Order.read(self.folder.order_path(self.parent.order))
        kept = Material.of(order, self._segments)
        return assemble(kept, self.parent.layouts, new, self.layouts, self._pieces)

    def _refuse_the_same(self, made: Assembled, current: Manifest) -> None:
        if made.fingerprint == current.fingerprint and made.layouts == current.layouts:
            raise NothingChanged(self._called, current.number)

    def _manifest(self, number: int, made: Assembled, order: str) -> Manifest:
        files = [self._segments.path(name) for name in made.order.segments]
        files.append(self.folder.order_path(order))
        return Manifest(
            number=number,
            created=datetime.now(UTC),
            author=self.author,
            note=self.note,
            parent=self.parent.number if self.parent else None,
            origin=self.origin,
            rows=made.rows,
            problems=made.problems,
            held_out=made.held_out,
            fingerprint=made.fingerprint,
            size_bytes=sum(file.stat().st_size for file in files),
            layouts=made.layouts,
            order=order,
            segments=made.order.segments,
        )

    def _published(self) -> DatasetFolder:
        """Turn the folder of a new dataset into one of the library, under a name that is free."""
        shutil.rmtree(self._work)
        with locked(self._library / LOCK, self.title):
            # Windows renames no folder with an open file in it.
            self._release()
            name = _free_name(self._library, self.title)
            target = self.folder.path.rename(self._library / name)
            sync(self._library)
        return DatasetFolder(target)

    # --- the folder of the draft --------------------------------------------

    @property
    def _called(self) -> str:
        return self.title if self._is_new else self.folder.id

    def _begun(self, dataset: DatasetFolder | None) -> tuple[DatasetFolder, Path]:
        """Return the dataset's folder and that of this draft, made and held."""
        if dataset:
            with dataset.locked():
                work = _own_folder(dataset.path, DRAFT_PREFIX)
                self._hold(work)
            return dataset, work
        self._library.mkdir(parents=True, exist_ok=True)
        with locked(self._library / LOCK, self.title):
            path = _own_folder(self._library, NEW_PREFIX)
            self._hold(path)
        work = path / f"{DRAFT_PREFIX}0"
        try:
            work.mkdir()
            return DatasetFolder.create(path, self.title), work
        except OSError:
            self._release()
            shutil.rmtree(path, ignore_errors=True)
            raise

    def _hold(self, folder: Path) -> None:
        self._held = locks.hold(folder / LOCK)
        if self._held is None:
            raise DatasetBusy(self.title)

    def _release(self) -> None:
        if self._held:
            self._held.close()
            self._held = None


def _own_folder(parent: Path, prefix: str) -> Path:
    for number in itertools.count():
        folder = parent / f"{prefix}{os.getpid()}-{number}"
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise AssertionError


def _free_name(library: Path, title: str) -> str:
    stem = job.slug(title) if any(map(str.isalnum, title)) else "dataset"
    name, number = stem, 2
    while (library / name).exists():
        name, number = f"{stem}-{number}", number + 1
    return name


def _no_places() -> Places:
    import numpy as np

    empty = np.zeros(0, np.int64)
    return Places(empty.astype(np.int32), empty, empty.astype(bool), empty.astype(np.int32), empty)


def _whole(identity: bytes) -> bytes:
    # numpy takes zeros from the end of a string.
    return bytes(identity).ljust(ID_BYTES, b"\0")
