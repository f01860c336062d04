"""Rows of one set that are in another one too, word for word or nearly.

A test row in the training set makes every measurement on it worthless.
"""

from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict

from easytune.data.insight.sides import Side, Signed
from easytune.data.progress import Progress, silent
from easytune.data.steps import minhash
from easytune.data.steps.alike import Candidates
from easytune.data.versions.rows import Rows

__all__ = ["Leaks", "Match", "Side", "leaks"]
_LISTED = 1_000
# Signatures are 512 bytes a row: so many rows of the larger set are in memory at once.
_CHUNK = 50_000


class Match(BaseModel):
    """A row of the first set and one of the second that is like it; positions count from 0."""

    model_config = ConfigDict(frozen=True)

    a: int
    b: int
    similarity: float
    """Share of phrases that both have, 0 to 1; 1 for the same words."""


class Leaks(BaseModel):
    """What two sets have in common. Each leaked row of the second set is listed with one of the
    first, at most 1,000 of each kind; the counts are of all."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    rows_a: int
    """Rows of the first set that can be used."""
    rows_b: int
    exact: list[Match]
    near: list[Match]
    """The most alike first."""
    leaked_exact: int
    """Rows of the second set whose words, whatever the format and spacing, are in the first."""
    leaked_near: int
    """Further rows of the second set that are much like a row of the first."""
    threshold: float


def leaks(
    a: Rows | Side, b: Rows | Side, threshold: float = 0.8, progress: Progress = silent
) -> Leaks:
    """Compare what is asked and answered in two sets; system prompts and formats do not count.

    `threshold` is the similarity from which rows are near, above 0 and at most 1. The second set
    is the one in memory as signatures, 512 bytes a row. Raises TaskCancelled.
    """
    first, second = (side if isinstance(side, Side) else Side(side) for side in (a, b))
    return _Search(first, second, threshold, progress).run()


class _Pair(NamedTuple):
    a: int
    b: int
    similarity: float


class _Search:
    def __init__(self, a: Side, b: Side, threshold: float, progress: Progress) -> None:
        self.a, self.b, self.threshold, self.progress = a, b, threshold, progress
        self.exact: dict[int, _Pair] = {}
        self.near: dict[int, _Pair] = {}

    def run(self) -> Leaks:
        second, rows_a = self.b.signed(self.progress), 0
        for first in self.a.chunks(_CHUNK, self.progress):
            rows_a += len(first)
            self._note_exact(first, second)
            self._note_near(first, second)
        near = [pair for place, pair in self.near.items() if place not in self.exact]
        return Leaks(
            rows_a=rows_a,
            rows_b=len(second),
            exact=_listed(sorted(self.exact.values(), key=lambda pair: pair.b)),
            near=_listed(sorted(near, key=lambda pair: (-pair.similarity, pair.b))),
            leaked_exact=len(self.exact),
            leaked_near=len(near),
            threshold=self.threshold,
        )

    def _note_exact(self, first: Signed, second: Signed) -> None:
        ids, firsts = np.unique(first.ids, return_index=True)
        places = np.minimum(np.searchsorted(ids, second.ids), len(ids) - 1)
        for place in np.flatnonzero(ids[places] == second.ids):
            b = int(second.positions[place])
            self.exact.setdefault(b, _Pair(int(first.positions[firsts[places[place]]]), b, 1.0))

    def _note_near(self, first: Signed, second: Signed) -> None:
        places = minhash.pairs(first.signatures, second.signatures, self.threshold)
        pairs = np.stack([first.positions[places[:, 0]], second.positions[places[:, 1]]], axis=1)
        pairs = pairs[~np.isin(pairs[:, 1], list(self.exact))]
        near = Candidates(
            pairs,
            self.a.fingerprints(np.unique(pairs[:, 0]), self.progress),
            self.b.fingerprints(np.unique(pairs[:, 1]), self.progress),
            self.progress,
        )
        for a, b in near:
            similarity = near.likeness(a, b)
            if similarity >= self.threshold and similarity > self.near.get(b, _NONE).similarity:
                self.near[b] = _Pair(a, b, similarity)


_NONE = _Pair(-1, -1, 0.0)


def _listed(pairs: list[_Pair]) -> list[Match]:
    return [
        Match(a=pair.a, b=pair.b, similarity=round(pair.similarity, 3)) for pair in pairs[:_LISTED]
    ]
