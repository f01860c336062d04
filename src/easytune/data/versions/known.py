"""Which rows a dataset has already, by what their content and problem are."""

from typing import TYPE_CHECKING

import orjson

from easytune.data.stored import ID_BYTES, row_id

if TYPE_CHECKING:
    import numpy as np


class Known:
    """Finds rows by their key: its first 8 bytes, sorted; the rest is compared.

    Two rows with the same 8 bytes are not taken for one: the second is merely stored again.
    """

    def __init__(self) -> None:
        # Sorted by their size: each is merged into the next before it grows as large.
        self._levels: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, keys: "np.ndarray", segment: int, rows: "np.ndarray") -> None:
        """Remember rows that lie at these places of a segment."""
        import numpy as np

        if not len(keys):
            return
        level = _sorted((_short(keys), keys, np.full(len(keys), segment, np.int32), rows))
        while self._levels and len(self._levels[-1][0]) <= 2 * len(level[0]):
            earlier = self._levels.pop()
            level = _sorted(
                tuple(np.concatenate(pair) for pair in zip(earlier, level, strict=True))
            )
        self._levels.append(level)

    def find(self, keys: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
        """Return for each key the segment it lies in and its row there; -1 where it is new."""
        import numpy as np

        segment, row = np.full(len(keys), -1, np.int32), np.full(len(keys), -1, np.int64)
        short = _short(keys)
        order = np.argsort(short)
        wanted, whole = short[order], keys[order]
        for sorted_keys, all_keys, segments, rows in self._levels:
            at = np.minimum(np.searchsorted(sorted_keys, wanted), len(sorted_keys) - 1)
            hit = np.flatnonzero((sorted_keys[at] == wanted) & (all_keys[at] == whole))
            segment[order[hit]] = segments[at[hit]]
            row[order[hit]] = rows[at[hit]]
        return segment, row


def among(keys: "np.ndarray", wanted: "np.ndarray") -> "np.ndarray":
    """Return the places of the keys that may be among a few wanted ones."""
    import numpy as np

    few, many = np.sort(_short(wanted)), _short(keys)
    at = np.minimum(np.searchsorted(few, many), len(few) - 1)
    return np.flatnonzero(few[at] == many)


def problem_key(identity: bytes, code: str, values: str) -> bytes:
    """Return the key of a row that cannot be used: not that of the same content without problem."""
    return row_id([identity.hex(), code, values])


def values_text(values: dict[str, object]) -> str:
    """Return a problem's values as they are stored."""
    return orjson.dumps(values, default=str, option=orjson.OPT_SORT_KEYS).decode()


def _short(keys: "np.ndarray") -> "np.ndarray":
    import numpy as np

    halves = np.ascontiguousarray(keys).view(np.uint64).reshape(len(keys), ID_BYTES // 8)
    return np.ascontiguousarray(halves[:, 0])


def _sorted(
    level: "tuple[np.ndarray, ...]",
) -> "tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]":
    import numpy as np

    order = np.argsort(level[0], kind="stable")
    short, keys, segment, row = (column[order] for column in level)
    return short, keys, segment, row
