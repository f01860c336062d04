"""Files on their way into a dataset: kept while somebody needs them, swept when nobody does.

Each upload has a folder `<home>/data-uploads/<token>/` and beside it `<token>.json`, which says
whose it is: that of a living process, or of the task that took it over.
"""

import secrets
import shutil
import time
from collections.abc import Collection, Sequence
from pathlib import Path

from easytune import records
from easytune.data.tasks import unwritable
from easytune.dataset_errors import NothingToImport
from easytune.services.batch_owner import Owner

FOLDER = "data-uploads"
LONGEST_S = 24 * 3600.0


class Uploads:
    """The uploads of a home."""

    def __init__(self, home: Path) -> None:
        """Look below `home`, which need not exist yet."""
        self._root = home / FOLDER
        self._owner = Owner.here()

    def new(self) -> Path:
        """Return a new, empty folder that is this process's own.

        Raises FolderUnwritable or StorageFull.
        """
        token = secrets.token_hex(8)
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            # First who it belongs to: a folder of nobody is swept.
            records.write(self._mark(token), {"owner": str(self._owner), "at": time.time()})
            folder = self._root / token
            folder.mkdir()
        except OSError as error:
            raise unwritable(self._root, error) from error
        return folder

    def save(self, text: str, ending: str) -> Path:
        """Write pasted text to a file in a new folder. Raises what `new` raises."""
        if not text.strip():
            raise NothingToImport(path="")
        folder = self.new()
        file = folder / f"pasted{ending}"
        try:
            # Browsers can send halves of characters, which no encoding can write.
            file.write_bytes(text.encode("utf-8", "replace"))
        except OSError as error:
            self.discard(folder)
            raise unwritable(folder, error) from error
        return file

    def adopt(self, paths: Sequence[Path], inside: str = "") -> list[Path]:
        """Move files into a new folder, and return where they are now; folders are left.

        Two files of the same name are kept apart; `inside` names a folder of theirs in the new one.
        Raises what `new` raises.
        """
        folder = self.new() / inside
        try:
            folder.mkdir(exist_ok=True)
            return [self._moved(path, folder) for path in paths]
        except OSError as error:
            self.discard(folder)
            raise unwritable(folder, error) from error

    def owned(self, paths: Sequence[Path]) -> list[Path]:
        """Return the upload folders in which these paths lie."""
        tokens = [self._token(path) for path in paths]
        return [self._root / token for token in dict.fromkeys(tokens) if token]

    def discard(self, path: Path) -> None:
        """Remove the upload that `path` lies in; any other path is left alone."""
        for folder in self.owned([path]):
            shutil.rmtree(folder, ignore_errors=True)
            self._mark(folder.name).unlink(missing_ok=True)

    def sweep(self, claimed: Collection[str]) -> None:
        """Remove what no living process and none of the `claimed` folders (absolute) stands for."""
        if not self._root.is_dir():
            return
        for path in self._root.iterdir():
            if path.is_dir() and str(path) not in claimed and not self._is_wanted(path.name):
                self.discard(path)

    def _is_wanted(self, token: str) -> bool:
        mark = records.read(self._mark(token))
        if mark is None:
            return False
        try:
            owner = Owner.of(str(mark["owner"]))
        except (KeyError, ValueError):
            return False
        return time.time() - float(mark.get("at", 0)) < LONGEST_S and owner.is_alive()

    def _moved(self, path: Path, folder: Path) -> Path:
        target, number = folder / path.name, 1
        while target.exists():
            number += 1
            target = folder / f"{path.stem}-{number}{path.suffix}"
        return Path(shutil.move(path, target)) if path.is_file() else path

    def _token(self, path: Path) -> str:
        try:
            inside = path.resolve().relative_to(self._root.resolve()).parts
        except ValueError:
            return ""
        return inside[0] if inside else ""

    def _mark(self, token: str) -> Path:
        return self._root / f"{token}.json"
