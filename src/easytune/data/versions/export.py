"""Versions as files for other programs."""

import csv
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from easytune.data.progress import Progress
from easytune.data.stored import Batch, parse, row_text
from easytune.data.versions.disk import room_for
from easytune.data.versions.rows import Part, Rows

if TYPE_CHECKING:
    import pyarrow as pa

Form = Literal["jsonl", "json", "csv", "parquet"]
Values = Callable[[], Iterator[list[Any]]]


def export(
    rows: Rows, target: Path, form: Form, part: Part | None, problems_only: bool, progress: Progress
) -> Path:
    """Write the rows to a file, all or nothing, and return it.

    Rows that could not be parsed are left out, and of tables those that are no objects. With
    `problems_only` it is the rows that cannot be used, each as source, number, problem and text.
    Raises StorageFull, VersionDamaged.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    read = _problem_rows if problems_only else _contents

    def batches() -> Iterator[list[Any]]:
        done = 0
        for batch in rows.batches(part=part):
            yield read(batch)
            done += len(batch)
            progress("export", done, len(rows))

    try:
        with room_for(target.parent):
            _WRITERS[form](draft, batches)
            draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target


def _contents(batch: Batch) -> list[Any]:
    found = []
    for place, text in enumerate(batch.texts):
        if place not in batch.problems:
            found.append(parse(text))
            continue
        try:
            found.append(parse(text))
        except ValueError:
            continue
    return found


def _problem_rows(batch: Batch) -> list[Any]:
    return [
        {
            "source": batch.sources[place],
            "number": batch.numbers[place],
            "problem": code,
            "text": batch.texts[place],
        }
        for place, (code, _) in sorted(batch.problems.items())
    ]


def _write_lines(path: Path, batches: Values) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for values in batches():
            file.writelines(f"{row_text(value)}\n" for value in values)


def _write_list(path: Path, batches: Values) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        before = "[\n"
        for values in batches():
            for value in values:
                file.write(before + row_text(value))
                before = ",\n"
        file.write("[]\n" if before == "[\n" else "\n]\n")


def _write_csv(path: Path, batches: Values) -> None:
    names = list(dict.fromkeys(name for rows in _objects(batches) for row in rows for name in row))
    # With a mark at its start, or Excel takes the text for its own old encoding.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for rows in _objects(batches):
            writer.writerows([_cell(row.get(name)) for name in names] for row in rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else row_text(value)


def _write_parquet(path: Path, batches: Values) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    kinds = _kinds(_objects(batches))
    schema = pa.schema(kinds.items())
    with parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        for rows in _objects(batches):
            writer.write_table(_table(rows, schema))


def _kinds(batches: Iterable[list[dict[str, Any]]]) -> "dict[str, pa.DataType]":
    """Return the columns and what is in each; JSON text where it is not the same in all rows."""
    import pyarrow as pa

    kinds: dict[str, pa.DataType] = {}
    for rows in batches:
        for name in dict.fromkeys(name for row in rows for name in row):
            kinds[name] = _common(kinds.get(name, pa.null()), [row.get(name) for row in rows])
    return {name: pa.string() if kind == pa.null() else kind for name, kind in kinds.items()}


def _common(kind: "pa.DataType", values: list[Any]) -> "pa.DataType":
    import pyarrow as pa

    try:
        found = pa.schema([("", kind)]), pa.schema([("", pa.array(values).type)])
        return pa.unify_schemas(found, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.string()


def _table(rows: list[dict[str, Any]], schema: "pa.Schema") -> "pa.Table":
    import pyarrow as pa

    columns = []
    for field in schema:
        values = [row.get(field.name) for row in rows]
        if field.type == pa.string():
            values = [None if value is None else _cell(value) for value in values]
        columns.append(pa.array(values, field.type))
    return pa.Table.from_arrays(columns, schema=schema)


def _objects(batches: Values) -> Iterator[list[dict[str, Any]]]:
    for values in batches():
        yield [value for value in values if isinstance(value, dict)]


_WRITERS: dict[Form, Callable[[Path, Values], None]] = {
    "jsonl": _write_lines,
    "json": _write_list,
    "csv": _write_csv,
    "parquet": _write_parquet,
}
