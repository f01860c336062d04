"""What differs between two versions, row by row.

numpy is imported where a diff is made: whoever lists versions does not need it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from easytune.data.stored import StoredRow
from easytune.data.versions.rows import Rows

if TYPE_CHECKING:
    import numpy as np

    Places = tuple[np.ndarray, np.ndarray, np.ndarray]

ChangeKind = Literal["added", "removed", "changed", "moved"]
_KINDS: tuple[ChangeKind, ...] = ("added", "removed", "changed", "moved")


@dataclass(frozen=True)
class Change:
    """One difference. `before` is None for an added row, `after` for a removed one.

    changed: another content at what is the same place. moved: the same row further up or down,
    or on the other side of the held-out split.
    """

    kind: ChangeKind
    before: StoredRow | None
    after: StoredRow | None


class Diff:
    """The differences of two versions, counted; `page` reads the rows themselves.

    Rows with the same content are one row: twice in `a` and once in `b` means one removed.
    """

    def __init__(self, a: Rows, b: Rows, places: "Places | None" = None) -> None:
        """Compare two versions, or take what was compared before (see `places`)."""
        self._a, self._b = a, b
        self._kinds, self._olds, self._news = places or _differences(a, b)
        self.added, self.removed, self.changed, self.moved = (
            int((self._kinds == place).sum()) for place in range(len(_KINDS))
        )
        self.same = len(b) - self.added - self.changed - self.moved

    @property
    def places(self) -> "Places":
        """Return kind (place in `ChangeKind`), place before and place after of each difference.

        A place is -1 where there is no such row.
        """
        return self._kinds, self._olds, self._news

    def page(self, kind: ChangeKind | None, first: int, count: int) -> list[Change]:
        """Return differences of a kind, None for all, in the order of their places."""
        import numpy as np

        wanted = np.arange(len(self._kinds))
        if kind:
            wanted = np.flatnonzero(self._kinds == _KINDS.index(kind))
        shown = wanted[max(0, first) : max(0, first) + max(0, count)]
        before = _read(self._a, self._olds[shown])
        after = _read(self._b, self._news[shown])
        kinds = [_KINDS[place] for place in self._kinds[shown].tolist()]
        return [Change(*each) for each in zip(kinds, before, after, strict=True)]


def _differences(a: Rows, b: Rows) -> "tuple[np.ndarray, np.ndarray, np.ndarray]":
    """Return kind, place before and place after (-1 for none) of each difference."""
    import numpy as np

    from easytune.data.versions.matching import match
    from easytune.data.versions.pairing import Pairing

    matched = match(a.ids(), b.ids())
    paired = Pairing(matched, a, b)
    elsewhere = matched.moved | (a.held_out()[matched.a] != b.held_out()[matched.b])
    added, removed = paired.added(), paired.removed()
    olds = [np.full(len(added), -1), removed, paired.changed()[0], matched.a[elsewhere]]
    news = [added, np.full(len(removed), -1), paired.changed()[1], matched.b[elsewhere]]
    kinds = np.repeat(np.arange(len(_KINDS)), [len(each) for each in olds])
    before, after = np.concatenate(olds), np.concatenate(news)
    # A row that is gone stands behind the last row that stayed before it.
    anchors_a, anchors_b = matched.anchors
    behind = np.append(-1, anchors_b)[np.searchsorted(anchors_a, before)]
    order = np.lexsort((before, np.where(after < 0, behind + 0.5, after)))
    return kinds[order], before[order], after[order]


def _read(rows: Rows, positions: "np.ndarray") -> list[StoredRow | None]:
    there = positions[positions >= 0]
    found = iter(rows.at(there))
    return [next(found) if position >= 0 else None for position in positions.tolist()]
