"""What was said and judged in the app, as rows of datasets."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from easytune.data import formats
from easytune.data.formats import Layout
from easytune.data.rows import Problem
from easytune.data.stored import Batch, parse, row_id, row_text
from easytune.data.task_import import check_kind
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Collected, VersionFacts
from easytune.dataset_errors import NothingToCollect, RowUnfit

Source = Literal["conversations", "votes", "corrections"]
LAYOUTS: dict[Source, Layout] = {
    "conversations": Layout("messages"),
    "votes": Layout("preference"),
    "corrections": Layout("messages"),
}


def of_lines(lines: str) -> list[Any]:
    """Return the rows of JSON lines, such as conversations and votes are exported to."""
    return [parse(line) for line in lines.split("\n") if line.strip()]


def of_correction(messages: Sequence[Mapping[str, Any]]) -> Any:
    """Return a conversation whose last answer was corrected as a row. Raises RowUnfit."""
    turns = [
        {"role": str(message.get("role", "")), "content": str(message.get("content") or "")}
        for message in messages
    ]
    kept = [turn for turn in turns if turn["content"].strip() or turn["role"] != "system"]
    if not kept or kept[-1]["role"] != "assistant" or not kept[-1]["content"].strip():
        raise RowUnfit("@data_task.no_answer")
    row = {"messages": kept}
    match formats.convert(row, 1, "corrections", LAYOUTS["corrections"]):
        case Problem() as problem:
            raise RowUnfit(f"@data.reason.{problem.code}")
        case _:
            return row


def collect(
    library: Library,
    source: Source,
    rows: Sequence[Any],
    *,
    dataset: str | None = None,
    title: str = "",
    author: str = "",
    note: str = "",
) -> VersionFacts:
    """Put rows behind those of a dataset, or into a new one called `title`.

    Rows that the dataset has already are left out. Raises NothingToCollect, KindsMixed,
    DatasetUnknown.
    """
    first = 1
    if dataset is not None:
        current = library.version(dataset)
        check_kind(current, {source: LAYOUTS[source]})
        rows, first = _new(library, dataset, rows), current.rows + 1
    if not rows:
        raise NothingToCollect(f"@data_task.source.{source}")
    origin = Collected.model_validate({"from": source, "count": len(rows)})
    with library.draft(
        dataset=dataset,
        title=title or source,
        origin=origin,
        author=author,
        note=note,
        layouts={source: LAYOUTS[source]},
    ) as draft:
        if dataset is not None:
            draft.keep_current()
        draft.add(_batch(rows, source, first))
        return draft.commit()


def _new(library: Library, dataset: str, rows: Sequence[Any]) -> list[Any]:
    """Return the rows that the current version lacks, each once."""
    import numpy as np

    ids = np.array([row_id(row) for row in rows], dtype="S16")
    there = np.isin(ids, library.open(dataset).ids())
    fresh = {row_id(row): row for row, is_there in zip(rows, there, strict=True) if not is_there}
    return list(fresh.values())


def _batch(rows: Sequence[Any], source: str, first: int) -> Batch:
    return Batch(
        texts=[row_text(row) for row in rows],
        ids=[row_id(row) for row in rows],
        sources=[source] * len(rows),
        numbers=list(range(first, first + len(rows))),
    )
