"""What was deleted: moved away whole, put back whole, or gone for good when the trash is emptied.

An item is a folder `<home>/trash/<id>` with a record and the content. The record is written first
and the content comes by one rename, so that a kill at any moment leaves the content either where
it was or in the trash. A record without content is swept away by the next look.
"""

import errno
import os
import re
import shutil
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from easytune import paths, records
from easytune.errors import FolderUnwritable
from easytune.registry_errors import TrashMissing, TrashPlaceTaken

_RECORD, _CONTENT = "record.json", "content"
_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-f]{8}")
_LEFT_OVER_S = 60.0


@dataclass(frozen=True)
class Trashed:
    """One thing in the trash."""

    id: str
    kind: str
    """What it was: run, checkpoint, export, import."""
    title: str
    origin: str
    """Absolute path where it was."""
    at: datetime
    who: str
    bytes: int
    entry: str = ""
    """Key of the version of the registry whose files these are."""


class Trash:
    """The trash of a home; any number of processes may have one."""

    def __init__(self, home: Path) -> None:
        """Look at the trash of `home`, which need not exist yet."""
        self._home = home
        self._place = paths.trash(home)

    def throw(self, folder: Path, kind: str, title: str, who: str = "", entry: str = "") -> str:
        """Move a folder into the trash in one step, and return the id of the item.

        Raises FileNotFoundError when it is not there, FolderUnwritable.
        """
        now = datetime.now(UTC)
        item = f"{now:%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"
        facts = Trashed(item, kind, title, str(folder.resolve()), now, who, size_of(folder), entry)
        place = self._place / item
        content = place / _CONTENT
        try:
            place.mkdir(parents=True)
            self._record(place, facts, content)
            try:
                folder.rename(content)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                # On another disk it stays there, under a name that nobody looks at.
                content = folder.with_name(f".trash-{item}")
                self._record(place, facts, content)
                folder.rename(content)
        except FileNotFoundError:
            shutil.rmtree(place, ignore_errors=True)
            raise
        except OSError as error:
            shutil.rmtree(place, ignore_errors=True)
            raise FolderUnwritable(str(folder), error.strerror or str(error)) from error
        return item

    def restore(self, item: str) -> Trashed:
        """Put something back where it was, and return what it is.

        Raises TrashMissing, TrashPlaceTaken, FolderUnwritable.
        """
        found, content = self._found(item)
        origin = Path(found.origin)
        if origin.exists():
            raise TrashPlaceTaken(str(origin))
        try:
            origin.parent.mkdir(parents=True, exist_ok=True)
            content.rename(origin)
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise TrashPlaceTaken(str(origin)) from error
            raise FolderUnwritable(str(origin), error.strerror or str(error)) from error
        shutil.rmtree(self._place / item, ignore_errors=True)
        return found

    def empty(self, item: str | None = None) -> int:
        """Remove one thing, or all, for good; return the bytes that this frees.

        Raises TrashMissing for an id that is not there.
        """
        chosen = self.list() if item is None else [self._found(item)[0]]
        return sum(self._remove(one) for one in chosen)

    def _remove(self, one: Trashed) -> int:
        _, content = self._found(one.id)
        # Out of the list in one step; what a kill leaves of it is swept by the next look.
        hidden = self._place / f".gone-{one.id}"
        if content.parent == self._place / one.id:
            (self._place / one.id).rename(hidden)
        else:
            content = content.rename(content.with_name(f".gone-{one.id}"))
            shutil.rmtree(content, ignore_errors=True)
            hidden = self._place / one.id
        shutil.rmtree(hidden, ignore_errors=True)
        return one.bytes

    def _record(self, place: Path, facts: Trashed, content: Path) -> None:
        kept: dict[str, Any] = asdict(facts) | {"at": facts.at.isoformat()}
        records.write(place / _RECORD, kept | {"content": str(content)})

    def _found(self, item: str) -> tuple[Trashed, Path]:
        kept = records.read(self._place / item / _RECORD) if _ID.fullmatch(item) else None
        if kept is None or not (content := self._content(item, kept)).exists():
            raise TrashMissing(item)
        return _facts(item, kept), content

    def _content(self, item: str, kept: dict[str, Any]) -> Path:
        """Return where the content lies; also after the home was moved."""
        noted = Path(str(kept.get("content", "")))
        beside = noted.name == f".trash-{item}"
        return noted if beside else self._place / item / _CONTENT

    def _sweep(self, name: str) -> None:
        """Remove what was being emptied, or had never got its content, when a process ended."""
        place = self._place / name
        if name.startswith(".gone-"):
            shutil.rmtree(place, ignore_errors=True)
            return
        try:
            age_s = datetime.now(UTC).timestamp() - place.stat().st_mtime
        except OSError:
            return
        # A younger one may be on its way in.
        if age_s > _LEFT_OVER_S:
            shutil.rmtree(place, ignore_errors=True)

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self) -> list[Trashed]:
        """Return what is in the trash, the latest first."""
        try:
            names = sorted(os.listdir(self._place), reverse=True)
        except OSError:
            return []
        found: list[Trashed] = []
        for name in names:
            try:
                found.append(self._found(name)[0])
            except TrashMissing:
                if _ID.fullmatch(name.removeprefix(".gone-")):
                    self._sweep(name)
        return found


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(place, name)).st_size
            except OSError:
                continue
    return total


def _facts(item: str, kept: dict[str, Any]) -> Trashed:
    try:
        at = datetime.fromisoformat(str(kept.get("at")))
    except ValueError:
        at = datetime.fromtimestamp(0, UTC)
    return Trashed(
        id=item,
        kind=str(kept.get("kind", "")),
        title=str(kept.get("title", "")),
        origin=str(kept.get("origin", "")),
        at=at,
        who=str(kept.get("who", "")),
        bytes=int(kept.get("bytes") or 0),
        entry=str(kept.get("entry", "")),
    )
