"""The database of a home, with real processes, real kills and really damaged files."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from easytune.i18n import t
from easytune.inference_errors import DatabaseUnusable
from easytune.services import store as store_module
from easytune.services.conversations import Conversations, Message
from easytune.services.store import Store

WRITER = """
import sys
from pathlib import Path
from easytune.services.conversations import Conversations, Message
from easytune.services.store import Store

conversations = Conversations(Store(Path(sys.argv[1])))
for number in range(int(sys.argv[2])):
    made = conversations.create(title=f"{sys.argv[3]} {number}")
    conversations.append(made.id, Message("user", "question"), Message("assistant", "answer"))
    print(made.id, flush=True)
"""


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    """A store on the test's home."""
    made = Store(home)
    yield made
    made.close()


@pytest.fixture
def conversations(store: Store) -> Conversations:
    """The conversations of that store."""
    return Conversations(store)


def _writer(home: Path, rows: int, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WRITER, str(home), str(rows), name]
    pipes = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipes, stderr=pipes, text=True)


def _damage(path: Path, start: int, end: int) -> None:
    content = bytearray(path.read_bytes())
    content[start:end] = os.urandom(min(end, len(content)) - start)
    path.write_bytes(content)


def test_processes_that_write_at_once_lose_nothing_and_never_meet_a_lock(home: Path) -> None:
    writers = [_writer(home, 25, f"writer {number}") for number in range(4)]

    results = [(*writer.communicate(timeout=120), writer.returncode) for writer in writers]

    assert [(error, code) for _, error, code in results] == [("", 0)] * 4
    acknowledged = {id for output, _, _ in results for id in output.split()}
    kept = Conversations(Store(home)).list(limit=1000)
    assert {each.id for each in kept} == acknowledged
    assert len(kept) == 100
    assert {each.messages for each in kept} == {2}


def test_threads_that_write_at_once_lose_nothing(conversations: Conversations) -> None:
    made = conversations.create()

    with ThreadPoolExecutor(16) as threads:
        said = [Message("user", str(number)) for number in range(160)]
        list(threads.map(lambda message: conversations.append(made.id, message), said))

    kept = conversations.get(made.id).messages
    assert sorted(int(message.content) for message in kept) == list(range(160))


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_what_was_acknowledged_survives_a_kill(home: Path) -> None:
    acknowledged: list[str] = []
    for rows in (1, 7, 20):
        writer = _writer(home, 10_000, "killed")
        assert writer.stdout is not None
        acknowledged += [writer.stdout.readline().strip() for _ in range(rows)]
        writer.send_signal(signal.SIGKILL)
        acknowledged += [line.strip() for line in writer.stdout if line.endswith("\n")]
        writer.wait()
        writer.communicate()

    kept = {each.id: each for each in Conversations(Store(home)).list(limit=100_000)}
    assert len(acknowledged) >= 28
    assert all(kept[id].messages == 2 for id in acknowledged)
    # At most the one that each writer was at is there without having been acknowledged.
    assert len(kept) - len(acknowledged) <= 3
    with sqlite3.connect(home / store_module.FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_write_that_raises_leaves_nothing_behind(store: Store) -> None:
    conversations = Conversations(store)
    kept = conversations.create(title="kept")

    def fail() -> None:
        with store.write() as session:
            session.connection().exec_driver_sql("DELETE FROM conversation")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert [each.id for each in conversations.list()] == [kept.id]


@pytest.mark.parametrize(
    ("start", "end"), [(0, 100), (100, 10**9), (0, 10**9)], ids=["header", "pages", "everything"]
)
def test_a_damaged_database_is_named_and_left_alone(home: Path, start: int, end: int) -> None:
    before = Store(home)
    Conversations(before).create(title="before")
    before.close()
    path = home / store_module.FILE
    _damage(path, start, end)
    damaged = path.read_bytes()

    with pytest.raises(DatabaseUnusable) as caught:
        Conversations(Store(home)).list()

    assert caught.value.values == {"path": str(path), "reason": "@stored.database.damaged"}
    assert "is damaged, or is no database" in t(
        "error.database_unusable", "en", **caught.value.values
    )
    assert path.read_bytes() == damaged


def test_a_damaged_database_can_be_moved_away_while_the_app_runs(
    home: Path, conversations: Conversations
) -> None:
    path = home / store_module.FILE
    path.write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(DatabaseUnusable):
        conversations.list()

    path.rename(home / "damaged.db")

    made = conversations.create(title="a new start")
    assert [each.id for each in conversations.list()] == [made.id]


def test_a_copy_that_is_put_back_is_seen_at_once(home: Path, conversations: Conversations) -> None:
    old = conversations.create(title="in the copy")
    with sqlite3.connect(home / store_module.FILE) as connection:
        connection.execute("VACUUM INTO ?", [str(home / "copy.db")])
    conversations.create(title="after the copy")

    for ending in ("-wal", "-shm"):
        (home / f"{store_module.FILE}{ending}").unlink(missing_ok=True)
    shutil.move(home / "copy.db", home / store_module.FILE)

    assert [each.id for each in conversations.list()] == [old.id]


def test_a_database_of_a_newer_version_is_refused_and_not_touched(
    home: Path, conversations: Conversations, store: Store
) -> None:
    conversations.create(title="from the future")
    store.close()
    with sqlite3.connect(home / store_module.FILE) as connection:
        connection.execute("PRAGMA user_version=9999")

    with pytest.raises(DatabaseUnusable) as caught:
        conversations.list()

    assert caught.value.reason == "@stored.database.newer"
    with sqlite3.connect(home / store_module.FILE) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (9999,)


def test_a_folder_in_the_place_of_the_database_is_reported(home: Path) -> None:
    (home / store_module.FILE).mkdir()

    with pytest.raises(DatabaseUnusable) as caught:
        Conversations(Store(home)).create()

    assert caught.value.reason == "@stored.database.cannot_open"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_database_is_reported(home: Path, conversations: Conversations) -> None:
    conversations.create()
    (home / store_module.FILE).chmod(0o444)

    with pytest.raises(DatabaseUnusable) as caught:
        Conversations(Store(home)).create()

    assert caught.value.reason == "@stored.database.read_only"


def test_a_lock_that_is_never_let_go_is_reported(
    home: Path, conversations: Conversations, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.3)
    kept = conversations.create()
    other = sqlite3.connect(home / store_module.FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(DatabaseUnusable) as caught:
        conversations.create()
    readable = conversations.list()
    other.execute("ROLLBACK")
    other.close()

    assert caught.value.reason == "@stored.database.locked"
    assert [each.id for each in readable] == [kept.id]
    assert conversations.create()


def test_a_full_disk_is_reported_and_nothing_half_is_kept(
    conversations: Conversations, store: Store
) -> None:
    made = conversations.create()
    with store.write() as session:
        # SQLite's own limit of a file raises what a full disk raises.
        session.connection().exec_driver_sql("PRAGMA max_page_count=1")

    with pytest.raises(DatabaseUnusable) as caught:
        conversations.append(made.id, Message("user", "long " * 100_000))

    assert caught.value.reason == "@stored.database.full"
    assert conversations.get(made.id).messages == ()


def test_the_services_start_without_the_packages_of_the_database(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; import easytune.metrics\n"
        "from easytune.services import conversations, keys, presets, prompts, store\n"
        "made = store.Store(Path(sys.argv[1]))\n"
        "conversations.Conversations(made), keys.Keys(made)\n"
        "print([name for name in ('sqlalchemy', 'sacrebleu', 'duckdb') if name in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code, str(home)], capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == "[]"
