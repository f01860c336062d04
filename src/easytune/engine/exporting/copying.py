"""Copies that count their bytes and are hashed on the way."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

BLOCK = 4 << 20


def copy(session: "Session", files: Sequence[tuple[Path, str]]) -> None:
    """Copy files into the artefact, each to its path there, and note their hashes.

    Raises StopAsked between two blocks when the user wants the job to end.
    """
    total = sum(source.stat().st_size for source, _ in files)
    done = 0
    for source, name in files:
        target = session.work / name
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256()
        with source.open("rb") as reading, target.open("wb") as writing:
            while block := reading.read(BLOCK):
                writing.write(block)
                digest.update(block)
                session.bytes_done(done := done + len(block), total)
            writing.flush()
            os.fsync(writing.fileno())
        session.hashes[name] = digest.hexdigest()
