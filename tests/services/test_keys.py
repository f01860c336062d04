"""Keys of the API: secrets that only their hash remembers, gone at once when deleted."""

import sqlite3
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from easytune.services import keys as keys_module
from easytune.services.keys import Keys
from easytune.services.store import FILE, Store


@pytest.fixture
def keys(home: Path) -> Keys:
    """The keys of the test's home."""
    return Keys(Store(home))


def test_a_secret_opens_until_its_key_is_deleted(keys: Keys) -> None:
    key, secret = keys.create("  my\nscript ")
    other, other_secret = keys.create("other")

    before = keys.check(secret)
    keys.delete(key.id)

    assert before == key
    assert key.name == "my script"
    assert keys.check(secret) is None
    found = keys.check(other_secret)
    assert found is not None
    assert found.id == other.id


@pytest.mark.parametrize("secret", ["", "et-", "et-unknown", "密钥", "\ud800", "x" * 100_000])
def test_anything_else_opens_nothing(keys: Keys, secret: str) -> None:
    _, right = keys.create("a")

    assert keys.check(secret) is None
    assert keys.check(right.lower()) is None
    assert keys.check(right[:-1]) is None


def test_the_files_on_disk_hold_no_secret(home: Path, keys: Keys) -> None:
    key, secret = keys.create("a")
    keys.check(secret)

    written = b"".join(file.read_bytes() for file in home.iterdir())

    assert len(secret) > 43
    assert secret.startswith("et-")
    assert key.hint == f"et-…{secret[-4:]}"
    assert key.id.encode() in written
    assert secret.encode() not in written


def test_another_process_on_the_home_sees_keys_come_and_go_within_a_second(
    home: Path, keys: Keys
) -> None:
    elsewhere = Keys(Store(home))
    assert elsewhere.check("et-none") is None
    key, secret = keys.create("a")

    time.sleep(0.6)
    assert elsewhere.check(secret) == key
    keys.delete(key.id)
    time.sleep(0.6)

    assert elsewhere.check(secret) is None


def test_the_last_use_is_noted_once_a_minute(
    home: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, secret = keys.create("a")
    assert keys.list()[0].last_used is None

    keys.check(secret)
    first = keys.list()[0].last_used
    for _ in range(20):
        keys.check(secret)
    again = keys.list()[0].last_used
    monkeypatch.setattr(keys_module, "_NOTED_EVERY", timedelta(0))
    keys.check(secret)
    later = keys.list()[0].last_used

    assert first is not None
    assert datetime.now(UTC) - first < timedelta(seconds=30)
    assert again == first
    assert later is not None
    assert later > first


def test_a_key_works_while_its_use_cannot_be_noted(
    home: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easytune.services.store.BUSY_SECONDS", 0.1)
    key, secret = keys.create("a")
    busy = sqlite3.connect(home / FILE, isolation_level=None)
    busy.execute("BEGIN IMMEDIATE")

    assert keys.check(secret) == key
    busy.close()


def test_checking_a_secret_costs_next_to_nothing(keys: Keys) -> None:
    secrets = [keys.create("a")[1] for _ in range(20)]
    secret = secrets[-1]
    keys.check(secret)

    begun = time.process_time()
    for _ in range(500):
        keys.check(secret)

    assert time.process_time() - begun < 0.25
