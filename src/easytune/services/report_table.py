"""Tables as reports show them, and as a spreadsheet reads them."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")


@dataclass(frozen=True)
class Table:
    """A heading, the names of the columns, and the rows; the first cell names its row."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def as_csv(rows: Iterable[Mapping[str, Any]]) -> str:
    """Return rows as CSV, with every column that any has.

    It begins with a mark by which Excel tells UTF-8, and no cell is taken for a formula.
    """
    found = list(rows)
    file = io.StringIO()
    names = dict.fromkeys(name for row in found for name in row)
    writer = csv.DictWriter(file, list(names), restval="")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in found)
    return "\ufeff" + file.getvalue()


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, float):
        return value if math.isfinite(value) else ""
    if isinstance(value, list | tuple | dict):
        value = json.dumps(value, ensure_ascii=False)
    is_formula = isinstance(value, str) and value.lstrip(" \n").startswith(_FORMULA)
    return f"'{value}" if is_formula else value
