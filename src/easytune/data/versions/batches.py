"""What a draft asks of the rows that are handed to it, as columns."""

from typing import TYPE_CHECKING

from easytune.data.stored import Batch
from easytune.data.versions.known import problem_key, values_text

if TYPE_CHECKING:
    import numpy as np


def extend(waiting: Batch, batch: Batch) -> None:
    """Append rows to those that wait."""
    before = len(waiting)
    waiting.held_out += batch.held_out or [False] * len(batch)
    waiting.texts += batch.texts
    waiting.ids += batch.ids
    waiting.sources += batch.sources
    waiting.numbers += batch.numbers
    waiting.problems |= {before + place: found for place, found in batch.problems.items()}


def problems(batch: Batch) -> tuple[list[str], list[str]]:
    """Return code and values of each row's problem, as stored; nothing where all can be used."""
    if not batch.problems:
        return [], []
    codes, values = [""] * len(batch), [""] * len(batch)
    for place, (code, facts) in batch.problems.items():
        codes[place], values[place] = code, values_text(facts)
    return codes, values


def keys(batch: Batch, codes: list[str], values: list[str]) -> bytes:
    """Return what tells the rows from others in this dataset."""
    if not codes:
        return b"".join(batch.ids)
    rows = zip(batch.ids, codes, values, strict=True)
    return b"".join(problem_key(*row) if row[1] else row[0] for row in rows)


def flags(batch: Batch) -> "np.ndarray":
    """Return for each row whether it has a problem."""
    import numpy as np

    flags = np.zeros(len(batch), bool)
    flags[list(batch.problems)] = True
    return flags


def first_of_each(keys: "np.ndarray", rows: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """Return the rows to store, in order, and for each given row which of those it is."""
    import numpy as np

    _, first, inverse = np.unique(keys[rows], return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return rows[first[order]], rank[inverse]
