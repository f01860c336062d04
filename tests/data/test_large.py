"""Large versions changed and compared in a process of their own."""

import time
from pathlib import Path

import psutil
import pytest

from easytune.data import apart, large
from easytune.data.large import LargeLibrary
from easytune.data.stored import Batch, row_id, row_text
from easytune.data.versions import diff
from easytune.data.versions.edits import Drop, Replace
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from easytune.dataset_errors import RowUnknown, TaskCancelled

CHANGES = [Replace(3, row_text({"text": "row 3 of fifty"})), Drop(20)]


@pytest.fixture
def library(home: Path, monkeypatch: pytest.MonkeyPatch) -> LargeLibrary:
    """Return a library with a version of forty rows, for which that is a lot."""
    monkeypatch.setattr(large, "LARGE", 1)
    values = [{"text": f"row {place} of forty"} for place in range(40)]
    texts, ids = [row_text(value) for value in values], [row_id(value) for value in values]
    library = LargeLibrary(home)
    with library.draft(title="Forty", origin=Imported()) as draft:
        draft.add(Batch(texts, ids, ["forty.txt"] * 40, list(range(1, 41))))
        draft.commit()
    return library


def test_large_versions_are_changed_and_differ_as_small_ones_do(
    library: LargeLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Library(library.home)
    with monkeypatch.context() as patch:
        # Nothing of it happens in this process.
        patch.setattr(Library, "draft", None)
        patch.setattr(diff, "_differences", None)
        made = library.edit("forty", CHANGES, author="Ann", note="two rows")
        far = library.diff(("forty", 1), ("forty", 2))

    assert made == here.version("forty", 2)
    assert (made.rows, made.author, made.note) == (39, "Ann", "two rows")
    assert (far.changed, far.removed, far.same) == (1, 1, 38)
    near = here.diff(("forty", 1), ("forty", 2))
    assert far.page(None, 0, 10) == near.page(None, 0, 10)


def test_problems_are_told_as_where_they_arose(library: LargeLibrary) -> None:
    with pytest.raises(RowUnknown) as unknown:
        library.edit("forty", [Drop(99)])

    assert unknown.value.values == {"dataset": "forty", "position": 99, "rows": 40}


def test_a_comparison_that_is_called_off_ends_its_process(library: LargeLibrary) -> None:
    library.edit("forty", CHANGES)
    before = set(psutil.Process().children())

    def call_off() -> None:
        raise TaskCancelled("")

    with pytest.raises(TaskCancelled):
        apart.watched(call_off, time.sleep, 60)

    assert set(psutil.Process().children()) <= before
    assert library.diff(("forty", 1), ("forty", 2)).removed == 1
