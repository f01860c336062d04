"""Which rows of two versions are the same, told by their ids."""

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np

from easytune.data.stored import ID_BYTES


@dataclass(frozen=True)
class Matched:
    """Rows with the same content, pair by pair in the order of `a`; and all other rows.

    `moved` tells of each pair whether it stands elsewhere among the others.
    """

    a: np.ndarray
    b: np.ndarray
    moved: np.ndarray
    only_a: np.ndarray
    only_b: np.ndarray

    @property
    def anchors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the pairs that stand where they stood: both columns rise."""
        return self.a[~self.moved], self.b[~self.moved]


def match(a: np.ndarray, b: np.ndarray) -> Matched:
    """Match ids: the first of several equal ones with the first, the second with the second."""
    codes = _codes(np.concatenate([a, b]))
    in_a, in_b = _occurrences(codes[: len(a)]), _occurrences(codes[len(a) :])
    # An occurrence is told by its code and which of its kind it is.
    width = max(len(a), len(b), 1)
    keys_a, keys_b = codes[: len(a)] * width + in_a, codes[len(a) :] * width + in_b
    order_b = np.argsort(keys_b)
    at = np.searchsorted(keys_b[order_b], keys_a)
    partner = order_b[np.minimum(at, len(b) - 1)] if len(b) else np.zeros(len(a), np.int64)
    found = keys_b[partner] == keys_a if len(b) else np.zeros(len(a), bool)
    paired_a, paired_b = np.flatnonzero(found), partner[found]
    lonely = np.ones(len(b), bool)
    lonely[paired_b] = False
    return Matched(
        paired_a, paired_b, ~_rising(paired_b), np.flatnonzero(~found), np.flatnonzero(lonely)
    )


def _codes(ids: np.ndarray) -> np.ndarray:
    """Return a number for each id, the same for the same."""
    halves = np.ascontiguousarray(ids).view(np.uint64).reshape(len(ids), ID_BYTES // 8)
    _, first, codes = np.unique(halves[:, 0], return_index=True, return_inverse=True)
    if np.array_equal(halves[first[codes], 1], halves[:, 1]):
        return codes.astype(np.int64)
    # Two different ids begin with the same 8 bytes.
    return np.unique(ids, return_inverse=True)[1].astype(np.int64)


def _occurrences(codes: np.ndarray) -> np.ndarray:
    """Return of each row how many with the same code are before it."""
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    place = np.arange(len(codes))
    starts = np.maximum.accumulate(
        np.where(np.append(True, ordered[1:] != ordered[:-1])[: len(codes)], place, 0)
    )
    found = np.empty(len(codes), np.int64)
    found[order] = place - starts
    return found


def _rising(places: np.ndarray) -> np.ndarray:
    """Return which entries make up a longest rising subsequence: those that did not move."""
    if bool(np.all(places[1:] > places[:-1])):
        return np.ones(len(places), bool)
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for index, place in enumerate(places.tolist()):
        length = bisect_left(ends, place)
        before.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(place)
            last.append(index)
        else:
            ends[length], last[length] = place, index
    kept = np.zeros(len(places), bool)
    index = last[-1] if last else -1
    while index >= 0:
        kept[index] = True
        index = before[index]
    return kept
