"""Datasets for the tests of insight, made by hand in a library of the test's own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from easytune.data.formats import Layout
from easytune.data.stored import Batch, raw_id, row_id, row_text
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from easytune.data.versions.rows import Rows

ALPACA = Layout("alpaca")


def alpaca(question: str, answer: str, system: str = "") -> dict[str, str]:
    """Return a row as Alpaca has it."""
    row = {"instruction": question, "input": "", "output": answer}
    return row | ({"system": system} if system else {})


def batch(
    values: Sequence[Any],
    source: str = "rows.jsonl",
    problems: Mapping[int, tuple[str, dict[str, Any]]] | None = None,
    held_out: Sequence[int] = (),
) -> Batch:
    """Return rows of one file. A text that is no dict is taken for a row that cannot be parsed."""
    return Batch(
        texts=[value if isinstance(value, str) else row_text(value) for value in values],
        ids=[raw_id(value) if isinstance(value, str) else row_id(value) for value in values],
        sources=[source] * len(values),
        numbers=list(range(1, len(values) + 1)),
        problems=dict(problems or {}),
        held_out=[place in held_out for place in range(len(values))],
    )


def dataset(
    home: Path, title: str, *batches: Batch, layouts: Mapping[str, Layout] | None = None
) -> Rows:
    """Return the rows of a new dataset, Alpaca unless `layouts` says otherwise."""
    library = Library(home)
    by_source = layouts or {source: ALPACA for each in batches for source in each.sources}
    with library.draft(title=title, origin=Imported(), layouts=by_source) as draft:
        for each in batches:
            draft.add(each)
        made = draft.commit()
    return library.open(made.dataset, made.number)
