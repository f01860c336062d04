"""Reading a small data file into rows at once, whatever it is saved as.

Rows are numbered so that a person finds them again: the line of a JSONL file; the place in a JSON
list, a Parquet file or a text's blocks, from 1; in CSV, TSV and sheets the row below the header.
Files of any size are read by `easytune.data.reading`, of which this is made.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easytune.data.decoding import unreadable
from easytune.data.reading.kinds import READERS
from easytune.data.reading.kinds import read as read_chunks
from easytune.data.reading.places import Place
from easytune.data.reading.records import Unparsed
from easytune.data.reading.streams import Opened
from easytune.data.rows import Problem
from easytune.errors import FileEmpty, FileMissing

__all__ = ["READERS", "Table", "is_readable", "read"]


@dataclass
class Table:
    """The rows of one file as (number, value), and those that could not be read.

    `digest` is the SHA-256 of the file's bytes.
    """

    rows: list[tuple[int, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    digest: str = ""


def is_readable(path: Path) -> bool:
    """Tell by its ending whether a file is one we read."""
    return Place(path.name, path).ending in READERS


def read(path: Path, source: str) -> Table:
    """Return the rows of a file; `source` is what problems call it.

    Raises FileMissing, FileEmpty or FileUnreadable when no row can be had from it.
    """
    if not path.is_file():
        raise FileMissing(path=str(path))
    if not is_readable(path):
        raise unreadable(str(path), "ending")
    table = Table()
    with Opened(Place(str(path), path)) as opened:
        for chunk in read_chunks(opened):
            for number, value in zip(chunk.numbers, chunk.values, strict=True):
                if isinstance(value, Unparsed):
                    table.problems.append(Problem(number, source, value.code, value.values))
                else:
                    table.rows.append((number, value))
        table.digest = opened.digest()
    if not table.rows and not table.problems:
        raise FileEmpty(path=str(path))
    return table
