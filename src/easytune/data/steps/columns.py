"""Making, renaming and dropping the columns of rows."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from easytune.data import formats
from easytune.data.formats import Layout
from easytune.data.rows import Problem
from easytune.data.steps.options import ColumnsSection
from easytune.data.steps.step import Transform

_PLACE = re.compile(r"\{([^{}]+)\}")


def prepare(options: ColumnsSection, found: Counter[str]) -> Transform:
    """Return what changes the columns of a row; a row without columns is left alone."""

    def change(value: Any, layout: Layout) -> list[Any]:
        if not isinstance(value, dict):
            return [value]
        made = {name: _filled(text, value) for name, text in options.make.items()}
        new = _renamed({**value, **made}, options.rename)
        kept = {name: new[name] for name in new if _stays(name, options)}
        # Column by column: a mere change of their order counts, since people read them.
        return [value if list(kept.items()) == list(value.items()) else kept]

    return change


def layout(options: ColumnsSection, before: Layout) -> Layout:
    """Return how rows are understood under their new names.

    A mapping by hand follows the columns it names. Columns that now have a name a format knows are
    understood without one.
    """
    mapped = {role: options.rename.get(name, name) for role, name in before.columns.items()}
    taken = {*options.rename.values(), *options.make}
    columns = {
        role: role if role in taken and name != role else name for role, name in mapped.items()
    }
    return before if columns == dict(before.columns) else replace(before, columns=columns)


def understood(before: Layout, values: Sequence[Any]) -> Layout:
    """Return how changed rows are understood: as before, unless only another format fits them."""
    if before.format is None or not values:
        return before
    if any(not isinstance(formats.convert(v, 0, "", before), Problem) for v in values):
        return before
    found = formats.recognise(values)
    return Layout(found, tags=before.tags) if found and found != before.format else before


def _renamed(value: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Return the row under new names, in place; a column that had such a name before gives way."""
    moved = {new for old, new in names.items() if old in value}
    return {
        names.get(name, name): content
        for name, content in value.items()
        if name in names or name not in moved
    }


def _stays(name: str, options: ColumnsSection) -> bool:
    return name not in options.drop and (not options.keep or name in options.keep)


def _filled(text: str, value: Mapping[str, Any]) -> str:
    """Return a text with `{column}` replaced by what the row has there; a list as JSON."""

    def content(place: re.Match[str]) -> str:
        found = value.get(place[1].strip(), "")
        if found is None:
            return ""
        return found if isinstance(found, str) else orjson.dumps(found).decode()

    return _PLACE.sub(content, text)
