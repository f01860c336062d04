"""Checkpoints that can be trusted: a manifest, written last, of every file's size and SHA-256.

A checkpoint counts only when all its files are whole, and when it holds everything that an exact
resume needs: without optimizer, schedule or random state a run goes on, but to another result.
"""

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from easytune import records
from easytune.errors import CheckpointInvalid

MANIFEST = "manifest.json"
_STATE = ("optimizer.pt", "scheduler.pt", "trainer_state.json")
_RANDOM_STATE = re.compile(r"rng_state(_\d+)?\.pth")
_WEIGHTS = re.compile(r"(adapter_model|model|model-\d+-of-\d+)\.safetensors")
_BLOCK = 1 << 20


def seal(folder: Path, step: int) -> None:
    """Write the manifest of a finished checkpoint, after its files have reached the disk.

    Raises CheckpointInvalid when a file that an exact resume needs is not there.
    """
    names = _names(folder)
    _require(folder, names)
    files = {name: _sealed(folder / name) for name in names}
    records.write(folder / MANIFEST, {"step": step, "files": files})


def verify(folder: Path) -> None:
    """Check every file of a checkpoint against its manifest.

    Raises CheckpointInvalid naming the first thing that is wrong.
    """
    listed = _manifest(folder)["files"]
    _require(folder, sorted(listed))
    for name, facts in listed.items():
        _check(folder, name, facts)


def step_of(folder: Path) -> int:
    """Return the optimizer step a checkpoint was taken after. Raises CheckpointInvalid."""
    return int(_manifest(folder)["step"])


def valid(folder: Path) -> list[Path]:
    """Return the whole checkpoints below `folder`, newest step first."""
    found = [child for child in sealed(folder) if _is_valid(child)]
    return sorted(found, key=step_of, reverse=True)


def sealed(folder: Path) -> list[Path]:
    """Return the checkpoints below `folder` that claim to be whole, unchecked, in no order."""
    return [path.parent for path in folder.glob(f"checkpoint-*/{MANIFEST}")]


def _is_valid(folder: Path) -> bool:
    try:
        verify(folder)
    except CheckpointInvalid:
        return False
    return True


def _names(folder: Path) -> list[str]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)
    return sorted(path.relative_to(folder).as_posix() for path in files)


def _require(folder: Path, names: list[str]) -> None:
    missing = [name for name in _STATE if name not in names]
    if not any(_RANDOM_STATE.fullmatch(name) for name in names):
        missing.append("rng_state.pth")
    if not any(_WEIGHTS.fullmatch(name) for name in names):
        missing.append("adapter_model.safetensors")
    if missing:
        raise CheckpointInvalid(path=str(folder), reason=f"missing {', '.join(missing)}")


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        step, files = int(content["step"]), dict(content["files"])
    except FileNotFoundError:
        raise CheckpointInvalid(path=str(folder), reason=f"missing {MANIFEST}") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointInvalid(path=str(folder), reason=f"{MANIFEST}: {error}") from error
    return {"step": step, "files": files}


def _check(folder: Path, name: str, facts: dict[str, Any]) -> None:
    path = folder / name
    if not path.is_file():
        raise CheckpointInvalid(path=str(folder), reason=f"missing {name}")
    if path.stat().st_size != facts.get("size"):
        raise CheckpointInvalid(path=str(folder), reason=f"{name} was cut")
    if _digest(path) != facts.get("sha256"):
        raise CheckpointInvalid(path=str(folder), reason=f"{name} was changed")


def _sealed(path: Path) -> dict[str, Any]:
    # Windows flushes only files opened for writing.
    with path.open("r+b") as file:
        os.fsync(file.fileno())
    return {"size": path.stat().st_size, "sha256": _digest(path)}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
