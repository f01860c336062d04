"""Versions, or parts of them, as what leaks and near duplicates are found by."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from easytune.data.formats import Layout
from easytune.data.insight.row_facts import spoken
from easytune.data.progress import Progress, silent
from easytune.data.steps import alike, minhash
from easytune.data.stored import Batch, parse
from easytune.data.versions.rows import Rows

_AT_ONCE = 1_000


@dataclass(frozen=True)
class Signed:
    """Texts of a side as numbers: position, what tells exact words apart, MinHash signature."""

    positions: np.ndarray
    ids: np.ndarray
    signatures: np.ndarray

    def __len__(self) -> int:
        return len(self.positions)


@dataclass(frozen=True)
class Side:
    """A version, or only its rows to learn from or its held-out ones."""

    rows: Rows
    part: Literal["train", "held_out"] | None = None

    def signed(self, progress: Progress = silent) -> Signed:
        """Return the usable rows as numbers, half a kilobyte for each. Raises TaskCancelled."""
        return _signed(self._texts(progress), len(self.rows))

    def chunks(self, size: int, progress: Progress = silent) -> Iterator[Signed]:
        """Yield them, `size` at a time."""
        texts = self._texts(progress)
        while len(chunk := _signed(islice(texts, size), min(size, len(self.rows)))):
            yield chunk

    def fingerprints(
        self, positions: np.ndarray, progress: Progress = silent
    ) -> dict[int, np.ndarray]:
        """Return what rows at rising positions are compared by, see `alike.Candidates`."""
        found: dict[int, np.ndarray] = {}
        for start in range(0, len(positions), _AT_ONCE):
            progress("comparing", start, len(positions))
            some = positions[start : start + _AT_ONCE]
            batch = self.rows.batch_at(some)
            texts = (self._text(batch, place) for place in range(len(batch)))
            found |= zip(some.tolist(), map(alike.fingerprint, texts), strict=True)
        return found

    def _texts(self, progress: Progress) -> Iterator[tuple[int, str]]:
        """Yield the position of each usable row and all that is asked and answered in it."""
        wanted = ~self.rows.unusable()
        if self.part is not None:
            wanted &= self.rows.held_out() == (self.part == "held_out")
        first = 0
        for batch in self.rows.batches(_AT_ONCE):
            progress("comparing", first, len(self.rows))
            for place in np.flatnonzero(wanted[first : first + len(batch)]).tolist():
                if (text := self._text(batch, place)).strip():
                    yield first + place, text
            first += len(batch)

    def _text(self, batch: Batch, place: int) -> str:
        layout = self.rows.facts.layouts.get(batch.sources[place], Layout())
        return spoken(parse(batch.texts[place]), layout)


def near_duplicates(rows: Rows, threshold: float = 0.8, progress: Progress = silent) -> np.ndarray:
    """Return the positions of rows much like an earlier one, or exactly so, in their order.

    Raises TaskCancelled.
    """
    side = Side(rows)
    known = side.signed(progress)
    pairs = known.positions[minhash.pairs(known.signatures, threshold=threshold)]
    del known
    fingerprints = side.fingerprints(np.unique(pairs), progress)
    near = alike.Candidates(pairs, fingerprints, fingerprints, progress)
    found: set[int] = set()
    for earlier, later in near:
        if later not in found and near.likeness(earlier, later) >= threshold:
            found.add(later)
    return np.array(sorted(found), dtype=np.int64)


def _signed(texts: Iterator[tuple[int, str]], at_most: int) -> Signed:
    """Return texts, with their positions, as numbers."""
    signed = Signed(
        np.empty(at_most, np.int64),
        np.empty(at_most, f"S{alike.TEXT_ID_BYTES}"),
        np.empty((at_most, minhash.PERMUTATIONS), np.uint32),
    )
    count = 0
    while some := list(islice(texts, _AT_ONCE)):
        here = slice(count, count + len(some))
        signed.positions[here] = [position for position, _ in some]
        # Spacing makes no difference.
        signed.ids[here] = [alike.text_id(" ".join(text.split())) for _, text in some]
        signed.signatures[here] = minhash.signatures(text for _, text in some)
        count += len(some)
    return Signed(signed.positions[:count], signed.ids[:count], signed.signatures[:count])
