"""From the data options to the rows of a run: gathered, mixed and split."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from easytune.config import DataSection
from easytune.data import replay, sources, split
from easytune.data.gathering import Gathered, UsedVersion, gather, gather_held_out
from easytune.data.replay import Replayed
from easytune.data.rows import Problem, Row, reasons_text
from easytune.data.sources import Notice
from easytune.errors import NothingToTrain, TooFewRows


@dataclass(frozen=True)
class Dataset:
    """The rows of a run.

    `train` holds a row as often as its dataset's weight says, and last of all the general rows
    that are replayed, `replayed` of them. `read` counts all rows found in the files of rows to
    learn from, good or bad, without general ones; `left_out` those that `max_rows` left aside.
    `notices` are (code, values) for the texts `notice.<code>`. The fingerprint changes when any
    source file or an option that chooses rows does. `versions` are those of datasets that were
    named, in their order.
    """

    train: list[Row]
    held_out: list[Row]
    problems: list[Problem]
    notices: list[Notice]
    fingerprint: str
    read: int
    left_out: int = 0
    versions: tuple[UsedVersion, ...] = ()
    replayed: int = 0


def load(options: DataSection, seed: int = 42, home: Path | None = None) -> Dataset:
    """Read all datasets, convert their rows, split off the held-out ones, mix in general ones.

    `max_rows` counts different rows before the split; weights repeat what is left to learn from;
    `replay_share` is that of general rows among all to learn from then.
    `home` is where versions of datasets are looked for, by default that of the user. Raises
    FileMissing, FileEmpty, FileUnreadable, FormatUnknown, ColumnMissing, StageMismatch,
    DatasetEntryUnusable, DatasetUnknown, VersionUnknown, VersionDamaged, TooFewRows,
    NothingToTrain, ReplayUnusable.
    """
    gathered = [gather(name, options, home) for name in options.datasets]
    problems = [problem for each in gathered for problem in each.problems]
    read = sum(each.read for each in gathered)
    usable = sum(len(each.rows) for each in gathered)
    if not usable:
        raise NothingToTrain(rows=read, reasons=reasons_text(problems))
    left_out = _limit(gathered, options.max_rows, seed)
    held_out = _hold_out(gathered, options, seed)
    extra = _held_out_file(options, seed, home)
    if extra:
        held_out, problems = extra.rows, problems + extra.problems
    weights = options.weights or (1.0,) * len(gathered)
    train = [
        row for g, w in zip(gathered, weights, strict=True) for row in split.repeat(g.rows, w, seed)
    ]
    general = replay.draw(options, len(train), held_out, seed, home)
    everything = [*gathered, *([extra] if extra else []), general]
    problems.sort(key=lambda problem: (problem.source, problem.number))
    return Dataset(
        train=train + general.rows,
        held_out=held_out,
        problems=problems,
        notices=_once(notice for each in everything for notice in each.notices),
        fingerprint=_fingerprint(everything, options, seed),
        read=read,
        left_out=left_out,
        versions=tuple(dict.fromkeys(used for each in everything for used in each.versions)),
        replayed=len(general.rows),
    )


def source_files(options: DataSection, home: Path | None = None) -> list[Path]:
    """Return every file that the options name. Raises what `sources.resolve` raises."""
    named = [*options.datasets, options.held_out_file or ""]
    named += [options.replay] if options.replay_share > 0 else []
    return [path for name in filter(None, named) for path in sources.files(name, home)]


def _once(notices: Iterable[Notice]) -> list[Notice]:
    """Return each notice once: rows to learn from and general rows may come from one file."""
    found: list[Notice] = []
    for notice in notices:
        if notice not in found:
            found.append(notice)
    return found


def _held_out_file(options: DataSection, seed: int, home: Path | None) -> Gathered | None:
    if not options.held_out_file:
        return None
    extra = gather_held_out(options.held_out_file, options, home)
    if not extra.rows:
        raise NothingToTrain(rows=extra.read, reasons=reasons_text(extra.problems))
    _limit([extra], options.max_rows, seed)
    return extra


def _limit(gathered: list[Gathered], limit: int | None, seed: int) -> int:
    """Keep at most `limit` rows of all, chosen at random; return how many were left out."""
    pool = [(group, row) for group in gathered for row in group.rows]
    chosen = split.at_most(len(pool), limit, seed)
    for group in gathered:
        group.rows = []
    for place in chosen:
        group, row = pool[place]
        group.rows.append(row)
    return len(pool) - len(chosen)


def _hold_out(gathered: list[Gathered], options: DataSection, seed: int) -> list[Row]:
    """Take the held-out rows out of those to learn from, and return them."""
    rows = sum(len(group.rows) for group in gathered)
    if options.held_out_share <= 0 or options.held_out_file:
        return []
    own = [row for group in gathered for row in group.held_out]
    own = [own[place] for place in split.at_most(len(own), options.max_rows, seed)]
    shared = [group for group in gathered if not group.own_held_out]
    pool = [row for group in shared for row in group.rows]
    if not own and rows < 2:
        lost = [problem for group in gathered for problem in group.problems]
        reasons = f" (@data.left_out {reasons_text(lost)})" if lost else ""
        raise TooFewRows(have=rows, need=2, reasons=reasons)
    _, kept = split.hold_out(pool, options.held_out_share, seed)
    aside = {id(row) for row in kept}
    for group in shared:
        group.rows = [row for row in group.rows if id(row) not in aside]
    return own + kept


def _fingerprint(gathered: Iterable[Gathered | Replayed], options: DataSection, seed: int) -> str:
    deciding = {"datasets", "weights", "stage", "columns", "max_rows", "held_out_share"}
    if options.replay_share > 0:
        deciding |= {"replay_share", "replay"}
    chosen = options.model_dump(mode="json", include=deciding)
    digests = [digest for each in gathered for digest in each.digests]
    content = json.dumps([chosen, seed, digests], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
