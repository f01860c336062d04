"""What is copied into a quarantine, and what is not."""

import shutil
from pathlib import Path

import pytest

from easytune.dataset_errors import StorageFull
from easytune.inspecting import listing
from easytune.services.quarantine import Quarantine
from tests.inspecting import sound


def _claiming(path: Path, size: int) -> None:
    """Write a file that claims a size and takes no room."""
    with path.open("wb") as file:
        file.truncate(size)


def test_files_that_only_claim_their_size_are_noted_and_not_copied(tmp_path: Path) -> None:
    adapter = sound.make(tmp_path / "adapter")
    _claiming(adapter / sound.WEIGHTS, 2**40)
    _claiming(adapter / "README.md", listing.LARGEST_TEXT + 1)

    folder, _, found = Quarantine(tmp_path / "home").take_in([adapter])
    single, _, also = Quarantine(tmp_path / "home").take_in([adapter / sound.WEIGHTS])

    assert {(one.code, one.file) for one in found} == {
        ("file_hollow", sound.WEIGHTS), ("text_large", "README.md")
    }  # fmt: skip
    assert [path.name for path in (folder / "model").iterdir()] == [sound.CONFIG]
    assert [one.code for one in also] == ["file_hollow"]
    assert list((single / "model").iterdir()) == []


def test_what_does_not_fit_on_the_disk_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = sound.make(tmp_path / "adapter")
    room = shutil.disk_usage(tmp_path)._replace(free=1_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room)

    with pytest.raises(StorageFull):
        Quarantine(tmp_path / "home").take_in([adapter])

    assert list((tmp_path / "home" / "imports").iterdir()) == []
