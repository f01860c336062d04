"""Small files that one process writes whole and others read. Standard library only."""

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any


def write(path: Path, content: dict[str, Any]) -> None:
    """Write `content` so that a reader, or a power cut, meets all of it or none."""
    write_text(path, json.dumps(content, allow_nan=False))


def write_text(path: Path, text: str) -> None:
    """Write `text` so that a reader, or a power cut, meets all of it or none."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
    with draft.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    if sys.platform != "win32":
        _sync_folder(path.parent)


def read(path: Path) -> dict[str, Any] | None:
    """Return the content; None when the file is missing, empty or no JSON object."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None


def mark(path: Path) -> str:
    """Return what changes whenever the file does; "-" while there is none."""
    try:
        status = path.stat()
    except OSError:
        return "-"
    return f"{status.st_mtime_ns:x}.{status.st_size:x}"


def _sync_folder(folder: Path) -> None:
    # Without this a renamed file can be gone again after a power cut.
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
