"""Where models lie on this machine, and what their files say. Each folder is read once only."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path

from easytune import checkpoints, demo, model_files, model_hubs, paths, records
from easytune.errors import EasyTuneError, ModelIncomplete, ModelPickled, RemoteCodeRefused
from easytune.export_files import CERTIFICATE, LOADABLE, ExportFolder
from easytune.inspection_files import IMPORT_RECORD, MODEL
from easytune.job import NAME_FILE
from easytune.services import pairing

_CAUSAL = ("ForCausalLM", "LMHeadModel")
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")
_RUN_CARD = "easytune.yaml"
Mark = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class Found:
    """What the files of one model folder say."""

    folder: Path
    is_adapter: bool
    base_name: str
    size_gb: float
    modified: datetime
    problem: EasyTuneError | None
    needs_own_code: bool
    is_trained: bool
    """Whether a run of ours wrote it: a whole model then counts as merged."""


class Folders:
    """Reads model folders, and remembers what they said until a file in them changes."""

    def __init__(self) -> None:
        """Begin with nothing read."""
        self._known: dict[Path, tuple[Mark, Found]] = {}

    def look(self, folder: Path) -> Found | None:
        """Return what a folder holds; None when that is no model and no adapter."""
        if not any((folder / name).is_file() for name in ("config.json", pairing.CONFIG)):
            return None
        mark = _mark(folder)
        known = self._known.get(folder)
        if known is None or known[0] != mark:
            known = self._known[folder] = (mark, _read(folder, mark))
        return known[1]

    def mark(self, folder: Path) -> Mark:
        """Return what changes when a file of the folder does."""
        return _mark(folder)


def whole_models(home: Path) -> Iterator[tuple[str, Path]]:
    """Yield (id, folder) of "demo", of what lies in the models folder, and of the hub cache."""
    yield "demo", demo.MODEL
    for folder in _subfolders(paths.models(home)):
        if folder.name != "demo":
            yield folder.name, folder
    yield from _hub_cache()


def imported(home: Path) -> Iterator[tuple[str, Path]]:
    """Yield (title, folder) of what came from elsewhere and was accepted after its check."""
    for folder in _subfolders(paths.imports(home)):
        record = records.read(folder / IMPORT_RECORD) or {}
        if record.get("verdict") in ("passed", "warnings"):
            yield str(record.get("name") or folder.name), folder / MODEL


def exported(home: Path) -> Iterator[tuple[str, Path]]:
    """Yield (title, folder) of the exported models, of jobs only those that their gate let through.

    An adapter at half strength lies in its folder, without a job.
    """
    for folder in _subfolders(paths.exports(home)):
        place = ExportFolder(folder)
        if not place.job.is_file():
            yield folder.name, folder
        elif name := _proved(place.artefact, records.mark(place.artefact / CERTIFICATE)):
            renamed = (records.read(folder / NAME_FILE) or {}).get("name")
            yield str(renamed or name), place.artefact


@lru_cache(maxsize=4096)
def _proved(artefact: Path, mark: str) -> str:
    """Return the name of an artefact that the gate has let through and that can be loaded."""
    content = records.read(artefact / CERTIFICATE) or {}
    is_model = content.get("passed") is True and content.get("target") in LOADABLE
    return str(content.get("name") or artefact.parent.parent.name) if is_model else ""


def whole_checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """Return (step, folder) of the checkpoints none of whose files is missing or cut, newest first.

    Their hashes are left to a resume: reading gigabytes for a list would take minutes.
    """
    found = [(step, path) for path in checkpoints.sealed(folder) if (step := _whole_step(path))]
    return sorted(found, reverse=True)


def is_causal(folder: Path) -> bool:
    """Tell whether a model's configuration is that of a language model that writes text."""
    architectures = (records.read(folder / "config.json") or {}).get("architectures") or []
    return any(str(name).endswith(_CAUSAL) for name in architectures)


def _whole_step(checkpoint: Path) -> int | None:
    content = records.read(checkpoint / checkpoints.MANIFEST) or {}
    files = content.get("files")
    if not isinstance(files, dict) or not isinstance(content.get("step"), int):
        return None
    for name, facts in files.items():
        try:
            if (checkpoint / name).stat().st_size != facts.get("size"):
                return None
        except OSError:
            return None
    return content["step"]


def _hub_cache() -> Iterator[tuple[str, Path]]:
    from huggingface_hub import constants

    for place in _subfolders(Path(constants.HF_HUB_CACHE)):
        kind, _, name = place.name.partition("--")
        folder = _snapshot(place) if kind == "models" else None
        if folder is not None and _is_for_text(folder):
            yield name.replace("--", "/"), folder


def _snapshot(place: Path) -> Path | None:
    """Return the folder of a cached model's main revision."""
    try:
        revision = (place / "refs" / "main").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    folder = place / "snapshots" / revision
    return folder if folder.is_dir() else None


def _is_for_text(folder: Path) -> bool:
    return pairing.is_adapter(folder) or is_causal(folder)


def _subfolders(folder: Path) -> list[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError:
        return []
    return [path for path in children if path.is_dir() and not path.name.startswith(".")]


def _read(folder: Path, mark: Mark) -> Found:
    adapter = pairing.is_adapter(folder)
    files = [entry for entry in mark if not entry[0].endswith(".json")]
    # Beside its weights, a checkpoint has an optimizer that nobody loads to answer.
    weights = [entry for entry in files if entry[0].endswith(".safetensors")] or files
    newest = max((entry[1] for entry in weights or mark), default=0)
    problem, own_code = (pairing.problem_of(folder), False) if adapter else _whole(folder)
    return Found(
        folder=folder,
        is_adapter=adapter,
        base_name=pairing.trained_on(folder) if adapter else "",
        size_gb=sum(entry[2] for entry in weights) / 1e9,
        modified=datetime.fromtimestamp(newest / 1e9).astimezone(),
        problem=problem,
        needs_own_code=own_code,
        is_trained=(folder / _RUN_CARD).is_file(),
    )


def _whole(folder: Path) -> tuple[EasyTuneError | None, bool]:
    """Return why a whole model cannot be loaded, and whether only its own code could load it."""
    try:
        model_files.check(folder, allow_pickle=False)
        return None, model_files.needs_own_code(folder)
    except (ModelIncomplete, ModelPickled) as problem:
        return problem, False


def refused_code(found: Found, allowed: bool) -> EasyTuneError | None:
    """Return the refusal of a model that needs code of its own while that is not allowed."""
    if found.needs_own_code and not allowed:
        return RemoteCodeRefused(model=str(found.folder))
    return None


def hub_id(name: str) -> bool:
    """Tell whether a name can be a model of the hub: `owner/model`."""
    return name.count("/") == 1 and model_hubs.is_hub_id(name)


def _mark(folder: Path) -> Mark:
    """Return (name, time in ns, size) of the files that matter."""
    found = []
    for pattern in ("*.json", *_WEIGHTS):
        for file in folder.glob(pattern):
            try:
                status = file.stat()
            except OSError:
                continue
            found.append((file.name, status.st_mtime_ns, status.st_size))
    return tuple(sorted(found))
