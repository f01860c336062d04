"""Rows for tests of versions."""

from typing import Any

from easytune.data.formats import Layout
from easytune.data.stored import Batch, raw_id, row_id, row_text
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported, VersionFacts

SOURCE = "rows.jsonl"
ALPACA = {SOURCE: Layout("alpaca")}


def value(text: str) -> dict[str, str]:
    """Return an Alpaca row that says this."""
    return {"instruction": f"Say {text}", "input": "", "output": f"{text} it is"}


def batch(values: list[Any], source: str = SOURCE, first: int = 1) -> Batch:
    """Return rows as a file gives them, one per line from line `first`."""
    return Batch(
        texts=[row_text(each) for each in values],
        ids=[row_id(each) for each in values],
        sources=[source] * len(values),
        numbers=list(range(first, first + len(values))),
    )


def broken(text: str, number: int) -> Batch:
    """Return one row that could not be parsed."""
    rows = Batch([text], [raw_id(text)], [SOURCE], [number])
    rows.problems[0] = "bad_json", {}
    return rows


def make(library: Library, values: list[Any], title: str = "House style") -> VersionFacts:
    """Make a dataset of these rows."""
    with library.draft(title=title, origin=Imported(), layouts=ALPACA) as draft:
        draft.add(batch(values))
        return draft.commit()


def replace_all(library: Library, dataset: str, values: list[Any]) -> VersionFacts:
    """Make a version of these rows, as an import in the place of all others does."""
    origin = Imported(mode="replace")
    with library.draft(dataset=dataset, origin=origin, layouts=ALPACA) as draft:
        draft.add(batch(values))
        return draft.commit()


def texts(library: Library, dataset: str, number: int | None = None) -> list[str]:
    """Return the texts of a version as they are stored, read a few at a time."""
    return [text for part in library.open(dataset, number).batches(7) for text in part.texts]
