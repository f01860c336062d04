"""Tokens that were kept are those that would be made, or they are made anew."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from easytune import demo
from easytune.config import DataSection
from easytune.data import token_cache, tokenizer
from easytune.data.encoding import EncodedSet, Encoder
from easytune.data.rows import Message, Row
from easytune.data.token_cache import TokenCache


class Counting:
    """An encoder that counts how often it works."""

    def __init__(self, options: DataSection) -> None:
        self._encoder = Encoder(tokenizer.load(demo.MODEL), options)
        self.times = 0

    def encode(self, rows: Sequence[Row]) -> EncodedSet:
        self.times += 1
        return self._encoder.encode(rows)


@pytest.fixture(autouse=True)
def few_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_cache, "LEAST_ROWS", 1)


@pytest.fixture
def rows() -> list[Row]:
    """Rows of which one repeats, one is cut, one has nothing to learn left and one is empty."""
    found = [
        Row(number, "a", (Message("user", f"How much is {number}?"), Message("assistant", answer)))
        for number, answer in enumerate(["It is one.", "Two.", "It is " + "very " * 40], start=1)
    ]
    long = Row(4, "a", (Message("user", "why " * 80), Message("assistant", "So.")))
    return [*found, long, found[0]]


OPTIONS = DataSection(max_length=32)


def cache(folder: Path, options: DataSection = OPTIONS, **more: Any) -> TokenCache:
    return TokenCache(folder, tokenizer.load(demo.MODEL), options, **more)


def plain(made: EncodedSet) -> list[object]:
    """Return everything about a set in a form that can be compared."""
    examples = [
        (e.input_ids.tolist(), e.trained.tolist(), e.full_length, e.row) for e in made.examples
    ]
    types = {(e.input_ids.dtype, e.trained.dtype, type(e.input_ids)) for e in made.examples}
    return [examples, types, made.dropped, made.truncated, made.notices]


def test_what_was_kept_is_what_would_be_made(tmp_path: Path, rows: list[Row]) -> None:
    encoder = Counting(OPTIONS)
    made = cache(tmp_path).encode(encoder, rows)
    again = cache(tmp_path).encode(encoder, rows)
    assert encoder.times == 1
    assert plain(again) == plain(made) == plain(encoder.encode(rows))
    assert made.truncated == 1
    assert [problem.code for problem in again.dropped] == ["truncated_away"]
    assert again.examples[-1].row is rows[0]


def test_other_rows_options_or_templates_are_not_taken_for_these(
    tmp_path: Path, rows: list[Row]
) -> None:
    encoder = Counting(OPTIONS)
    kept = cache(tmp_path)
    kept.encode(encoder, rows)
    kept.encode(encoder, [replace(rows[0], text=None, number=9), *rows[1:]])
    kept.encode(encoder, rows[:-1])
    kept.encode(encoder, [*rows[:-1], replace(rows[0])])
    cache(tmp_path, DataSection(max_length=33)).encode(encoder, rows)
    other = tokenizer.load(demo.MODEL)
    other.template.source += " "
    TokenCache(tmp_path, other, OPTIONS).encode(encoder, rows)
    assert encoder.times == 6


@pytest.mark.parametrize("name", ["ids.npy", "trained.npy", "kept.npy", "facts"])
@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "empty"])
def test_damaged_tokens_are_made_anew(
    tmp_path: Path, rows: list[Row], name: str, damage: str
) -> None:
    encoder = Counting(OPTIONS)
    made = cache(tmp_path).encode(encoder, rows)
    (place,) = tmp_path.iterdir()
    content = bytearray((place / name).read_bytes())
    content[-1] ^= 1
    match damage:
        case "cut":
            (place / name).write_bytes(content[:-3])
        case "flipped":
            (place / name).write_bytes(content)
        case "missing":
            (place / name).unlink()
        case _:
            (place / name).write_bytes(b"")
    assert plain(cache(tmp_path).encode(encoder, rows)) == plain(made)
    assert encoder.times == 2
    cache(tmp_path).encode(encoder, rows)
    assert encoder.times == 2


def test_the_longest_unused_goes_when_there_is_too_much(tmp_path: Path, rows: list[Row]) -> None:
    encoder = Counting(OPTIONS)
    for count in (3, 2, 1):
        cache(tmp_path, largest_gb=2000e-9).encode(encoder, rows[:count])
    assert len(list(tmp_path.iterdir())) < 3
    cache(tmp_path).encode(encoder, rows[:1])
    assert encoder.times == 3


def test_where_nothing_can_be_written_tokens_are_made_each_time(
    tmp_path: Path, rows: list[Row]
) -> None:
    (tmp_path / "file").touch()
    encoder = Counting(OPTIONS)
    made = cache(tmp_path / "file").encode(encoder, rows)
    assert len(made.examples) == 4
    assert np.array_equal(made.examples[0].input_ids, made.examples[-1].input_ids)
