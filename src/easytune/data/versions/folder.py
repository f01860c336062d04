"""The folder of one dataset, as it is on disk. Its files are the truth; nothing is remembered.

dataset.json            title, when it was made, current version, next number
versions/000003.json    one manifest per version, written last: then the version exists
labels.json             notes and tags, which may change
deleted.json            what stays of deleted versions; one named there is gone
orders/, rows/, facts/  Parquet files named by their content, shared by versions
lock                    held by who changes anything of the above
.draft-*/               a version in the making; its own lock is held while its writer lives
"""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from easytune import locks, records
from easytune.data.versions.manifest import DatasetFacts, Manifest, Tombstone, VersionFacts
from easytune.dataset_errors import DatasetBusy, VersionDamaged, VersionUnknown

DRAFT_PREFIX = ".draft-"
NEW_PREFIX = ".new-"
LOCK = "lock"
PATIENCE_S = 120.0
_MANIFEST = re.compile(r"(\d{6,})\.json")


class DatasetFolder:
    """Reads and changes the files of one dataset. What changes anything needs the lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.id = path.name
        self.rows, self.orders, self.facts = path / "rows", path / "orders", path / "facts"
        self.manifests = path / "versions"

    @classmethod
    def create(cls, path: Path, title: str) -> "DatasetFolder":
        """Make the folders of a new dataset in an empty folder. Raises OSError."""
        made = cls(path)
        for folder in (made.rows, made.orders, made.facts, made.manifests):
            folder.mkdir()
        made.write(title=title, created=datetime.now(UTC).isoformat(), current=0, next=1)
        return made

    def exists(self) -> bool:
        """Tell whether there is a dataset here."""
        return not self.id.startswith(".") and self.manifests.is_dir()

    @contextmanager
    def locked(self, patience_s: float = PATIENCE_S) -> Iterator[None]:
        """Keep all others from changing the dataset. Raises DatasetBusy after `patience_s`."""
        with locked(self.path / LOCK, self.id, patience_s):
            yield

    # --- versions -----------------------------------------------------------

    def numbers(self) -> list[int]:
        """Return the numbers of all versions, the oldest first."""
        found = (_MANIFEST.fullmatch(file.name) for file in self.manifests.iterdir())
        deleted = self.tombstones()
        return sorted(int(name[1]) for name in found if name and int(name[1]) not in deleted)

    def manifest(self, number: int) -> Manifest:
        """Return what is written about a version. Raises VersionUnknown, VersionDamaged."""
        if number in self.tombstones():
            raise VersionUnknown(self.id, number, deleted=True)
        path = self.manifest_path(number)
        try:
            return Manifest.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise VersionUnknown(self.id, number) from None
        except (OSError, ValidationError) as error:
            raise VersionDamaged(self.id, number, path.name) from error

    def manifest_path(self, number: int) -> Path:
        """Return the file of a version."""
        return self.manifests / f"{number:06}.json"

    def segments(self) -> list[str]:
        """Return the segments that versions have. Raises VersionDamaged."""
        manifests = (self.manifest(number) for number in self.numbers())
        return sorted({segment for manifest in manifests for segment in manifest.segments})

    def order_path(self, order: str) -> Path:
        """Return the file of an order."""
        return self.orders / f"{order}.parquet"

    def current(self) -> int:
        """Return the number of the current version; 0 when there is none.

        A version that is newer than the last word about what is current became so: its writer was
        killed right after the manifest was written.
        """
        numbers, written = self.numbers(), self._written()
        newer = [number for number in numbers if number >= written["next"]]
        if newer:
            return newer[-1]
        return written["current"] if written["current"] in numbers else (numbers or [0])[-1]

    def next_number(self) -> int:
        """Return the number of the next version: higher than any there was."""
        last = max([*self.numbers(), *self.tombstones(), 0])
        return max(self._written()["next"], last + 1)

    def write(self, **changes: Any) -> None:
        """Write these fields of dataset.json; the others stay."""
        records.write(self.path / "dataset.json", self._written() | changes)

    def _written(self) -> dict[str, Any]:
        """Return dataset.json; should it be lost, what can be said without it."""
        usual = {"title": self.id, "created": "1970-01-01T00:00:00+00:00", "current": 0, "next": 1}
        return usual | (records.read(self.path / "dataset.json") or {})

    # --- what is told about them --------------------------------------------

    def about(self, number: int) -> VersionFacts:
        """Return a version with its labels. Raises VersionUnknown, VersionDamaged."""
        return self._about(number, self.labels(), self.current(), str(self._written()["title"]))

    def all_versions(self) -> list[VersionFacts]:
        """Return all versions, newest first. Raises VersionDamaged."""
        labels, current, title = self.labels(), self.current(), str(self._written()["title"])
        return [self._about(number, labels, current, title) for number in self.numbers()[::-1]]

    def summary(self) -> DatasetFacts:
        """Return the dataset as a whole. Raises VersionUnknown, VersionDamaged."""
        written = self._written()
        return DatasetFacts(
            id=self.id,
            title=str(written["title"]),
            created=datetime.fromisoformat(written["created"]),
            current=self.about(self.current()),
            versions=len(self.numbers()),
            size_bytes=_size(self.rows) + _size(self.orders) + _size(self.manifests),
        )

    def _about(self, number: int, labels: dict[str, Any], current: int, title: str) -> VersionFacts:
        manifest = self.manifest(number)
        label = {"note": manifest.note} | labels.get(str(number), {})
        facts = manifest.model_dump(exclude={"origin", "layouts"}) | label
        return VersionFacts(
            **facts,
            origin=manifest.origin,
            layouts=manifest.layouts,
            dataset=self.id,
            title=title,
            current=number == current,
        )

    def labels(self) -> dict[str, Any]:
        """Return the changed notes and the tags by version."""
        return records.read(self.path / "labels.json") or {}

    def label(self, number: int, **changes: Any) -> None:
        """Write notes or tags of a version."""
        labels = self.labels()
        labels[str(number)] = labels.get(str(number), {}) | changes
        records.write(self.path / "labels.json", labels)

    def tombstones(self) -> dict[int, Tombstone]:
        """Return what stays of deleted versions, by number."""
        content = records.read(self.path / "deleted.json") or {}
        return {
            stone.number: stone
            for stone in map(Tombstone.model_validate, content.get("versions", []))
        }

    # --- deleting -----------------------------------------------------------

    def bury(self, number: int) -> None:
        """Write that a version is deleted; from then on it is, though its files may still be."""
        manifest = self.manifest(number)
        stone = Tombstone(
            number=number,
            fingerprint=manifest.fingerprint,
            deleted=datetime.now(UTC),
            rows=manifest.rows,
        )
        stones = [*self.tombstones().values(), stone]
        content = {"versions": [known.model_dump(mode="json") for known in stones]}
        records.write(self.path / "deleted.json", content)

    def sweep(self) -> None:
        """Remove what dead writers left, and files that no version needs any more."""
        if not self.sweep_drafts():
            # A draft builds on rows that lie here already, and nothing says yet which.
            self._remove_unneeded()

    def sweep_drafts(self) -> int:
        """Remove the drafts of dead writers; return how many are still being written.

        Small files are only written by who has the lock: half-written ones are nobody's now.
        """
        for file in (*self.path.glob(".*.json.*"), *self.manifests.glob(".*.json.*")):
            file.unlink(missing_ok=True)
        living = 0
        for path in self.path.glob(f"{DRAFT_PREFIX}*"):
            if locks.is_held(path / LOCK):
                living += 1
            else:
                shutil.rmtree(path, ignore_errors=True)
        return living

    def _remove_unneeded(self) -> None:
        for number in self.tombstones():
            self.manifest_path(number).unlink(missing_ok=True)
        try:
            kept = [self.manifest(number) for number in self.numbers()]
        except VersionDamaged:
            # Nobody knows what a damaged one needs.
            return
        segments = {segment for each in kept for segment in each.segments}
        for folder, names in (
            (self.rows, segments),
            (self.facts, segments),
            (self.orders, {each.order for each in kept}),
        ):
            for file in folder.iterdir():
                # Facts in the making have a name that begins with a dot.
                if file.name.lstrip(".").partition(".")[0] not in names:
                    file.unlink(missing_ok=True)


@contextmanager
def locked(path: Path, name: str, patience_s: float = PATIENCE_S) -> Iterator[None]:
    """Hold a lock. Raises DatasetBusy when another process does not let go of it in time."""
    held = locks.hold(path, patience_s)
    if held is None:
        raise DatasetBusy(name)
    with held:
        yield


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
