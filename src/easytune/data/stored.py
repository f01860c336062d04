"""Rows as versions of a dataset keep them, and the names by which people call a version."""

import re
from dataclasses import dataclass, field
from typing import Any

import orjson
from xxhash import xxh3_128_digest

PREFIX = "dataset:"
ID_BYTES = 16
_NAME = re.compile(r"dataset:(?P<id>[^@#/\\]+)(@(?P<number>\d+))?")


@dataclass(frozen=True)
class Reference:
    """A version of a dataset of this home: `dataset:house-style@3`; without a number, the current.

    This is what stands in `data.datasets` of a config.
    """

    id: str
    number: int | None = None

    @classmethod
    def parse(cls, name: str) -> "Reference | None":
        """Return what a name stands for, None when it is no version's name."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        return cls(found["id"], int(found["number"]) if found["number"] else None)

    def __str__(self) -> str:
        return f"{PREFIX}{self.id}" + (f"@{self.number}" if self.number else "")


@dataclass
class Batch:
    """Rows on their way from a file or version to a version: columns of the same length.

    `texts`: each row as JSON (see `row_text`), or the raw text of one that could not be parsed.
    `ids`: see `row_id`. `sources`, `numbers`: the file a row came from and its number there.
    `problems`: place in the batch -> (code, values), as in `easytune.data.rows.Problem`; rows
    without an entry can be used. `held_out`: rows to measure progress on; empty means none is.
    """

    texts: list[str] = field(default_factory=list)
    ids: list[bytes] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    problems: dict[int, tuple[str, dict[str, Any]]] = field(default_factory=dict)
    held_out: list[bool] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One row of a version. `position` counts from 0 over the whole version."""

    position: int
    text: str
    source: str
    number: int
    problem: str = ""
    values: dict[str, Any] = field(default_factory=dict)
    held_out: bool = False

    @property
    def value(self) -> Any:
        """Return the row's content; of a row that could not be parsed, its raw text."""
        try:
            return parse(self.text)
        except ValueError:
            return self.text


def parse(text: str | bytes) -> Any:
    """Return the content of a JSON text. NaN and infinity are refused. Raises ValueError."""
    return orjson.loads(text)


def row_text(value: Any) -> str:
    """Return a row as versions keep it: JSON without needless blanks, keys in their order."""
    return orjson.dumps(value).decode()


def row_id(value: Any) -> bytes:
    """Return what tells a row from others: 16 bytes of XXH3 over its JSON with sorted keys.

    Rows are the same when their content is, in whatever order a file has their keys. XXH3 is no
    cryptographic hash: rows made on purpose can share an id. It costs an import of a million rows
    a tenth of what BLAKE2b does; the files of a version are sealed by SHA-256.
    """
    return xxh3_128_digest(orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def raw_id(text: str) -> bytes:
    """Return the id of a row that could not be parsed."""
    return xxh3_128_digest(b"raw:" + text.encode("utf-8", "surrogatepass"))
