"""Rows in tokens, kept on disk: the next run on the same rows need not make them again.

Kept by content: the rows themselves, the tokenizer with its template, the options of the data and
the code that makes tokens. What does not match its checksum is made anew.
"""

import contextlib
import datetime
import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import orjson
import xxhash

from easytune.config import DataSection
from easytune.data import answer_spans, chat_template, encoding
from easytune.data.encoding import EncodedSet, Example
from easytune.data.rows import Problem, Row
from easytune.data.tokenizer import ModelTokenizer

LEAST_ROWS = 200
"""Fewer rows are in tokens before a file is open."""
LARGEST_GB = 4.0
"""What all of it may take on disk; the longest unused goes first."""
_GB = 1e9
_ARRAYS = {"ids": np.int32, "trained": np.bool_, "kept": np.int32, "full": np.int32}
_FACTS = "facts"


class Encodes(Protocol):
    """Turns rows into examples: `encoding.Encoder`."""

    def encode(self, rows: Sequence[Row]) -> EncodedSet:
        """Return the examples of all rows, in order; rows that repeat are encoded once."""
        ...


class TokenCache:
    """What is kept of one tokenizer under one set of options."""

    def __init__(
        self,
        folder: Path,
        tokenizer: ModelTokenizer,
        options: DataSection,
        largest_gb: float = LARGEST_GB,
    ) -> None:
        """Keep at most `largest_gb` below `folder`."""
        self._folder = folder
        self._tokenizer, self._options = tokenizer, options
        self._largest = largest_gb * _GB

    def encode(self, encoder: Encodes, rows: Sequence[Row]) -> EncodedSet:
        """Return the rows in tokens as `encoder` makes them, or as it has made them before."""
        if len(rows) < LEAST_ROWS:
            return encoder.encode(rows)
        place = self._folder / self._key(rows)
        found = _read(place, rows)
        if found is None:
            found = encoder.encode(rows)
            # A full disk costs the next run some seconds, not this one.
            with contextlib.suppress(OSError):
                _write(place, rows, found)
                self._make_room(place)
        return found

    def _key(self, rows: Sequence[Row]) -> str:
        tokenizer = self._tokenizer
        told = xxhash.xxh3_128()
        facts = [
            tokenizer.template.source, tokenizer.template_source, tokenizer.special_tokens,
            sorted(tokenizer.eos_ids), tokenizer.eos_id, self._options.model_dump(mode="json"),
            version("tokenizers"), version("jinja2"), _code(),
            # A template may write the date.
            str(datetime.date.today()) if "strftime_now" in tokenizer.template.source else "",
        ]  # fmt: skip
        told.update(orjson.dumps(facts))
        told.update(tokenizer.backend.to_str().encode())
        places: dict[int, int] = {}
        for row in rows:
            # A row that repeats is told as the place where it came first.
            known = places.get(id(row))
            told.update((orjson.dumps(row) if known is None else b"%d" % known) + b"\n")
            places.setdefault(id(row), len(places))
        return told.hexdigest()

    def _make_room(self, newest: Path) -> None:
        places = [path for path in self._folder.iterdir() if path.is_dir() and path != newest]
        left = self._largest - _size(newest)
        for path in sorted(places, key=lambda path: path.stat().st_mtime, reverse=True):
            left -= _size(path)
            if left < 0:
                shutil.rmtree(path, ignore_errors=True)


def _read(place: Path, rows: Sequence[Row]) -> EncodedSet | None:
    """Return what was kept; None when there is nothing, or not what was written."""
    try:
        told, _, content = (place / _FACTS).read_bytes().partition(b"\n")
        if told.decode() != xxhash.xxh3_64_hexdigest(content):
            return None
        facts = orjson.loads(content)
        arrays = {name: np.load(place / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        if facts["sums"] != _sums(arrays):
            return None
        found = _assembled(arrays, facts, rows)
        os.utime(place)
    except (OSError, ValueError, KeyError, TypeError, IndexError, EOFError):
        return None
    return found


def _assembled(
    arrays: dict[str, np.ndarray], facts: dict[str, Any], rows: Sequence[Row]
) -> EncodedSet:
    # A plain array of the same memory: every piece of a memmap would be one too, which is slow.
    ids, trained = (arrays[name].view(np.ndarray) for name in ("ids", "trained"))
    kept, full = (arrays[name].tolist() for name in ("kept", "full"))
    problems = iter([Problem(**problem) for problem in facts["problems"]])
    outcomes: dict[int, Example | Problem] = {}
    start = 0
    for row, length, whole in zip(_distinct(rows), kept, full, strict=True):
        if length:
            piece = slice(start, start + length)
            outcomes[id(row)] = Example(ids[piece], trained[piece], whole, row)
            start += length
        else:
            outcomes[id(row)] = next(problems)
    everything = [outcomes[id(row)] for row in rows]
    return EncodedSet(
        examples=[each for each in everything if isinstance(each, Example)],
        dropped=[each for each in everything if isinstance(each, Problem)],
        truncated=facts["truncated"],
        notices=[(code, values) for code, values in facts["notices"]],
    )


def _write(place: Path, rows: Sequence[Row], made: EncodedSet) -> None:
    """Keep what was made, all of it or nothing."""
    examples = {id(example.row): example for example in made.examples}
    dropped = iter(made.dropped)
    problems: dict[int, Problem] = {}
    for row in rows:
        if id(row) not in examples:
            problems[id(row)] = next(dropped)
    found = [examples.get(id(row)) for row in _distinct(rows)]
    whole = [example for example in found if example]
    arrays = {
        "ids": np.concatenate([np.empty(0, np.int32), *(each.input_ids for each in whole)]),
        "trained": np.concatenate([np.empty(0, np.bool_), *(each.trained for each in whole)]),
        "kept": np.array([len(each.input_ids) if each else 0 for each in found], np.int32),
        "full": np.array([each.full_length if each else 0 for each in found], np.int32),
    }
    facts = {
        "sums": _sums(arrays),
        "problems": list(problems.values()),
        "truncated": made.truncated,
        "notices": made.notices,
    }
    draft = place.with_name(f".{place.name}.{os.getpid()}")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        for name, array in arrays.items():
            np.save(draft / f"{name}.npy", array)
        content = orjson.dumps(facts)
        checked = xxhash.xxh3_64_hexdigest(content).encode() + b"\n" + content
        (draft / _FACTS).write_bytes(checked)
        shutil.rmtree(place, ignore_errors=True)
        draft.rename(place)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _distinct(rows: Sequence[Row]) -> list[Row]:
    return list({id(row): row for row in rows}.values())


def _sums(arrays: dict[str, np.ndarray]) -> dict[str, str]:
    return {
        name: f"{array.dtype}{array.shape} {xxhash.xxh3_64_hexdigest(array.data)}"
        for name, array in arrays.items()
    }


def _code() -> str:
    """Return what changes with the code that makes tokens."""
    told = xxhash.xxh3_64()
    for module in (encoding, answer_spans, chat_template):
        told.update(Path(module.__file__ or "").read_bytes())
    return told.hexdigest()


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir())
