"""Which removed and added rows are each other, changed.

Works on numbers as far as it goes: of millions of rows, the texts of a few thousand are read.
"""

from collections.abc import Iterator

import numpy as np

from easytune.data.stored import StoredRow
from easytune.data.versions.matching import Matched
from easytune.data.versions.rows import Rows
from easytune.data.versions.words import likeness

# Rows that share half their words are one row, changed.
_ALIKE = 0.5
# Less than any two rows that are alike: it only decides where nothing else does.
_SAME_PLACE = 0.01
_NEARLY_ALL = 0.98
_MOST_IN_GAP = 400
_MOST_READ = 20_000
_SAMPLE = 200
_SOURCE_STEP = 1 << 40

Gap = tuple[list[int], list[int]]


class Pairing:
    """Pairs the rows that are only in one version, in three rounds.

    First those between the same unmoved neighbours: the only one on each side with the same number
    in the same file, then those that are alike. What is left is paired by its number; unless rows
    with the same content have other numbers now, as after a file was imported anew: then only
    where they are alike.
    """

    def __init__(self, matched: Matched, a: Rows, b: Rows) -> None:
        self.matched, self._a, self._b = matched, a, b
        self._partner = np.full(len(matched.only_a), -1, np.int64)
        self._taken = np.zeros(len(matched.only_b), bool)
        if not len(self._partner) or not len(self._taken):
            return
        self._origin_a, self._origin_b = self._origins(matched.only_a, matched.only_b)
        anchors_a, anchors_b = matched.anchors
        self._gap_a = np.searchsorted(anchors_a, matched.only_a)
        self._gap_b = np.searchsorted(anchors_b, matched.only_b)
        self._pair_single()
        self._pair_alike()
        self._pair_numbered()

    def changed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions of the changed rows in both versions, in the order of the first."""
        paired = np.flatnonzero(self._partner >= 0)
        return self.matched.only_a[paired], self.matched.only_b[self._partner[paired]]

    def removed(self) -> np.ndarray:
        """Return the positions of the rows that are gone."""
        return self.matched.only_a[self._partner < 0]

    def added(self) -> np.ndarray:
        """Return the positions of the rows that came."""
        return self.matched.only_b[~self._taken]

    def _origins(self, in_a: np.ndarray, in_b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return file and number of each row as one number; 0 where it has none."""
        names: dict[str, int] = {}
        found = []
        for rows, only in ((self._a, in_a), (self._b, in_b)):
            sources, source, number = rows.origins(only)
            known = np.array([names.setdefault(name, len(names)) for name in sources], np.int64)
            found.append(np.where(number > 0, known[source] * _SOURCE_STEP + number, 0))
        return found[0], found[1]

    def _pair(self, olds: np.ndarray, news: np.ndarray) -> None:
        self._partner[olds] = news
        self._taken[news] = True

    def _pair_single(self) -> None:
        olds, news = _singles(self._gap_a), _singles(self._gap_b)
        _, at_old, at_new = np.intersect1d(
            self._gap_a[olds], self._gap_b[news], assume_unique=True, return_indices=True
        )
        olds, news = olds[at_old], news[at_new]
        same = (self._origin_a[olds] == self._origin_b[news]) & (self._origin_a[olds] > 0)
        self._pair(olds[same], news[same])

    def _pair_alike(self) -> None:
        gaps = list(self._small_gaps())
        texts_a = self._read(self._a, self.matched.only_a, [old for gap in gaps for old in gap[0]])
        texts_b = self._read(self._b, self.matched.only_b, [new for gap in gaps for new in gap[1]])
        for olds, news in gaps:
            worth = np.array(
                [[self._worth(old, new, texts_a, texts_b) for new in news] for old in olds]
            )
            for i, j in _best_in_order(worth):
                self._pair(np.array([olds[i]]), np.array([news[j]]))

    def _small_gaps(self) -> Iterator[Gap]:
        """Yield the unpaired rows of each gap that has some on both sides, but not too many."""
        olds, news = np.flatnonzero(self._partner < 0), np.flatnonzero(~self._taken)
        in_old, in_new = _by_gap(self._gap_a, olds), _by_gap(self._gap_b, news)
        read = 0
        for gap, one in in_old.items():
            other = in_new.get(gap, [])
            if other and len(one) * len(other) <= _MOST_IN_GAP:
                read += len(one) + len(other)
                if read > _MOST_READ:
                    return
                yield one, other

    def _worth(self, old: int, new: int, a: dict[int, StoredRow], b: dict[int, StoredRow]) -> float:
        alike = likeness(a[old].value, b[new].value)
        if alike >= _ALIKE:
            return alike
        same = self._origin_a[old] and self._origin_a[old] == self._origin_b[new]
        return _SAME_PLACE if same else 0.0

    def _pair_numbered(self) -> None:
        olds = np.flatnonzero((self._partner < 0) & (self._origin_a > 0))
        news = np.flatnonzero(~self._taken & (self._origin_b > 0))
        olds, news = olds[_singles(self._origin_a[olds])], news[_singles(self._origin_b[news])]
        _, at_old, at_new = np.intersect1d(
            self._origin_a[olds], self._origin_b[news], assume_unique=True, return_indices=True
        )
        olds, news = olds[at_old], news[at_new]
        if self._numbers_last():
            self._pair(olds, news)
        elif len(olds) <= _MOST_READ // 2:
            alike = self._alike(olds, news)
            self._pair(olds[alike], news[alike])
        else:
            # So many differences come from one step over all rows, or from another file.
            drawn = np.random.default_rng(0).choice(len(olds), _SAMPLE, replace=False)
            if self._alike(olds[drawn], news[drawn]).mean() > _ALIKE:
                self._pair(olds, news)

    def _numbers_last(self) -> bool:
        """Tell whether rows of the same content have the same number in the same file."""
        one, other = self._origins(self.matched.a, self.matched.b)
        return len(one) > 0 and float((one == other).mean()) > _NEARLY_ALL

    def _alike(self, olds: np.ndarray, news: np.ndarray) -> np.ndarray:
        a = self._read(self._a, self.matched.only_a, olds.tolist())
        b = self._read(self._b, self.matched.only_b, news.tolist())
        pairs = zip(olds.tolist(), news.tolist(), strict=True)
        return np.array(
            [likeness(a[old].value, b[new].value) >= _ALIKE for old, new in pairs], bool
        )

    def _read(self, rows: Rows, only: np.ndarray, wanted: list[int]) -> dict[int, StoredRow]:
        """Return rows by their place among the only ones, all read in one go."""
        return dict(zip(wanted, rows.at(only[wanted]), strict=True)) if wanted else {}


def _singles(values: np.ndarray) -> np.ndarray:
    """Return the places of the values that occur once."""
    _, first, counts = np.unique(values, return_index=True, return_counts=True)
    return first[counts == 1]


def _by_gap(gaps: np.ndarray, rows: np.ndarray) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for gap, row in zip(gaps[rows].tolist(), rows.tolist(), strict=True):
        found.setdefault(gap, []).append(row)
    return found


def _best_in_order(worth: np.ndarray) -> list[tuple[int, int]]:
    """Return the pairs (row, column), both rising, that are worth most together."""
    height, width = worth.shape
    best = np.zeros((height + 1, width + 1))
    for i in range(height):
        for j in range(width):
            together = best[i, j] + worth[i, j]
            best[i + 1, j + 1] = max(together, best[i, j + 1], best[i + 1, j])
    found: list[tuple[int, int]] = []
    i, j = height, width
    while i and j:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            found.append((i, j))
    return found
