"""Which texts are nearly the same: MinHash signatures, and the pairs that have much in common.

Signatures are datasketch's. Its index would take 5 KB for every text, so bands of signatures are
sorted instead: a million texts fit where its index held a hundred thousand.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from easytune.data.steps.alike import phrases

if TYPE_CHECKING:
    import numpy as np
    from datasketch import MinHash
    from numpy.typing import NDArray

    Signatures = NDArray[np.uint32]
    Places = NDArray[np.int64]

PERMUTATIONS = 128
_AT_ONCE = 20_000
# Of texts as alike as was asked for, so many may be missed.
_MISSED = 0.005
# How far below the threshold the estimate may be: 3.5 standard deviations at worst.
_SLACK = 0.15
_NEIGHBOURS = 32


def signatures(texts: Iterable[str]) -> "Signatures":
    """Return a row of 128 numbers per text; the share of equal ones estimates the similarity."""
    import numpy as np
    from datasketch import MinHash

    empty = MinHash(PERMUTATIONS, hashfunc=zlib.crc32, scheme="affine32")
    rows = [_signature(empty, text) for text in texts]
    return np.array(rows, np.uint32).reshape(len(rows), PERMUTATIONS)


def pairs(
    signatures_a: "Signatures",
    signatures_b: "Signatures | None" = None,
    threshold: float = 0.8,
) -> "Places":
    """Return candidates, in two columns: place in a, place in b; rising. Their similarity is
    probably at least `threshold`: check each. Without b: pairs within a, the earlier place first.

    Texts of a with the same signature are found by the first of them only: within a, the others
    are paired with that first one. Of very many that are alike, not all pairs are returned.
    """
    import numpy as np

    if signatures_b is None:
        firsts, same = _distinct(signatures_a)
        near = firsts[_near(signatures_a[firsts], len(firsts), threshold)]
        again = np.flatnonzero(firsts[same] != np.arange(len(same)))
        found = np.concatenate([near, np.stack([firsts[same[again]], again], axis=1)])
    else:
        (firsts, _), (others, same) = _distinct(signatures_a), _distinct(signatures_b)
        every = np.concatenate([signatures_a[firsts], signatures_b[others]])
        near = _near(every, len(firsts), threshold) - [0, len(firsts)]
        found = _repeated(near, same)
        found[:, 0] = firsts[found[:, 0]]
    return found[np.lexsort((found[:, 1], found[:, 0]))]


def _distinct(rows: "Signatures") -> "tuple[Places, Places]":
    """Return the places of all different signatures, and for each place which of those it has."""
    import numpy as np

    _, firsts, same = np.unique(_mixed(rows), return_index=True, return_inverse=True)
    order = np.argsort(firsts)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return firsts[order], rank[same]


def _repeated(near: "Places", same: "Places") -> "Places":
    """Return the pairs for every place of b that has the signature of a pair's second."""
    import numpy as np

    members: dict[int, list[int]] = {}
    for place, which in enumerate(same.tolist()):
        members.setdefault(which, []).append(place)
    every = [(a, place) for a, which in near.tolist() for place in members[which]]
    return np.array(every, np.int64).reshape(len(every), 2)


def _near(rows: "Signatures", split: int, threshold: float) -> "Places":
    """Return the probable pairs as (earlier, later); with a `split`, only pairs across it."""
    import numpy as np

    count = len(rows)
    keys = np.zeros(0, np.int64)
    for hashes in _bands(rows, threshold):
        earlier, later = _alike(hashes)
        across = (earlier < split) & (later >= split) if split < count else slice(None)
        new = np.setdiff1d(earlier[across] * count + later[across], keys)
        keys = np.union1d(keys, _probable(rows, new, threshold))
    return np.stack([keys // max(count, 1), keys % max(count, 1)], axis=1)


def _bands(rows: "Signatures", threshold: float) -> "Iterator[NDArray[np.uint64]]":
    """Yield, band by band, a number per text that alike texts have in common in some band.

    The bands are as long as they may be for two texts at the threshold to meet in one.
    """
    length = max(
        r
        for r in range(1, PERMUTATIONS // 2 + 1)
        if r == 1 or (1 - threshold**r) ** (PERMUTATIONS // r) <= _MISSED
    )
    for first in range(0, PERMUTATIONS - length + 1, length):
        yield _mixed(rows[:, first : first + length])


def _mixed(columns: "Signatures") -> "NDArray[np.uint64]":
    """Return one number per row that stands for all its columns."""
    import numpy as np

    total = np.zeros(len(columns), np.uint64)
    for place in range(columns.shape[1]):
        total = (total ^ columns[:, place]) * np.uint64(0x9E3779B97F4A7C15)
        total ^= total >> np.uint64(29)
    return total


def _alike(hashes: "NDArray[np.uint64]") -> "tuple[Places, Places]":
    """Return the places with equal numbers, in pairs: neighbours, and each with the first."""
    import numpy as np

    order = np.argsort(hashes, kind="stable")
    ordered, every = hashes[order], np.arange(len(hashes))
    earlier, later = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for distance in range(1, min(_NEIGHBOURS, len(hashes))):
        same = ordered[:-distance] == ordered[distance:]
        if not same.any():
            break
        earlier.append(order[:-distance][same])
        later.append(order[distance:][same])
    begins = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(hashes)]
    first = np.maximum.accumulate(np.where(begins, every, 0)) if len(hashes) else every
    far = every - first >= _NEIGHBOURS
    return (
        np.concatenate([*earlier, order[first[far]]]),
        np.concatenate([*later, order[every[far]]]),
    )


def _probable(rows: "Signatures", keys: "Places", threshold: float) -> "Places":
    """Return the pairs whose signatures are as alike as those of similar texts would be."""
    import numpy as np

    kept = [np.zeros(0, np.int64)]
    for first in range(0, len(keys), _AT_ONCE):
        part = keys[first : first + _AT_ONCE]
        equal = rows[part // len(rows)] == rows[part % len(rows)]
        kept.append(part[equal.mean(axis=1) >= threshold - _SLACK])
    return np.concatenate(kept)


def _signature(empty: "MinHash", text: str) -> "Signatures":
    sketch, found = empty.copy(), list(phrases(text))
    for first in range(0, len(found), _AT_ONCE):
        sketch.update_batch(found[first : first + _AT_ONCE])
    return sketch.hashvalues
