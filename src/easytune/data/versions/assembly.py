"""Putting the rows of a version in order: some of its parent, some new."""

import hashlib
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING

from easytune.data.formats import Layout
from easytune.data.stored import ID_BYTES
from easytune.data.versions.order import Order, Places
from easytune.data.versions.segments import Segments

if TYPE_CHECKING:
    import numpy as np

AS_IS = 2
_NEW, _ALL = -1, -2


@dataclass(frozen=True)
class Material:
    """Rows with all that a version needs to know of them: columns of the same length.

    `places` count in `segments` and `sources`; `unusable` tells rows with a problem.
    """

    segments: tuple[str, ...]
    sources: tuple[str, ...]
    places: Places
    ids: "np.ndarray"
    unusable: "np.ndarray"

    @classmethod
    def of(cls, order: Order, segments: Segments) -> "Material":
        """Return the rows of a version. Raises OSError when a segment is missing."""
        import numpy as np

        places = order.places()
        ids, unusable = np.empty(len(places), "S16"), np.zeros(len(places), bool)
        for index, name in enumerate(order.segments):
            mine = places.segment == index
            rows = places.row[mine]
            ids[mine] = segments.ids(name)[rows]
            unusable[mine] = (segments.problems(name) != "")[rows]
        return cls(order.segments, order.sources, places, ids, unusable)

    def __len__(self) -> int:
        return len(self.ids)

    def put_into(self, segments: list[str], sources: list[str], called: Sequence[str]) -> Places:
        """Return the places counted in longer lists of names, which grow by what they lack.

        `called` are the names that the own sources go by there.
        """
        old = self.places
        segment, source = _found(self.segments, segments), _found(called, sources)
        return Places(segment[old.segment], old.row, old.held_out, source[old.source], old.number)


class Pieces:
    """What a version is made of, in order: stretches of the parent, and of the new rows."""

    def __init__(self) -> None:
        # Three numbers each: first, count, held out (0, 1 or as it was).
        self._pieces = array("q")
        self.whole_parent = False

    def keep(self, first: int, rows: int, side: int) -> None:
        """Append rows of the parent."""
        pieces = self._pieces
        if pieces and pieces[-3] >= 0 and pieces[-1] == side and pieces[-3] + pieces[-2] == first:
            pieces[-2] += rows
        elif rows:
            pieces.extend((first, rows, side))

    def new(self, rows: int) -> None:
        """Append the next new rows."""
        if self._pieces and self._pieces[-3] == _NEW:
            self._pieces[-2] += rows
        else:
            self._pieces.extend((_NEW, rows, AS_IS))

    def all_of_parent(self) -> None:
        """Append all rows of the parent, whatever it will be."""
        self.whole_parent = True
        self._pieces.extend((_ALL, 0, AS_IS))

    def taken(self, parent_rows: int) -> "tuple[np.ndarray, np.ndarray]":
        """Return the rows of the version, and the side each is put on.

        Rows count through those of the parent, then through the new ones.
        """
        import numpy as np

        first, length, side = np.array(self._pieces, np.int64).reshape(-1, 3).T
        length = np.where(first == _ALL, parent_rows, length)
        new = first == _NEW
        before = np.cumsum(np.where(new, length, 0)) - length
        first = np.where(new, parent_rows + before, np.maximum(first, 0))
        starts = np.cumsum(length) - length
        rows = np.arange(length.sum()) + np.repeat(first - starts, length)
        return rows, np.repeat(side, length)


@dataclass(frozen=True)
class Assembled:
    """A version's order, and what its manifest tells of its rows."""

    order: Order
    layouts: dict[str, Layout]
    fingerprint: str
    rows: int
    problems: int
    held_out: int


def assemble(
    parent: Material | None,
    parent_layouts: Mapping[str, Layout],
    new: Material,
    layouts: Mapping[str, Layout],
    pieces: Pieces,
) -> Assembled:
    """Return the version that these pieces make."""
    import numpy as np

    parts = [parent, new] if parent else [new]
    before = len(parent) if parent else 0
    take, side = pieces.taken(before)
    kept = _kept_sources(parent, take[take < before]) if parent else set()
    called = [
        _unlike(name, kept, layouts.get(name), parent_layouts.get(name)) for name in new.sources
    ]
    segments: list[str] = []
    sources: list[str] = []
    spread = [
        part.put_into(segments, sources, called if part is new else part.sources) for part in parts
    ]
    places = Places.joined(spread).take(take)
    np.copyto(places.held_out, side == 1, where=side != AS_IS)
    order = Order.of(places, segments, sources)
    wanted = {**parent_layouts, **layouts}
    known = {name: parent_layouts[name] for name in kept if name in parent_layouts}
    known |= {name: layouts[name] for name in kept - set(new.sources) if name in layouts}
    known |= {
        call: wanted[name] for call, name in zip(called, new.sources, strict=True) if name in wanted
    }
    ids = np.concatenate([part.ids for part in parts])[take]
    unusable = np.concatenate([part.unusable for part in parts])[take]
    return Assembled(
        order,
        {name: known[name] for name in order.sources if name in known},
        fingerprint(ids, places.held_out),
        len(take),
        int(unusable.sum()),
        int(places.held_out.sum()),
    )


def fingerprint(ids: "np.ndarray", held_out: "np.ndarray") -> str:
    """Return the SHA-256 over each row's id and a byte: 1 where it is held out, else 0."""
    import numpy as np

    records = np.empty((len(ids), ID_BYTES + 1), np.uint8)
    records[:, :ID_BYTES] = np.ascontiguousarray(ids).view(np.uint8).reshape(-1, ID_BYTES)
    records[:, ID_BYTES] = held_out
    return hashlib.sha256(records.tobytes()).hexdigest()


def _found(names: Sequence[str], among: list[str]) -> "np.ndarray":
    """Return where each name stands in a list, which grows by those it lacks."""
    import numpy as np

    places = {name: place for place, name in enumerate(among)}
    for name in names:
        if name not in places:
            places[name] = len(among)
            among.append(name)
    return np.array([places[name] for name in names], np.int32)


def _kept_sources(parent: Material, kept: "np.ndarray") -> set[str]:
    import numpy as np

    return {parent.sources[place] for place in np.unique(parent.places.source[kept])}


def _unlike(name: str, kept: set[str], own: Layout | None, theirs: Layout | None) -> str:
    """Return what new rows of a source are called beside kept ones that are laid out otherwise."""
    if name not in kept or own is None or own == theirs:
        return name
    return next(other for number in count(2) if (other := f"{name} ({number})") not in kept)
