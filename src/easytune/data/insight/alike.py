"""Rows that say nearly the same: what leaks and near duplicates are found by."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from easytune.data.formats import Layout
from easytune.data.insight.row_facts import spoken
from easytune.data.progress import Progress, silent
from easytune.data.steps import minhash
from easytune.data.stored import StoredRow
from easytune.data.versions.rows import Rows

_CHECKED_AT_ONCE = 2_000


@dataclass(frozen=True)
class Side:
    """A version, or only its rows to learn from or its held-out ones."""

    rows: Rows
    part: Literal["train", "held_out"] | None = None

    def texts(self) -> Iterator[tuple[int, str]]:
        """Yield the position of each usable row and all that is asked and answered in it."""
        position = 0
        for batch in self.rows.batches():
            for place in range(len(batch)):
                held_out = bool(batch.held_out) and batch.held_out[place]
                wanted = self.part is None or (self.part == "held_out") == held_out
                if wanted and place not in batch.problems:
                    row = StoredRow(position, batch.texts[place], batch.sources[place], 0)
                    text = self._text(row)
                    if text.strip():
                        yield position, text
                position += 1

    def texts_at(self, positions: Sequence[int]) -> dict[int, str]:
        """Return the texts of some rows by their position."""
        wanted = sorted(set(positions))
        return {row.position: self._text(row) for row in self.rows.at(wanted)}

    def _text(self, row: StoredRow) -> str:
        return spoken(row.value, self.rows.facts.layouts.get(row.source, Layout()))


@dataclass(frozen=True)
class Signed:
    """The texts of a side as numbers: position, digest of the exact words, MinHash signature."""

    positions: np.ndarray
    digests: np.ndarray
    signatures: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Pair:
    """Two rows much alike; `similarity` is the share of phrases they have in common, 0 to 1."""

    a: int
    b: int
    similarity: float


def signed(texts: Sequence[tuple[int, str]]) -> Signed:
    """Return some texts, with their positions, as numbers."""
    words = [text for _, text in texts]
    return Signed(
        np.array([position for position, _ in texts], dtype=np.int64),
        np.array([_digest(text) for text in words], dtype="S16"),
        minhash.signatures(words),
    )


def checked(
    candidates: Iterable[tuple[int, int]], a: Side, b: Side, threshold: float
) -> Iterator[Pair]:
    """Yield the candidates, pairs of positions, that are as much alike as `threshold` says."""
    pairs = sorted(candidates)
    for start in range(0, len(pairs), _CHECKED_AT_ONCE):
        chunk = pairs[start : start + _CHECKED_AT_ONCE]
        texts_a = a.texts_at([first for first, _ in chunk])
        texts_b = b.texts_at([second for _, second in chunk])
        for first, second in chunk:
            similarity = minhash.similarity(texts_a[first], texts_b[second])
            if similarity >= threshold:
                yield Pair(first, second, round(similarity, 3))


def near_duplicates(rows: Rows, threshold: float = 0.8, progress: Progress = silent) -> np.ndarray:
    """Return the positions of rows much like an earlier one, but not word for word, in order."""
    side = Side(rows)
    progress("comparing", 0, len(rows))
    known = signed(list(side.texts()))
    found = minhash.pairs(known.signatures, threshold=threshold)
    differing = [(x, y) for x, y in found if known.digests[x] != known.digests[y]]
    candidates = [(int(known.positions[x]), int(known.positions[y])) for x, y in differing]
    alike = {pair.b for pair in checked(candidates, side, side, threshold)}
    progress("comparing", len(rows), len(rows))
    return np.array(sorted(alike), dtype=np.int64)


def _digest(text: str) -> bytes:
    """Return what tells texts apart that differ in more than their spacing."""
    return hashlib.blake2b(" ".join(text.split()).encode(), digest_size=16).digest()
