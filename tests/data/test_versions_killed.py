import hashlib
import itertools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from easytune.data.stored import row_text
from easytune.data.versions.edits import Drop
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from tests.conftest import ROOT
from tests.data.killed_writer import OPERATIONS
from tests.data.stored_rows import batch, make, texts, value
from tests.patience import PATIENCE_S, eventually

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills children with signals")

_APPEND = """
import sys
from pathlib import Path
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from tests.data.stored_rows import batch, value
library = Library(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(5):
    with library.draft(dataset="house-style", origin=Imported(mode="append")) as draft:
        draft.keep_current()
        draft.add(batch([value(f"{sys.argv[2]} {number}")]))
        draft.commit()
"""
_ENDLESS = """
import itertools, sys
from pathlib import Path
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from tests.data.stored_rows import batch, value
with Library(Path(sys.argv[1])).draft(title="Endless", origin=Imported()) as draft:
    for number in itertools.count():
        draft.add(batch([value(f"{number} {row}") for row in range(2000)]))
"""
_NO_ROOM = """
import resource, signal, sys
from pathlib import Path
from easytune.data.versions.library import Library
from easytune.dataset_errors import StorageFull
from tests.data.killed_writer import append, create
library = Library(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for limit in range(0, 4000, 100):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for operation in (append, create):
        try:
            operation(library)
        except StorageFull as error:
            print(limit, operation.__name__)
        else:
            sys.exit()
"""


def python(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, text=True, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )  # fmt: skip


def check_whole(library: Library) -> None:
    """Look at every version there is, and at every file: nothing half-done, nothing left over."""
    for dataset in library.list():
        folder = library.folder / dataset.id
        versions = library.versions(dataset.id)
        for version in versions:
            rows = library.open(dataset.id, version.number)
            ids = b"".join(i + b"\0" for part in rows.batches() for i in part.ids)
            assert version.fingerprint == hashlib.sha256(ids).hexdigest()
        needed = {segment for version in versions for segment in version.segments}
        assert {file.stem for file in (folder / "rows").iterdir()} == needed
        assert {f.stem for f in (folder / "orders").iterdir()} == {v.order for v in versions}
        assert not list(folder.rglob(".*"))
    assert {path.name for path in library.folder.iterdir()} - {"lock"} == {
        dataset.id for dataset in library.list()
    }


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_kill_at_any_point_leaves_all_or_nothing(tmp_path: Path, operation: str) -> None:
    library = Library(tmp_path / "home")
    make(library, [value(str(number)) for number in range(20)])
    library.edit("house-style", [Drop(0)])
    before = texts(library, "house-style")
    copies = tmp_path / "copies"
    copies.mkdir()
    writer = ["-m", "tests.data.killed_writer", operation, str(tmp_path / "home"), str(copies)]
    assert python(*writer).wait(PATIENCE_S) == 0
    homes = sorted(copies.iterdir())
    # Enough points for the last of them to be after the deed.
    assert len(homes) > 5
    seen = []
    for home in homes:
        killed = Library(home)
        datasets = {facts.id for facts in killed.list()}
        state = [(v.number, v.rows) for v in killed.versions("house-style")], datasets
        killed.sweep()
        check_whole(killed)
        assert [(v.number, v.rows) for v in killed.versions("house-style")] == state[0]
        assert texts(killed, "house-style", 1)[1:] == before
        seen.append(state)
    # What was there, then what was wanted; nothing between, and never back.
    changes = [after for earlier, after in itertools.pairwise(seen) if after != earlier]
    assert len(changes) == 1
    library.sweep()
    OPERATIONS[operation](Library(homes[0]))
    assert {facts.id for facts in Library(homes[0]).list()} == seen[-1][1]
    assert len(Library(homes[0]).versions("house-style")) == len(seen[-1][0])


def test_two_who_append_at_once_both_find_their_rows(tmp_path: Path) -> None:
    library = Library(tmp_path)
    make(library, [value("first")])
    writers = [python("-c", _APPEND, str(tmp_path), name) for name in ("ann", "bob")]
    for writer in writers:
        assert writer.stdout
        writer.stdout.readline()
    for writer in writers:
        writer.communicate("go\n", timeout=PATIENCE_S)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [v.number for v in library.versions("house-style")] == list(range(11, 0, -1))
    wanted = [value(f"{name} {number}") for name in ("ann", "bob") for number in range(5)]
    assert sorted(texts(library, "house-style")) == sorted(map(row_text, [value("first"), *wanted]))
    check_whole(library)


def test_an_import_that_is_killed_leaves_nothing_and_a_living_one_is_let_alone(
    tmp_path: Path,
) -> None:
    library = Library(tmp_path)
    writer = python("-c", _ENDLESS, str(tmp_path))
    written = lambda: [f for f in tmp_path.rglob("rows.parquet") if f.stat().st_size]  # noqa: E731
    eventually(written)
    library.sweep()
    assert written()
    assert library.list() == []
    os.kill(writer.pid, signal.SIGKILL)
    writer.wait()
    library.sweep()
    assert not list(tmp_path.rglob("*.parquet"))
    check_whole(library)


def test_a_disk_that_fills_up_at_any_point_leaves_nothing(tmp_path: Path) -> None:
    library = Library(tmp_path)
    make(library, [value("a")])
    writer = python("-c", _NO_ROOM, str(tmp_path))
    said = writer.communicate(timeout=PATIENCE_S)[0].splitlines()
    assert writer.returncode == 0
    # It was full while the rows were written, and later while the manifest was.
    assert len(said) > 10
    assert len(library.versions("house-style")) == 2
    assert library.version("house-style").rows == 51
    assert [facts.id for facts in library.list()] == ["house-style"]
    library.sweep()
    check_whole(library)


def test_rows_that_a_draft_builds_on_are_not_removed_under_it(tmp_path: Path) -> None:
    library = Library(tmp_path)
    make(library, [value("a"), value("b")])
    library.edit("house-style", [Drop(1)])
    with library.draft(dataset="house-style", origin=Imported(mode="append"), parent=1) as draft:
        draft.keep(1, 1)
        draft.add(batch([value("c")]))
        library.delete_version("house-style", 2)
        library.edit("house-style", [Drop(0)])
        library.delete_version("house-style", 1)
        made = draft.commit()
    assert texts(library, "house-style", made.number) == [
        row_text(value("b")),
        row_text(value("c")),
    ]
    library.sweep()
    check_whole(library)
