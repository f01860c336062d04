"""Parquet files and spreadsheets: rows that libraries take out of their columns and sheets."""

import datetime
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from easytune.data.decoding import unreadable
from easytune.data.reading import archives
from easytune.data.reading.records import ROWS_AT_ONCE, Chunk, Unparsed, chunks
from easytune.data.reading.streams import Opened
from easytune.data.reading.tables import header_names
from easytune.errors import FileEmpty, FileUnreadable

if TYPE_CHECKING:
    import pyarrow as pa
    from python_calamine import CalamineSheet, CalamineWorkbook


def read_parquet(opened: Opened) -> Iterator[Chunk]:
    """Yield the rows of a Parquet file. Raises FileUnreadable."""
    # Only who has Parquet pays for the import.
    import pyarrow as pa
    from pyarrow import parquet

    path = opened.file()
    try:
        with parquet.ParquetFile(path, buffer_size=1 << 20) as file:
            _check_names(file.schema_arrow.names, opened.name)
            total, number = max(file.metadata.num_rows, 1), 1
            for batch in file.iter_batches(batch_size=ROWS_AT_ONCE):
                values = _values(batch)
                yield Chunk(list(range(number, number + len(values))), values)
                number += len(values)
                opened.advance((number - 1) / total)
    except (pa.ArrowException, OSError) as problem:
        if isinstance(problem, OSError) and problem.errno:
            raise
        raise unreadable(opened.name, "parquet") from problem


def _check_names(names: list[str], source: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise FileUnreadable(source, 0, f"@data.unreadable.named_twice: {', '.join(twice)}")


def _values(batch: "pa.RecordBatch") -> list[Any]:
    """Return rows as JSON has them: bytes as text, other types as they are written."""
    try:
        rows = batch.to_pylist()
    except UnicodeDecodeError:
        return [_value(batch.slice(place, 1)) for place in range(batch.num_rows)]
    if all(_is_plain(kind) for kind in batch.schema.types):
        return rows
    return [orjson.loads(orjson.dumps(row, default=_as_text)) for row in rows]


def _value(one: "pa.RecordBatch") -> Any:
    """Return a row of a file in which some text is no UTF-8."""
    row: dict[str, Any] = {}
    damaged = ""
    for name, column in zip(one.schema.names, one.columns, strict=True):
        try:
            row[name] = column.to_pylist()[0]
        except UnicodeDecodeError:
            row[name], damaged = "\ufffd", name
    text = orjson.dumps(row, default=_as_text)
    return Unparsed("damaged", text.decode(), {"field": damaged}) if damaged else orjson.loads(text)


def _is_plain(kind: "pa.DataType") -> bool:
    from pyarrow import types

    if types.is_struct(kind):
        return all(_is_plain(kind.field(place).type) for place in range(kind.num_fields))
    if types.is_list(kind) or types.is_large_list(kind):
        return _is_plain(kind.value_type)
    plain = (types.is_string, types.is_large_string, types.is_boolean, types.is_integer)
    return types.is_floating(kind) or any(check(kind) for check in plain)


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    return str(value)


def read_sheet(opened: Opened) -> Iterator[Chunk]:
    """Yield the rows below the header of a spreadsheet, every cell as the text it shows.

    That is the first sheet, unless only later ones have rows. Raises FileUnreadable.
    """
    import python_calamine as calamine

    path = opened.file()
    if zipfile.is_zipfile(path):
        archives.check_sheet(path, opened.name)
    try:
        with calamine.load_workbook(path) as workbook:
            yield from _sheet(workbook, opened)
    except calamine.PasswordError as problem:
        raise unreadable(opened.name, "password") from problem
    except (calamine.CalamineError, calamine.ZipError, calamine.XmlError) as problem:
        raise unreadable(opened.name, "sheet") from problem


def _sheet(workbook: "CalamineWorkbook", opened: Opened) -> Iterator[Chunk]:
    sheet = _with_rows(workbook)
    if sheet is None:
        raise FileEmpty(path=opened.name)
    rows = iter(sheet.iter_rows())
    names = header_names((_cell(value) for value in _trimmed(next(rows, []))), opened.name)
    below = enumerate(rows, start=1)
    found = ((number, _named(names, cells)) for number, cells in below if any(map(_cell, cells)))
    for chunk in chunks(found):
        yield chunk
        opened.advance(chunk.numbers[-1] / max(sheet.height, 1))


def _with_rows(workbook: "CalamineWorkbook") -> "CalamineSheet | None":
    sheets = (workbook.get_sheet_by_index(place) for place in range(len(workbook.sheet_names)))
    return next((sheet for sheet in sheets if sheet.height > 1), None)


def _named(names: list[str], cells: list[Any]) -> dict[str, str]:
    return {name: _cell(value) for name, value in zip(names, cells, strict=False)}


def _trimmed(cells: list[Any]) -> list[Any]:
    """Return the cells up to the last one that is not empty."""
    filled = [place for place, value in enumerate(cells) if value != ""]
    return cells[: filled[-1] + 1] if filled else []


def _cell(value: Any) -> str:
    match value:
        case bool():
            return "TRUE" if value else "FALSE"
        case float() if value.is_integer():
            return str(int(value))
        case datetime.datetime() | datetime.date() | datetime.time():
            return (
                value.isoformat(" ") if isinstance(value, datetime.datetime) else value.isoformat()
            )
        case _:
            return str(value)
