"""Facts of every row, kept beside the rows: `facts/<segment>.parquet`, a row for each of theirs.

Columns: `characters`, `turns`, `answer_characters` (int32), `language`, `opening` (string), `roles`
and `repairs` (list of string); their meaning is in `RowFacts`. A file is written once and whole;
it says in its own metadata by which layouts the rows were read.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from pydantic import TypeAdapter

from easytune.data.formats import Layout
from easytune.data.insight.row_facts import RowFacts, facts_of
from easytune.data.progress import Progress, silent
from easytune.data.stored import parse
from easytune.data.versions.rows import Rows

if TYPE_CHECKING:
    import pyarrow as pa

# Change it when the same row would get other facts.
_EDITION = 1
_KEY = "easytune.facts"
_ROWS_AT_ONCE = 5_000
_LAYOUT: TypeAdapter[Layout] = TypeAdapter(Layout)


def ensure(rows: Rows, progress: Progress = silent) -> None:
    """Write the facts of every segment of a version that has none yet.

    Several thousand rows a second, of which 5,000 are in memory. Raises TaskCancelled; the
    segments done until then keep their facts.
    """
    layouts = _Layouts(rows.facts.layouts.values())
    lacking = [name for name in rows.segments if not layouts.have_read(rows.facts_path(name))]
    sizes = {name: _rows_in(rows.segment_path(name)) for name in lacking}
    done, total = 0, sum(sizes.values())
    for name in lacking:
        for written in _write(rows.segment_path(name), rows.facts_path(name), layouts):
            progress("facts", done + written, total)
        done += sizes[name]


class _Layouts:
    """The layouts of a version, and whether facts were read by them.

    Which row came from which file is told by a version's order, and a segment is shared by
    versions: so the first layout that can read a row is taken for its own.
    """

    def __init__(self, layouts: Iterable[Layout]) -> None:
        self._by_name = {_name(layout): layout for layout in layouts}
        self._all_read = True

    def facts_of(self, text: str, problem: str) -> RowFacts:
        """Return the facts of a stored row."""
        if problem:
            return RowFacts(len(text))
        value = parse(text)
        for layout in (*self._by_name.values(), Layout()):
            found = facts_of(value, layout)
            if found.usable:
                return found
        self._all_read = False
        return RowFacts(len(text))

    def have_read(self, path: Path) -> bool:
        """Tell whether facts are there, and more layouts or others would make no difference."""
        import pyarrow.parquet as parquet

        if not path.is_file():
            return False
        kept = (parquet.read_metadata(path).metadata or {}).get(_KEY.encode())
        made_by = orjson.loads(kept or b"{}")
        known, wanted = set(made_by.get("layouts", ())), set(self._by_name)
        same = known == wanted or (known < wanted and made_by.get("all_read", False))
        return same and made_by.get("edition") == _EDITION

    def made_by(self) -> str:
        """Return what `have_read` wants to know of facts that were read by these layouts."""
        content = {"edition": _EDITION, "layouts": [*self._by_name], "all_read": self._all_read}
        return orjson.dumps(content).decode()


def _name(layout: Layout) -> str:
    content = orjson.dumps(_LAYOUT.dump_python(layout, mode="json"), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()


def _rows_in(path: Path) -> int:
    import pyarrow.parquet as parquet

    return parquet.read_metadata(path).num_rows


def _write(segment: Path, target: Path, layouts: _Layouts) -> Iterator[int]:
    """Write the facts of one segment; yield the rows done so far."""
    import pyarrow.parquet as parquet

    target.parent.mkdir(exist_ok=True)
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    done = 0
    try:
        with (
            parquet.ParquetFile(segment) as source,
            parquet.ParquetWriter(draft, _schema(), compression="zstd") as writer,
        ):
            for batch in source.iter_batches(_ROWS_AT_ONCE, columns=["text", "problem"]):
                stored = zip(*(column.to_pylist() for column in batch.columns), strict=True)
                found = [layouts.facts_of(text, problem) for text, problem in stored]
                writer.write_batch(_columns(found))
                done += len(found)
                yield done
            writer.add_key_value_metadata({_KEY: layouts.made_by()})
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _columns(found: list[RowFacts]) -> "pa.RecordBatch":
    import pyarrow as pa

    schema = _schema()
    columns = {name: [getattr(each, name) for each in found] for name in schema.names}
    return pa.RecordBatch.from_pydict(columns, schema=schema)


def _schema() -> "pa.Schema":
    import pyarrow as pa

    number, text, texts = pa.int32(), pa.string(), pa.list_(pa.string())
    columns = {
        "characters": number, "turns": number, "answer_characters": number, "language": text,
        "opening": text, "roles": texts, "repairs": texts,
    }  # fmt: skip
    return pa.schema(list(columns.items()))
