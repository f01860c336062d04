"""The bundled demo datasets as rows, and as datasets of one's own."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from easytune import demo
from easytune.data import files, formats
from easytune.data.formats import Layout
from easytune.data.stored import Batch, StoredRow, row_id, row_text
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported, ImportedFile, VersionFacts
from easytune.errors import FileMissing


def rows(name: str) -> list[StoredRow]:
    """Return the rows of a demo, those to learn from first. Raises FileMissing for another name."""
    found: list[StoredRow] = []
    for path, is_held_out in _files(name):
        for number, value in files.read(path, path.name).rows:
            text = row_text(value)
            found.append(StoredRow(len(found), text, path.name, number, held_out=is_held_out))
    return found


def copy(name: str, title: str, library: Library) -> VersionFacts:
    """Make a dataset of one's own with the rows of a demo, its held-out rows kept aside.

    Raises FileMissing, DiskFull.
    """
    taken = rows(name)
    layouts = {path.name: Layout(_format(taken, path.name)) for path, _ in _files(name)}
    origin = Imported(files=tuple(_file(path, taken) for path, _ in _files(name)))
    with library.draft(title=title, origin=origin, layouts=layouts) as draft:
        draft.add(_batch(taken))
        return draft.commit()


def _files(name: str) -> Iterator[tuple[Path, bool]]:
    known = demo.DATASETS.get(name)
    if known is None:
        raise FileMissing(path=f"demo/{name}")
    yield known.train, False
    yield known.held_out, True


def _format(taken: list[StoredRow], source: str) -> str | None:
    return formats.recognise([row.value for row in taken if row.source == source])


def _file(path: Path, taken: list[StoredRow]) -> ImportedFile:
    content = path.read_bytes()
    count = sum(row.source == path.name for row in taken)
    digest = hashlib.sha256(content).hexdigest()
    return ImportedFile(name=path.name, digest=digest, bytes=len(content), rows=count)


def _batch(taken: list[StoredRow]) -> Batch:
    return Batch(
        texts=[row.text for row in taken],
        ids=[row_id(row.value) for row in taken],
        sources=[row.source for row in taken],
        numbers=[row.number for row in taken],
        held_out=[row.held_out for row in taken],
    )
