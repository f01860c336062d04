"""Rows changed by hand: what can be asked, and how it becomes a new version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from easytune.data import formats
from easytune.data.formats import Layout
from easytune.data.rows import Problem
from easytune.data.stored import Batch, StoredRow, parse, row_id, row_text
from easytune.data.versions.draft import Draft
from easytune.data.versions.manifest import Edited
from easytune.data.versions.rows import Rows
from easytune.dataset_errors import RowUnfit, RowUnknown

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Replace:
    """Put this JSON in the place of a row."""

    position: int
    text: str


@dataclass(frozen=True)
class Drop:
    """Take a row out."""

    position: int


@dataclass(frozen=True)
class Insert:
    """Put a new row before the one at `position`; the number of rows means at the end."""

    position: int
    text: str


Edit = Replace | Drop | Insert


def apply(edits: Sequence[Edit], rows: Rows, draft: Draft) -> None:
    """Put the changed version into a draft whose parent it is; all positions are those of `rows`.

    A new row is read as its neighbour is. Of several changes of one row the last counts. Raises
    RowUnfit, RowUnknown.
    """
    last = {edit.position: edit for edit in edits if not isinstance(edit, Insert)}
    inserts = [edit for edit in edits if isinstance(edit, Insert)]
    ordered = sorted([*inserts, *last.values()], key=_by_place)
    _check_places(ordered, rows)
    neighbours = _neighbours(ordered, rows)
    done = 0
    for edit in ordered:
        draft.keep(done, edit.position - done)
        done = edit.position
        if not isinstance(edit, Insert):
            done += 1
        if not isinstance(edit, Drop):
            draft.add(_mended(edit, neighbours[edit.position], rows.facts.layouts))
    draft.keep(done, len(rows) - done)
    counts = {kind: sum(isinstance(edit, kind) for edit in ordered) for kind in (Replace, Drop)}
    draft.origin = Edited(replaced=counts[Replace], dropped=counts[Drop], added=len(inserts))


def keep_only(wanted: "np.ndarray", draft: Draft) -> None:
    """Put the rows of the parent for which `wanted` is true into a draft."""
    import numpy as np

    edges = np.flatnonzero(np.diff(np.concatenate([[False], wanted, [False]])))
    for first, end in edges.reshape(-1, 2).tolist():
        draft.keep(first, end - first)


def checked(text: str, layout: Layout | None) -> Any:
    """Return the content of a row typed by hand. Raises RowUnfit when it cannot be learned from."""
    try:
        value = parse(text)
    except ValueError as error:
        raise RowUnfit("@data.reason.bad_json") from error
    if layout is None or layout.format is None:
        return value
    match formats.convert(value, 1, "", layout):
        case Problem(code=code, values=values):
            field = values.get("field")
            raise RowUnfit(f"@data.reason.{code}" + (f" ({field})" if field else ""))
    return value


def _by_place(edit: Edit) -> tuple[int, bool]:
    return edit.position, not isinstance(edit, Insert)


def _check_places(edits: Sequence[Edit], rows: Rows) -> None:
    for edit in edits:
        end = len(rows) + isinstance(edit, Insert)
        if not 0 <= edit.position < end:
            raise RowUnknown(rows.facts.dataset, edit.position, len(rows))


def _neighbours(edits: Sequence[Edit], rows: Rows) -> dict[int, StoredRow]:
    """Return the rows at which something is put in, read in one go; past the end, the last."""
    places = sorted({edit.position for edit in edits if not isinstance(edit, Drop)})
    found = rows.at([min(place, len(rows) - 1) for place in places])
    return dict(zip(places, found, strict=True))


def _mended(edit: Replace | Insert, old: StoredRow, layouts: Mapping[str, Layout]) -> Batch:
    value = checked(edit.text, layouts.get(old.source))
    replaces = isinstance(edit, Replace)
    return Batch(
        texts=[row_text(value)],
        ids=[row_id(value)],
        sources=[old.source],
        numbers=[old.number if replaces else 0],
        held_out=[old.held_out if replaces else False],
    )
