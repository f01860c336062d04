"""Rows of one set that are in another one too, word for word or nearly.

A test row in the training set makes every measurement on it worthless.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from pydantic import BaseModel, ConfigDict

from easytune.data.insight.alike import Pair, Side, Signed, checked, signed
from easytune.data.progress import Progress, silent
from easytune.data.steps import minhash
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
    search = _Search(first, second, threshold)
    return search.run(progress)


class _Search:
    def __init__(self, a: Side, b: Side, threshold: float) -> None:
        self.a, self.b, self.threshold = a, b, threshold
        self.exact: dict[int, Pair] = {}
        self.near: dict[int, Pair] = {}

    def run(self, progress: Progress) -> Leaks:
        total = len(self.a.rows) + len(self.b.rows)
        progress("comparing", 0, total)
        second = signed(list(self.b.texts()))
        rows_a = 0
        for chunk in _chunks(self.a):
            progress("comparing", len(self.b.rows) + int(chunk.positions[0]), total)
            rows_a += len(chunk)
            self._compare(chunk, second)
        progress("comparing", total, total)
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

    def _compare(self, first: Signed, second: Signed) -> None:
        self._note_exact(first, second)
        places = minhash.pairs(first.signatures, second.signatures, self.threshold)
        candidates = [(int(first.positions[x]), int(second.positions[y])) for x, y in places]
        open_ones = [pair for pair in candidates if pair[1] not in self.exact]
        for pair in checked(open_ones, self.a, self.b, self.threshold):
            known = self.near.get(pair.b)
            if known is None or pair.similarity > known.similarity:
                self.near[pair.b] = pair

    def _note_exact(self, first: Signed, second: Signed) -> None:
        digests, firsts = np.unique(first.digests, return_index=True)
        places = np.minimum(np.searchsorted(digests, second.digests), len(digests) - 1)
        for place in np.flatnonzero(digests[places] == second.digests):
            b = int(second.positions[place])
            self.exact.setdefault(b, Pair(int(first.positions[firsts[places[place]]]), b, 1.0))


def _chunks(side: Side) -> Iterator[Signed]:
    texts = side.texts()
    while chunk := list(islice(texts, _CHUNK)):
        yield signed(chunk)


def _listed(pairs: list[Pair]) -> list[Match]:
    return [Match(a=pair.a, b=pair.b, similarity=pair.similarity) for pair in pairs[:_LISTED]]
