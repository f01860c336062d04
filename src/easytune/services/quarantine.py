"""Where imports wait while they are checked: `<home>/imports/.incoming-…`, seen by nobody else."""

import hashlib
import secrets
import shutil
from collections.abc import Collection, Sequence
from pathlib import Path

from easytune import paths, records
from easytune.data.tasks import unwritable
from easytune.inspecting import unpacking
from easytune.inspecting.findings import Findings
from easytune.inspection_errors import ImportChanged, ImportNothing
from easytune.inspection_files import INCOMING, MODEL, CheckedFile, Finding
from easytune.services.batch_owner import Owner

UPLOAD = "upload"
_PARTS = (".safetensors", ".bin", ".json")
_OWNER = "owner.json"
_PIECE = 1 << 20


class Quarantine:
    """The quarantines of a home."""

    def __init__(self, home: Path) -> None:
        """Look below `home`, which need not exist yet."""
        self._root = paths.imports(home)
        self._owner = Owner.here()

    def take_in(self, sources: Sequence[Path]) -> tuple[Path, Path | None, tuple[Finding, ...]]:
        """Copy one folder, one archive or several files into a new quarantine.

        Return it, where in it an archive waits to be unpacked, and what was noted while copying.
        Raises ImportNothing, FolderUnwritable or StorageFull.
        """
        missing = next((path for path in sources if not path.exists()), None)
        if missing is not None or not sources:
            raise ImportNothing(str(missing or ""))
        findings = Findings()
        try:
            place = self._new()
            try:
                return place, self._copy(list(sources), place, findings), findings.all()
            except BaseException:
                shutil.rmtree(place, ignore_errors=True)
                raise
        except OSError as error:
            raise unwritable(self._root, error) from error

    def discard(self, place: Path) -> None:
        """Remove a quarantine; any other folder is left alone."""
        if place.parent == self._root and place.name.startswith(INCOMING):
            shutil.rmtree(place, ignore_errors=True)

    def verify(self, place: Path, files: Sequence[CheckedFile]) -> None:
        """Make sure that the files are still those that were checked. Raises ImportChanged."""
        for one in files:
            path = place / MODEL / one.path
            if path.is_symlink() or not path.is_file() or _hash(path) != one.sha256:
                raise ImportChanged(one.path)

    def release(self, place: Path, name: str, keep: Sequence[CheckedFile]) -> Path:
        """Give a quarantine its place among the imports, with the files to keep and no others.

        Raises FolderUnwritable.
        """
        kept = {one.path for one in keep}
        try:
            shutil.rmtree(place / UPLOAD, ignore_errors=True)
            (place / _OWNER).unlink(missing_ok=True)
            model = place / MODEL
            for path in sorted(model.rglob("*"), reverse=True):
                if path.is_dir() and not path.is_symlink():
                    if not any(path.iterdir()):
                        path.rmdir()
                elif path.relative_to(model).as_posix() not in kept:
                    path.unlink()
            return place.rename(self._free(name))
        except OSError as error:
            raise unwritable(self._root, error) from error

    def sweep(self, claimed: Collection[str]) -> None:
        """Remove quarantines that no living process and no open check (by folder) stands for."""
        if not self._root.is_dir():
            return
        for place in self._root.glob(f"{INCOMING}*"):
            if str(place) not in claimed and not _is_being_filled(place):
                self.discard(place)

    def _new(self) -> Path:
        self._root.mkdir(parents=True, exist_ok=True)
        place = self._root / f"{INCOMING}{secrets.token_hex(8)}"
        place.mkdir(mode=0o700)
        # First who fills it: a folder of nobody is swept.
        records.write(place / _OWNER, {"owner": str(self._owner)})
        (place / MODEL).mkdir()
        return place

    def _copy(self, sources: list[Path], place: Path, findings: Findings) -> Path | None:
        (first, *others) = sources
        if first.is_dir() and not others:
            unpacking.copy(first, place / MODEL, findings)
            return None
        # A person may name a link of their own; what a stranger's folder links to is not followed.
        files = {path.name: path.resolve() for path in sources if path.is_file()}
        if others or first.name.endswith(_PARTS):
            unpacking.copy_files(files, place / MODEL, findings)
            return None
        (place / UPLOAD).mkdir()
        unpacking.copy_files(files, place / UPLOAD, findings)
        return place / UPLOAD / first.name

    def _free(self, name: str) -> Path:
        for number in range(1, 1000):
            target = self._root / (name if number == 1 else f"{name}-{number}")
            if not target.exists():
                return target
        raise FileExistsError(name)


def _is_being_filled(place: Path) -> bool:
    mark = records.read(place / _OWNER)
    try:
        return mark is not None and Owner.of(str(mark["owner"])).is_alive()
    except (KeyError, ValueError):
        return False


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
    return digest.hexdigest()
