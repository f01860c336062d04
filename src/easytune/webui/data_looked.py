"""The set of rows the Data tab shows: a version of a dataset, or a bundled demo to look at."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from easytune import demo
from easytune.data import formats
from easytune.data.conversation import Content
from easytune.data.formats import Layout
from easytune.data.rows import Message, Problem
from easytune.data.stored import Reference, StoredRow
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import VersionFacts
from easytune.data.versions.search import Filter, Found
from easytune.dataset_errors import PatternInvalid
from easytune.services import demo_datasets

DEMO = "demo/"
Find = Callable[[Filter, int, int], Found]


@dataclass(frozen=True)
class Looked:
    """Rows to look at, whatever they are part of. `facts` is None for a demo, which is read-only.

    `name` is "house-style@3" or "demo/style", as the page holds it.
    """

    name: str
    rows: int
    held_out: int
    problems: int
    layouts: Mapping[str, Layout]
    find: Find
    facts: VersionFacts | None = None

    def meaning(self, row: StoredRow) -> Content | Problem:
        """Return what a row is once it is converted, or why it cannot be used."""
        if row.problem:
            return Problem(row.number, row.source, row.problem, row.values)
        layout = self.layouts.get(row.source) or Layout()
        return meaning(row, layout)


def meaning(row: StoredRow, layout: Layout) -> Content | Problem:
    """Return what a row is in this layout; a format that is not known is recognised."""
    value = row.value
    if layout.format is None and isinstance(value, dict):
        layout = Layout(formats.recognise([value]), layout.columns, layout.tags)
    if layout.format is None:
        return Content(messages=(Message("user", row.text),))
    converted = formats.convert(value, row.number, row.source, layout)
    return converted if isinstance(converted, Problem) else converted[1]


def parse(name: str) -> Reference | None:
    """Return the version behind "house-style@3"; None for a demo or nothing."""
    return Reference.parse(f"dataset:{name}") if name and not name.startswith(DEMO) else None


def look(library: Library, name: str) -> Looked | None:
    """Return what a name of the page stands for, None for no name.

    Raises DatasetUnknown, VersionUnknown, and FileMissing for an unknown demo.
    """
    if name.startswith(DEMO):
        return look_at_demo(name.removeprefix(DEMO))
    reference = parse(name)
    return _version(library, reference) if reference else None


def _version(library: Library, reference: Reference) -> Looked:
    rows = library.open(reference.id, reference.number)
    facts = rows.facts

    def find(wanted: Filter, first: int, count: int) -> Found:
        if wanted == Filter():
            return Found(len(rows), rows.page(first, count))
        return rows.find(wanted, first, count)

    name = f"{reference.id}@{facts.number}"
    return Looked(
        name, facts.rows, facts.held_out, facts.problems, facts.layouts, find, facts
    )  # fmt: skip


@lru_cache(maxsize=len(demo.DATASETS))
def look_at_demo(name: str) -> Looked:
    """Return a demo, read once. Raises FileMissing for an unknown one."""
    rows = demo_datasets.rows(name)
    layout = Layout()
    held_out = sum(row.held_out for row in rows)

    def find(wanted: Filter, first: int, count: int) -> Found:
        fitting = _filtered(rows, wanted, layout)
        return Found(len(fitting), fitting[first : first + count])

    return Looked(DEMO + name, len(rows), held_out, 0, {}, find)


def _filtered(rows: list[StoredRow], wanted: Filter, layout: Layout) -> list[StoredRow]:
    """Return the rows of a demo that fit: a few hundred, so no index is needed."""
    try:
        text = wanted.text if wanted.regex else re.escape(wanted.text)
        pattern = re.compile(text, re.IGNORECASE if not wanted.regex else 0)
    except re.error as error:
        raise PatternInvalid(wanted.text, str(error)) from error
    return [row for row in rows if pattern.search(row.text) and _fits(row, wanted, layout)]


def _fits(row: StoredRow, wanted: Filter, layout: Layout) -> bool:
    if wanted.problem not in (None, "none") or wanted.duplicates:
        return False
    if wanted.held_out is not None and wanted.held_out != row.held_out:
        return False
    content = meaning(row, layout)
    messages = () if isinstance(content, Problem) else content.messages or ()
    length = sum(len(message.content) for message in messages)
    if wanted.role and wanted.role not in {message.role for message in messages}:
        return False
    if wanted.language not in ("", "en"):
        return False
    return (wanted.min_length or 0) <= length <= (wanted.max_length or length)
