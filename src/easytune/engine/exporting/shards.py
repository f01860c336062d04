"""Safetensors files written tensor by tensor, hashed on the way, and taken up again.

What a file will hold is known before its first byte, so no tensor waits in memory for another. Each
whole file is noted with its SHA-256 once it is on the disk: a writer that comes after a crash goes
on behind the last one, and what it writes is the same to the byte.
"""

import hashlib
import json
import math
import os
import queue
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from easytune import records
from easytune.engine.exporting.stored import DTYPES, Piece

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
Watch = Callable[[int, int], None]
"""Called with bytes done and bytes in all; what it raises ends the writing."""
_WAITING = 4


@dataclass(frozen=True)
class Planned:
    """One tensor that is going to be written."""

    name: str
    dtype: str
    """As safetensors calls it."""
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """Return its size in the file."""
        return math.prod(self.shape) * DTYPES[self.dtype].itemsize


@dataclass(frozen=True)
class Written:
    """The files of a model that has been written."""

    hashes: dict[str, str]
    """SHA-256 by file."""
    kept: tuple[str, ...]
    """Files that an earlier attempt had written."""


def write(
    folder: Path,
    planned: Sequence[Planned],
    pieces: Callable[[Planned], Iterable[Piece]],
    shard_bytes: int,
    mark: str,
    watch: Watch,
    before: Path | None = None,
) -> Written:
    """Write the tensors into files of at most `shard_bytes`.

    `pieces` gives the bytes of a tensor, in order. `mark` stands for all that the bytes derive
    from: only files that were written under the same one are kept.
    """
    shards = _shards(planned, shard_bytes)
    manifest = _Manifest(folder, f"{mark} {shard_bytes} {len(planned)}", before)
    total, done = sum(one.bytes for one in planned), 0
    for name, tensors in shards.items():
        size = sum(one.bytes for one in tensors)
        if not manifest.has(name):
            begun = done
            with _Writer(folder / name, tensors) as writer:
                for one in tensors:
                    for view, used in pieces(one):
                        writer.write(view, used)
                        begun += view.nbytes
                        watch(begun, total)
            manifest.add(name, writer.sha256)
        done += size
        watch(done, total)
    _index(folder, shards, total)
    return Written(dict(manifest.files), manifest.kept)


def _shards(planned: Sequence[Planned], shard_bytes: int) -> dict[str, list[Planned]]:
    """Return file -> its tensors, in the order given; one that is larger has a file of its own."""
    groups: list[list[Planned]] = [[]]
    room = shard_bytes
    for one in planned:
        if groups[-1] and one.bytes > room:
            groups.append([])
            room = shard_bytes
        groups[-1].append(one)
        room -= one.bytes
    # The widest numbers first: so each tensor begins where its numbers may.
    groups = [sorted(some, key=lambda one: -DTYPES[one.dtype].itemsize) for some in groups]
    if len(groups) == 1:
        return {SINGLE: groups[0]}
    count = len(groups)
    return {f"model-{i:05}-of-{count:05}.safetensors": one for i, one in enumerate(groups, 1)}


def _index(folder: Path, shards: dict[str, list[Planned]], total: int) -> None:
    if list(shards) == [SINGLE]:
        return
    places = {one.name: file for file, tensors in shards.items() for one in tensors}
    content = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
    records.write_text(folder / INDEX, json.dumps(content, indent=2) + "\n")


class _Writer:
    """One file, whole under its name or not there; hashed by a thread beside the writing."""

    def __init__(self, path: Path, tensors: Sequence[Planned]) -> None:
        self._path, self._draft = path, path.with_name(f".{path.name}.part")
        self._tensors = tensors
        self._hash = hashlib.sha256()
        self._waiting: queue.Queue[Piece | None] = queue.Queue(_WAITING)
        self._thread = threading.Thread(target=self._hash_all, daemon=True)
        self.sha256 = ""

    def __enter__(self) -> "_Writer":
        self._file = self._draft.open("wb", buffering=0)
        self._thread.start()
        self.write(memoryview(_header(self._tensors)), _nothing)
        return self

    def write(self, view: memoryview, used: Callable[[], None]) -> None:
        """Append bytes; `used` is called when they are hashed, too."""
        flat = view.cast("B") if view.format != "B" else view
        self._waiting.put((flat, used))
        while flat:
            flat = flat[self._file.write(flat) :]

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._waiting.put(None)
        self._thread.join()
        if error is None:
            os.fsync(self._file.fileno())
        self._file.close()
        if error is not None:
            self._draft.unlink(missing_ok=True)
            return
        self._draft.replace(self._path)
        self.sha256 = self._hash.hexdigest()

    def _hash_all(self) -> None:
        for view, used in iter(self._waiting.get, None):
            self._hash.update(view)
            used()


def _header(tensors: Sequence[Planned]) -> bytes:
    """Return the length and the JSON that a safetensors file begins with."""
    content: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for one in tensors:
        offsets = [place, place + one.bytes]
        content[one.name] = {"dtype": one.dtype, "shape": list(one.shape), "data_offsets": offsets}
        place += one.bytes
    text = json.dumps(content, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


class _Manifest:
    """Which files are whole, with their SHA-256; a file that is not as noted is written again.

    The notes lie beside the folder, which is going to be a model and nothing else.
    """

    def __init__(self, folder: Path, mark: str, before: Path | None) -> None:
        self._path, self._mark = _notes(folder), mark
        self.files: dict[str, str] = {}
        for place in (folder, before):
            if place is not None:
                self._take_over(place, folder)
        self.kept = tuple(sorted(self.files))

    def has(self, name: str) -> bool:
        """Tell whether a file is whole."""
        return name in self.files

    def add(self, name: str, sha256: str) -> None:
        """Note a file that is on the disk."""
        self.files[name] = sha256
        records.write(self._path, {"mark": self._mark, "files": self.files})

    def _take_over(self, place: Path, folder: Path) -> None:
        noted = records.read(_notes(place)) or {}
        kept: dict[str, str] = noted.get("files", {}) if noted.get("mark") == self._mark else {}
        for name, sha256 in kept.items():
            if name not in self.files and file_sha256(place / name) == sha256:
                if place != folder:
                    shutil.move(place / name, folder / name)
                self.add(name, sha256)


def _notes(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.shards.json")


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file; "" when there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _nothing() -> None:
    """Bytes of our own need not be given back."""
