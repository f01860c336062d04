"""Files of rows: written once, read in any order. One is shared by every version that has its rows.

Columns: `id` (16 bytes), `text` (the row's JSON, or the raw text of one that cannot be parsed),
`problem` (its code, "" for none) and `values` (the problem's values as JSON).
"""

import hashlib
import mmap
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easytune.data.stored import ID_BYTES

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

ROWS_PER_GROUP = 2_000
_GROUP_BYTES = 8 * 1024 * 1024
_GROUPS_KEPT = 4


class SegmentWriter:
    """Writes the rows of one segment, a group at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._writer: Any = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = 0

    def add(self, texts: list[str], ids: bytes, problems: list[str], values: list[str]) -> None:
        """Append rows; `ids` are 16 bytes each, without anything between. Raises OSError."""
        import pyarrow as pa

        count = len(texts)
        columns = [
            pa.Array.from_buffers(pa.binary(ID_BYTES), count, [None, pa.py_buffer(ids)]),
            _text_column(texts),
            _filled(problems, count),
            _filled(values, count),
        ]
        self._waiting.append(pa.record_batch(columns, schema=schema()))
        self._waiting_rows += count
        self.rows += count
        if self._waiting_rows >= 4 * ROWS_PER_GROUP or self._waiting_bytes() >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Finish the file. Raises OSError."""
        if self.rows:
            self._flush()
        if self._writer:
            self._writer.close()

    def abandon(self) -> None:
        """Let go of the file, which is not wanted any more."""
        if self._writer:
            # The end of a file on a full disk cannot be written either.
            try:
                self._writer.close()
            except OSError:
                return

    def _waiting_bytes(self) -> int:
        return sum(batch.nbytes for batch in self._waiting)

    def _flush(self) -> None:
        import pyarrow as pa
        import pyarrow.parquet as parquet

        if self._writer is None:
            self._writer = parquet.ParquetWriter(
                self.path,
                schema(),
                compression="zstd",
                compression_level=1,
                # pyarrow takes names too, which its types do not say.
                use_dictionary=["problem", "values"],  # pyright: ignore[reportArgumentType]
                write_statistics=False,
            )
        if self._waiting:
            table = pa.Table.from_batches(self._waiting)
            self._writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        self._waiting, self._waiting_rows = [], 0


class Segments:
    """Reads the segments of one dataset. Keeps a few groups of rows in memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, tuple[Any, np.ndarray]] = {}
        self._groups: OrderedDict[tuple[str, int], pa.RecordBatch] = OrderedDict()
        self._unpacked: dict[str, list[pa.RecordBatch]] = {}

    def path(self, name: str) -> Path:
        """Return the file of a segment."""
        return self.folder / f"{name}.parquet"

    def rows(self, name: str) -> int:
        """Return how many rows a segment has. Raises OSError."""
        return int(self._file(name)[1][-1])

    def ids(self, name: str) -> "np.ndarray":
        """Return the ids of a segment as 16-byte strings (dtype `S16`). Raises OSError."""
        import numpy as np

        column = self._column(name, "id")
        width, start = ID_BYTES, column.offset * ID_BYTES
        raw = memoryview(column.buffers()[1])[start : start + len(column) * width]
        return np.frombuffer(raw, dtype="S16")

    def problems(self, name: str) -> "np.ndarray":
        """Return the problem's code of each row of a segment, "" for none. Raises OSError."""
        import numpy as np

        column = self._column(name, "problem")
        codes = np.array(column.dictionary.to_pylist(), dtype=object)
        return codes[column.indices.to_numpy()]

    def values(self, name: str) -> list[str]:
        """Return the values of each row's problem, as JSON. Raises OSError."""
        return self._column(name, "values").to_pylist()

    def take(self, name: str, rows: "np.ndarray") -> "pa.RecordBatch":
        """Return rows of a segment, in the order asked for. Raises OSError."""
        import numpy as np
        import pyarrow as pa

        ends = self._file(name)[1]
        groups, place = np.unique(np.searchsorted(ends, rows, "right"), return_inverse=True)
        if len(groups) == 1:
            group = self._group(name, int(groups[0]))
            return group.take(pa.array(rows - (ends[groups[0]] - group.num_rows)))
        parts, back = [], np.empty(len(rows), np.int64)
        done = 0
        for index, number in enumerate(groups):
            group = self._group(name, int(number))
            mine = np.flatnonzero(place == index)
            parts.append(group.take(pa.array(rows[mine] - (ends[number] - group.num_rows))))
            back[mine] = np.arange(done, done + len(mine))
            done += len(mine)
        joined = pa.Table.from_batches(parts).combine_chunks().to_batches()[0]
        in_order = bool(np.all(back[1:] > back[:-1]))
        return joined if in_order else joined.take(pa.array(back))

    def unpack(self, name: str) -> None:
        """Make reading here and there quick: by a file without compression, gone when we are.

        Takes as much disk as the rows have text, and no memory that the system needs elsewhere.
        Raises OSError.
        """
        import pyarrow as pa

        if name in self._unpacked:
            return
        with tempfile.TemporaryFile(dir=self.folder) as file:
            with pa.ipc.new_file(file, self._file(name)[0].schema_arrow) as writer:
                for number in range(len(self._file(name)[1])):
                    writer.write_batch(self._group(name, number))
            file.flush()
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        reader = pa.ipc.open_file(pa.py_buffer(mapped))
        self._unpacked[name] = [reader.get_batch(n) for n in range(reader.num_record_batches)]

    def _file(self, name: str) -> "tuple[Any, np.ndarray]":
        import numpy as np
        import pyarrow.parquet as parquet

        if name not in self._files:
            file = parquet.ParquetFile(self.path(name), read_dictionary=["problem"])
            known = file.metadata
            counts = [known.row_group(place).num_rows for place in range(known.num_row_groups)]
            self._files[name] = file, np.cumsum(counts or [0])
        return self._files[name]

    def _column(self, name: str, column: str) -> Any:
        table = self._file(name)[0].read(columns=[column])
        return table[column].combine_chunks()

    def _group(self, name: str, number: int) -> "pa.RecordBatch":
        if name in self._unpacked:
            return self._unpacked[name][number]
        key = (name, number)
        if key not in self._groups:
            table = self._file(name)[0].read_row_group(number)
            self._groups[key] = table.combine_chunks().to_batches()[0]
        self._groups.move_to_end(key)
        while len(self._groups) > _GROUPS_KEPT:
            self._groups.popitem(last=False)
        return self._groups[key]


def schema() -> "pa.Schema":
    """Return the columns of a segment."""
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("text", "problem", "values")]
    return pa.schema([("id", pa.binary(ID_BYTES)), *texts])


def digest(path: Path) -> str:
    """Return the SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text_column(texts: list[str]) -> "pa.Array":
    import pyarrow as pa

    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:
        # Only raw text can hold half of a character; what stands for it cannot be kept as UTF-8.
        whole = [text.encode("utf-8", "surrogatepass").decode("utf-8", "replace") for text in texts]
        return pa.array(whole, pa.string())


def _filled(texts: Sequence[str], count: int) -> "pa.Array":
    """Return a column of texts; none at all means all are empty."""
    import pyarrow as pa

    return pa.array(texts, pa.string()) if texts else pa.repeat("", count)
