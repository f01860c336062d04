"""What is deleted can be put back, whole, and is gone for good only when the trash is emptied."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from easytune import paths
from easytune.registry_errors import TrashMissing, TrashPlaceTaken
from easytune.services import trash as trash_module
from easytune.services.trash import Trash


def _folder(home: Path, name: str = "mine", letters: int = 1000) -> Path:
    folder = paths.runs(home) / name
    folder.mkdir(parents=True)
    (folder / "weights").write_text("x" * letters)
    return folder


def test_a_deleted_folder_lies_in_the_trash_with_its_size_and_origin(home: Path) -> None:
    folder = _folder(home)

    item = Trash(home).throw(folder, "run", "house-style:v1", "ann", "run:mine")

    assert not folder.exists()
    (found,) = Trash(home).list()
    assert (found.id, found.title, found.who, found.bytes) == (item, "house-style:v1", "ann", 1000)
    assert found.origin == str(folder)


def test_a_restored_folder_is_where_it_was_with_all_its_files(home: Path) -> None:
    folder = _folder(home)
    item = Trash(home).throw(folder, "run", "mine")

    Trash(home).restore(item)

    assert (folder / "weights").read_text() == "x" * 1000
    assert Trash(home).list() == []


def test_nothing_is_restored_over_something_else(home: Path) -> None:
    folder = _folder(home)
    item = Trash(home).throw(folder, "run", "mine")
    folder.mkdir()
    (folder / "other").touch()

    with pytest.raises(TrashPlaceTaken):
        Trash(home).restore(item)

    assert [one.id for one in Trash(home).list()] == [item]
    assert [path.name for path in folder.iterdir()] == ["other"]


def test_the_trash_is_emptied_one_by_one_or_whole(home: Path) -> None:
    trash = Trash(home)
    items = [trash.throw(_folder(home, f"run-{n}"), "run", f"run-{n}") for n in range(3)]

    assert trash.empty(items[0]) == 1000
    assert {one.id for one in trash.list()} == set(items[1:])
    assert trash.empty() == 2000
    assert list(paths.trash(home).iterdir()) == []


@pytest.mark.parametrize("item", ["../runs", "", ".", "20260101-000000-abcdef01"])
def test_what_is_no_item_of_the_trash_is_refused(home: Path, item: str) -> None:
    folder = _folder(home)

    with pytest.raises(TrashMissing):
        Trash(home).restore(item)
    with pytest.raises(TrashMissing):
        Trash(home).empty(item)

    assert folder.exists()


def test_a_folder_on_another_disk_is_hidden_where_it_is(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, rename = _folder(home), Path.rename

    def refuse(path: Path, target: Path) -> Path:
        if target.name == "content":
            raise OSError(trash_module.errno.EXDEV, "cross-device link")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse)
    item = Trash(home).throw(folder, "run", "mine")
    assert not folder.exists()
    Trash(home).restore(item)
    assert (folder / "weights").exists()
    item = Trash(home).throw(folder, "run", "mine")
    assert Trash(home).empty(item) == 1000
    assert [path.name for path in folder.parent.iterdir()] == []


def test_a_kill_leaves_a_folder_whole_in_one_of_its_two_places(home: Path) -> None:
    """A process throws and restores without end; whenever it is killed, nothing is halved."""
    folder = _folder(home)
    loop = (
        "import sys\nfrom pathlib import Path\nfrom easytune.services.trash import Trash\n"
        "trash, folder = Trash(Path(sys.argv[1])), Path(sys.argv[2])\n"
        "while True:\n    trash.restore(trash.throw(folder, 'run', 'mine'))\n"
    )
    for wait_s in (0.4, 0.7):
        child = subprocess.Popen([sys.executable, "-c", loop, str(home), str(folder)])
        time.sleep(wait_s)
        child.send_signal(signal.SIGKILL)
        child.wait()
        if not folder.exists():
            (found,) = Trash(home).list()
            Trash(home).restore(found.id)
        assert (folder / "weights").stat().st_size == 1000


def test_what_a_killed_emptying_left_is_swept_away(home: Path) -> None:
    trash = Trash(home)
    item = trash.throw(_folder(home), "run", "mine")
    (paths.trash(home) / item).rename(paths.trash(home) / f".gone-{item}")
    begun = paths.trash(home) / "20260101-000000-abcdef01"
    begun.mkdir()
    os.utime(begun, (0, 0))

    assert trash.list() == []
    assert list(paths.trash(home).iterdir()) == []
