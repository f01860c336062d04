"""The base side of a run: which sequences are measured, and what the base predicts on them."""

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import TypeVar

import numpy as np

from easytune.data.probe import ProbeRow
from easytune.engine.forgetting_budget import FEWEST, Budget, Timing, clock
from easytune.engine.forgetting_figures import BaseFigures, Reader, fits_exactly
from easytune.engine.forgetting_files import BaseSide
from easytune.engine.reporting import Reporter

_Read = TypeVar("_Read")
_Known = list[tuple[ProbeRow, BaseFigures]]
# So many sequences are usual; KL is exact when these fit, unless more are measured.
_USUAL = 64


def read(
    reader: Reader,
    rows: Sequence[ProbeRow],
    budget: Budget,
    starts: int,
    report: Reporter,
    stop: Callable[[], bool],
) -> BaseSide | None:
    """Read the base side of as many sequences as the run can carry, with the base in `reader`.

    A few are read first to see how long it takes; `starts` is how often all are read before the
    first step. Nobody can forget what he never knew: where the base predicts general text worse
    than chance, as a very small model does, those sequences are left out, and the user is told so.
    None when a stop was asked, or when the run is too short, which the user is told as well.
    """
    if not rows:
        return None
    exact = fits_exactly(rows[:_USUAL], reader.vocabulary)
    known: _Known = []
    timings, now = [], clock(reader.loaded.device.type)
    # The first reading of all pays for what happens once.
    for part in (rows[:1], rows[1:2] or rows[:1], rows[2:6] or rows):
        began = now()
        figures = reader.base(part, exact)
        timings.append(Timing(_tokens(part), now() - began))
        known += zip(part, figures, strict=True)
    budget.estimate(timings[1], timings[2], _tokens(next(reader.batches(rows))))
    # Of a probe of one or two sequences some were read again.
    known = known[: len(rows)]
    if any(_is_chance(figures, reader) for _, figures in known):
        found = _known_ones(reader, rows, budget, exact, starts, report, stop)
        if found is not None:
            return found
    count = budget.sequences(_tokens(rows) / len(rows), len(rows), starts)
    if not count:
        report.notice("forgetting_too_short", sequences=FEWEST)
        return None
    side = _side(reader, rows[:count], known[:count], exact, stop)
    guessed = sum(_is_chance(figures, reader) for figures in side.figures) if side else 0
    if guessed > count / 2:
        report.notice("forgetting_guesses", count=guessed, rows=count)
    return side


def each(
    parts: Iterable[Sequence[ProbeRow]],
    read_part: Callable[[Sequence[ProbeRow]], list[_Read]],
    stop: Callable[[], bool],
) -> list[_Read] | None:
    """Return what is read of all parts, None as soon as a stop is asked."""
    found: list[list[_Read]] = []
    for part in parts:
        if stop():
            return None
        found.append(read_part(part))
    return list(chain.from_iterable(found))


def _side(
    reader: Reader,
    chosen: Sequence[ProbeRow],
    known: _Known,
    exact: bool,
    stop: Callable[[], bool],
) -> BaseSide | None:
    """Read the rest of the chosen sequences, which begin with those that are known."""
    if exact != fits_exactly(chosen, reader.vocabulary):
        exact, known = not exact, []
    rest = reader.batches(chosen[len(known) :])
    more = each(rest, lambda part: reader.base(part, exact), stop)
    if more is None:
        return None
    return BaseSide(chosen, [*(figures for _, figures in known), *more], exact)


def _known_ones(
    reader: Reader,
    rows: Sequence[ProbeRow],
    budget: Budget,
    exact: bool,
    starts: int,
    report: Reporter,
    stop: Callable[[], bool],
) -> BaseSide | None:
    """Return the sequences that the base knows something about, None when there are too few.

    Short ones are looked at first, until a third of what may be read has been.
    """
    shortest = sorted(rows, key=lambda row: len(row.input_ids))
    reach = np.cumsum([len(row.input_ids) for row in shortest]) <= budget.tokens / 3
    looked_at = shortest[: int(reach.sum())]
    figures = each(reader.batches(looked_at), lambda part: reader.base(part, exact), stop)
    if figures is None:
        return None
    budget.tokens -= _tokens(looked_at)
    pairs = zip(looked_at, figures, strict=True)
    known = [(row, one) for row, one in pairs if not _is_chance(one, reader)]
    if len(known) < FEWEST:
        return None
    mean = _tokens(row for row, _ in known) / len(known)
    # Their base has been read.
    known = known[: budget.sequences(mean, len(known), starts - 1)]
    if not known:
        return None
    report.notice("forgetting_unknown_texts", count=len(known), rows=len(rows))
    return BaseSide([row for row, _ in known], [one for _, one in known], exact)


def _is_chance(figures: BaseFigures, reader: Reader) -> bool:
    """Tell whether guessing every token would have been as good."""
    return figures.nll >= math.log(reader.vocabulary)


def _tokens(rows: Iterable[ProbeRow]) -> int:
    return sum(len(row.input_ids) for row in rows)
