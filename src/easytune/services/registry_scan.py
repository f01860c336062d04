"""Where the folders of versions lie, and a mark of each that changes when its files do.

This runs each time the registry is opened, over everything there is: a few calls to the system
per folder, and nothing is read.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from easytune import job, paths

RUN, CHECKPOINT, EXPORT, IMPORT = "run:", "checkpoint:", "export:", "import:"
ADAPTER = "adapter_model.safetensors"
_WEIGHTS = (ADAPTER, "model.safetensors", "model.safetensors.index.json")
_GONE = "-"


def marks(home: Path) -> dict[str, str]:
    """Return key -> mark of every folder of a run, export or import that may hold a version.

    In the order in which they began. A run is among them once its process has ended, or has left
    weights behind.
    """
    found: dict[str, str] = {}
    for name in _names(paths.runs(home)):
        if mark := _of_run(os.path.join(paths.runs(home), name)):
            found[RUN + name] = mark
    for name in _names(paths.exports(home)):
        if mark := _of_export(os.path.join(paths.exports(home), name)):
            found[EXPORT + name] = mark
    for name in _names(paths.imports(home)):
        if (mark := _mark(os.path.join(paths.imports(home), name, "record.json"))) != _GONE:
            found[IMPORT + name] = mark
    return found


def mark(home: Path, key: str) -> str | None:
    """Return the mark of one version by its key; None when it is not there."""
    kind, _, name = key.partition(":")
    if not name or name.startswith(".") or Path(name).name != name:
        return None
    match kind:
        case "run":
            return _of_run(os.path.join(paths.runs(home), name))
        case "checkpoint":
            return checkpoint_mark(home, key)
        case "export":
            return _of_export(os.path.join(paths.exports(home), name))
        case "import":
            found = _mark(os.path.join(paths.imports(home), name, "record.json"))
            return None if found == _GONE else found
    return None


def checkpoint_mark(home: Path, key: str) -> str | None:
    """Return the mark of a checkpoint by its key; None when it is not there."""
    folder = checkpoint_folder(home, key)
    mark = _mark(os.path.join(folder, "manifest.json"))
    return None if mark == _GONE else mark


def checkpoint_folder(home: Path, key: str) -> Path:
    """Return the folder of the checkpoint `checkpoint:<run>@<step>`."""
    run, _, step = key.removeprefix(CHECKPOINT).rpartition("@")
    return job.JobFolder(paths.runs(home) / run).checkpoints / f"checkpoint-{step}"


def place(home: Path, key: str) -> Path:
    """Return the folder that is moved when a version is deleted: the run with all it made."""
    kind, _, name = key.partition(":")
    match kind:
        case "run":
            return paths.runs(home) / name
        case "checkpoint":
            return checkpoint_folder(home, key)
        case "export":
            return paths.exports(home) / name
        case _:
            return paths.imports(home) / name


def files_mark(folder: Path) -> str:
    """Return what changes when any file below a folder does."""
    parts = []
    for path, status in sorted(_files(folder)):
        parts.append(f"{path}:{status.st_mtime_ns:x}:{status.st_size:x}")
    return "\n".join(parts)


def files(folder: Path) -> list[tuple[str, int]]:
    """Return (path below the folder, bytes) of all files."""
    return sorted((path, status.st_size) for path, status in _files(folder))


def _files(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    for at, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = os.path.join(at, name)
            try:
                yield os.path.relpath(path, folder).replace(os.sep, "/"), os.stat(path)
            except OSError:
                continue


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def _of_run(folder: str) -> str | None:
    result = os.path.join(folder, "out", "adapter")
    inside = _mark(result)
    if inside == _GONE:
        return None
    ended = _mark(os.path.join(folder, "exit.json"))
    return f"{ended} {inside} {_weights(result)}"


def _of_export(folder: str) -> str | None:
    certificate = _mark(os.path.join(folder, "out", "certificate.json"))
    if certificate != _GONE:
        return f"{certificate} {_mark(os.path.join(folder, 'out', 'model'))}"
    weights = _weights(folder)
    return None if weights == _GONE else f"{_mark(folder)} {weights}"


def _weights(folder: str) -> str:
    for name in _WEIGHTS:
        if (mark := _mark(os.path.join(folder, name))) != _GONE:
            return mark
    return _GONE


def _mark(path: str) -> str:
    # os, not pathlib: this is asked thousands of times while a page waits.
    try:
        status = os.stat(path)
    except OSError:
        return _GONE
    return f"{status.st_mtime_ns:x}.{status.st_size:x}"
