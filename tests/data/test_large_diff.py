"""Differences found in a process of their own."""

from pathlib import Path

import pytest

from easytune.data import large_diff
from easytune.data.stored import Batch, row_id, row_text
from easytune.data.versions.edits import Drop, Replace
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from easytune.dataset_errors import VersionUnknown


def _library(home: Path) -> Library:
    values = [{"text": f"row {place} of forty"} for place in range(40)]
    texts, ids = [row_text(value) for value in values], [row_id(value) for value in values]
    library = Library(home)
    with library.draft(title="Forty", origin=Imported()) as draft:
        draft.add(Batch(texts, ids, ["forty.txt"] * 40, list(range(1, 41))))
        draft.commit()
    library.edit("forty", [Replace(3, row_text({"text": "row 3 of fifty"})), Drop(20)])
    return library


def test_large_versions_differ_as_small_ones_do(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = _library(home)
    near = library.diff(("forty", 1), ("forty", 2))
    monkeypatch.setattr(large_diff, "LARGE", 1)
    monkeypatch.setattr(Library, "diff", None)

    far = large_diff.differences(home, ("forty", 1), ("forty", 2))

    assert (far.changed, far.removed, far.same) == (1, 1, 38)
    assert far.page(None, 0, 10) == near.page(None, 0, 10)


def test_a_version_that_is_not_there_is_told_as_such(home: Path) -> None:
    _library(home)

    with pytest.raises(VersionUnknown):
        large_diff.differences(home, ("forty", 1), ("forty", 9))
