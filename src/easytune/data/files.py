"""Reading a data file into rows, whatever it is saved as.

Rows are numbered so that a person finds them again: the line of a JSONL file; the place in a JSON
list, a Parquet file or a text's blocks, from 1; in CSV and TSV the row below the header.
"""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easytune.data.decoding import decode, unreadable
from easytune.data.rows import Problem
from easytune.errors import FileEmpty, FileMissing, FileUnreadable

_ROW_LISTS = ("data", "rows", "train", "examples", "items", "instances", "records")
_LONGEST_CELL = 2**31 - 1


@dataclass
class Table:
    """The rows of one file as (number, value), and those that could not be read.

    `digest` is the SHA-256 of the file's bytes.
    """

    rows: list[tuple[int, Any]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    digest: str = ""


def read(path: Path, source: str) -> Table:
    """Return the rows of a file; `source` is what problems call it.

    Raises FileMissing, FileEmpty or FileUnreadable when no row can be had from it.
    """
    reader = READERS.get(path.suffix.lower())
    if not path.is_file():
        raise FileMissing(path=str(path))
    if reader is None:
        raise unreadable(str(path), "ending")
    raw = path.read_bytes()
    if not raw:
        raise FileEmpty(path=str(path))
    table = reader(path, raw, source)
    table.digest = hashlib.sha256(raw).hexdigest()
    if not table.rows and not table.problems:
        raise FileEmpty(path=str(path))
    return table


def _read_json(path: Path, raw: bytes, source: str) -> Table:
    """Read a list of rows or an object that holds one; also JSONL that is called .json."""
    text = decode(raw, str(path))
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as problem:
        if not text.lstrip().startswith("["):
            table = _lines(text, source)
            if len(table.rows) > 1:
                return table
        raise _unreadable(path, text, problem) from problem
    return Table(list(enumerate(_find_rows(content, path), start=1)))


def _read_json_lines(path: Path, raw: bytes, source: str) -> Table:
    """Read one row per line; also a list that is called .jsonl."""
    text = decode(raw, str(path))
    if text.lstrip().startswith("["):
        return _read_json(path, raw, source)
    table = _lines(text, source)
    if not table.rows and table.problems:
        return _read_json(path, raw, source)
    return table


def _lines(text: str, source: str) -> Table:
    table = Table()
    # Not splitlines: U+2028 and others are ordinary characters within JSON strings.
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            table.rows.append((number, json.loads(line)))
        except (ValueError, RecursionError) as problem:
            last = not any(rest.strip() for rest in lines[number:])
            code = _json_problem(line, problem) if last else "bad_json"
            code = "too_deep" if isinstance(problem, RecursionError) else code
            table.problems.append(Problem(number, source, code))
    return table


def _json_problem(text: str, problem: ValueError | RecursionError) -> str:
    """Return `too_deep`, `cut_off` when the text just ends too early, else `bad_json`."""
    if isinstance(problem, RecursionError):
        return "too_deep"
    if isinstance(problem, json.JSONDecodeError):
        at_the_end = problem.pos >= len(text.rstrip())
        if at_the_end or problem.msg.startswith("Unterminated string"):
            return "cut_off"
    return "bad_json"


def _unreadable(path: Path, text: str, problem: ValueError | RecursionError) -> FileUnreadable:
    code = _json_problem(text, problem)
    line = problem.lineno if isinstance(problem, json.JSONDecodeError) else 0
    return unreadable(str(path), code, line)


def _find_rows(content: Any, path: Path) -> list[Any]:
    """Return the list of rows in a parsed JSON file; a single object may be the only row."""
    if isinstance(content, list):
        return content
    if not isinstance(content, dict):
        raise unreadable(str(path), "no_rows")
    named = next((content[name] for name in _ROW_LISTS if _is_rows(content.get(name))), None)
    return [content] if named is None else named


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, dict) for row in value)


def _read_csv(path: Path, raw: bytes, source: str) -> Table:
    text = decode(raw, str(path))
    header = text.lstrip("\ufeff\r\n").partition("\n")[0]
    return _separated(path, text, source, max(",;\t", key=header.count))


def _read_tsv(path: Path, raw: bytes, source: str) -> Table:
    return _separated(path, decode(raw, str(path)), source, "\t")


def _separated(path: Path, text: str, source: str, delimiter: str) -> Table:
    csv.field_size_limit(_LONGEST_CELL)
    content = io.StringIO(text.lstrip("\ufeff"), newline="")
    records = _records(csv.reader(content, delimiter=delimiter, strict=True))
    header = next(records, None)
    if not isinstance(header, list) or len(set(header)) != len(header):
        raise unreadable(str(path), "header", 1)
    names = [name.strip() for name in header]
    table = Table()
    for number, cells in enumerate(records, start=1):
        if isinstance(cells, str):
            table.problems.append(Problem(number, source, cells))
        elif len(cells) > len(names):
            values = {"cells": len(cells), "columns": len(names)}
            table.problems.append(Problem(number, source, "too_many_cells", values))
        else:
            table.rows.append((number, dict(zip(names, cells, strict=False))))
    return table


def _records(reader: Iterator[list[str]]) -> Iterator[list[str] | str]:
    """Yield the cells of each record that is not blank, or the code of what is wrong with it."""
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            yield "open_quote" if "end of data" in str(problem) else "bad_quote"
            continue
        if cells:
            yield cells


def _read_parquet(path: Path, raw: bytes, source: str) -> Table:
    # Takes a third of a second to import; only who has Parquet pays for it.
    import duckdb

    try:
        with duckdb.connect(":memory:") as connection:
            return _query_parquet(connection, path)
    except duckdb.Error as problem:
        raise unreadable(str(path), "parquet") from problem


def _query_parquet(connection: Any, path: Path) -> Table:
    """Read a Parquet file on a connection that can reach this one file and nothing else."""
    absolute = str(path.resolve())
    quoted = absolute.replace("'", "''")
    connection.execute("SET autoinstall_known_extensions=false")
    connection.execute("SET autoload_known_extensions=false")
    connection.execute(f"SET allowed_paths=['{quoted}']")
    connection.execute("SET enable_external_access=false")
    connection.execute("SET lock_configuration=true")
    cursor = connection.execute("SELECT * FROM read_parquet(?)", [absolute])
    names = [column[0] for column in cursor.description]
    rows = (dict(zip(names, cells, strict=True)) for cells in cursor.fetchall())
    return Table(list(enumerate(rows, start=1)))


def _read_text(path: Path, raw: bytes, source: str) -> Table:
    """Read one row per block of lines; blank lines stand between blocks."""
    text = decode(raw, str(path)).lstrip("\ufeff").replace("\r\n", "\n")
    blocks: list[str] = []
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.strip():
            lines.append(line)
        elif lines:
            blocks.append("\n".join(lines))
            lines = []
    return Table([(number, {"text": block}) for number, block in enumerate(blocks, start=1)])


READERS: dict[str, Callable[[Path, bytes, str], Table]] = {
    ".json": _read_json,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".csv": _read_csv,
    ".tsv": _read_tsv,
    ".parquet": _read_parquet,
    ".txt": _read_text,
    ".md": _read_text,
}
"""How each kind of file is read, by its ending."""
