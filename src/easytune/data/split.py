"""Which rows are learned from, which are kept aside, and how often each is used. All by seed."""

import random
from collections.abc import Sequence

from easytune.data.rows import Row


def hold_out(rows: Sequence[Row], share: float, seed: int) -> tuple[list[Row], list[Row]]:
    """Return (rows to learn from, rows kept aside), each in the order of the file.

    At least one row is kept aside and one stays. Rows with the same content go to the same side,
    so that nothing is measured on what was learned by heart.
    """
    wanted = min(max(1, round(len(rows) * share)), len(rows) - 1)
    if share <= 0 or wanted < 1:
        return list(rows), []
    groups = _same_content(rows)
    if len(groups) == 1:
        groups = [[place] for place in range(len(rows))]
    random.Random(seed).shuffle(groups)
    kept: set[int] = set()
    for group in groups[:-1]:
        if len(kept) >= wanted:
            break
        kept.update(group)
    learned = [row for place, row in enumerate(rows) if place not in kept]
    return learned, [rows[place] for place in sorted(kept)]


def at_most(count: int, limit: int | None, seed: int) -> list[int]:
    """Return which of `count` rows are used, at most `limit` of them, chosen at random."""
    if limit is None or count <= limit:
        return list(range(count))
    return sorted(random.Random(seed).sample(range(count), limit))


def repeat(rows: Sequence[Row], weight: float, seed: int) -> list[Row]:
    """Return the rows as often as the weight says: 2.5 is each twice and a random half again."""
    whole = int(weight)
    rest = round((weight - whole) * len(rows))
    if rows and not whole:
        rest = max(1, rest)
    chosen = at_most(len(rows), rest, seed)
    return list(rows) * whole + [rows[place] for place in chosen]


def _same_content(rows: Sequence[Row]) -> list[list[int]]:
    groups: dict[object, list[int]] = {}
    for place, row in enumerate(rows):
        groups.setdefault(row.messages or row.text, []).append(place)
    return list(groups.values())
