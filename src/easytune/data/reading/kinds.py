"""How each kind of file is read, by its ending."""

from collections.abc import Callable, Iterator

from easytune.data.decoding import unreadable
from easytune.data.reading.columnar import read_parquet, read_sheet
from easytune.data.reading.json_rows import read_json
from easytune.data.reading.lines import read_blocks
from easytune.data.reading.records import Chunk
from easytune.data.reading.streams import Opened
from easytune.data.reading.tables import read_csv, read_tsv

Reader = Callable[[Opened], Iterator[Chunk]]


def _read_text(opened: Opened) -> Iterator[Chunk]:
    return read_blocks(opened.utf8())


READERS: dict[str, Reader] = {
    ".json": read_json,
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".parquet": read_parquet,
    ".xlsx": read_sheet,
    ".xlsm": read_sheet,
    ".xls": read_sheet,
    ".ods": read_sheet,
    ".txt": _read_text,
    ".md": _read_text,
}
"""How each kind of file is read, by its ending; the file may be packed as .gz or .zst besides."""


def read(opened: Opened) -> Iterator[Chunk]:
    """Yield the rows of a file. Raises FileEmpty and FileUnreadable, also while rows come."""
    reader = READERS.get(opened.place.ending)
    if reader is None:
        raise unreadable(opened.name, "ending")
    return reader(opened)
