"""From the data options to the rows of a run: read, recognised, mixed and split."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easytune.config import DataSection
from easytune.data import files, formats, sources, split
from easytune.data.conversation import Content
from easytune.data.formats import Layout
from easytune.data.rows import Problem, Row, reasons_text
from easytune.data.sources import Notice, Source
from easytune.errors import ColumnMissing, FormatUnknown, NothingToTrain, StageMismatch, TooFewRows


@dataclass(frozen=True)
class Dataset:
    """The rows of a run.

    `train` holds a row as often as its dataset's weight says. `read` counts all rows found in the
    files of rows to learn from, good or bad; `left_out` those that `max_rows` left aside.
    `notices` are (code, values) for the texts `notice.<code>`. The fingerprint changes when any
    source file or an option that chooses rows does.
    """

    train: list[Row]
    held_out: list[Row]
    problems: list[Problem]
    notices: list[Notice]
    fingerprint: str
    read: int
    left_out: int = 0


@dataclass
class _Gathered:
    """What one entry of `data.datasets` gave."""

    rows: list[Row] = field(default_factory=list)
    held_out: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    own_held_out: bool = False
    read: int = 0


def load(options: DataSection, seed: int = 42) -> Dataset:
    """Read all datasets, convert their rows, and split off the held-out ones.

    `max_rows` counts different rows before the split; weights repeat what is left to learn from.
    Raises FileMissing, FileEmpty, FileUnreadable, FormatUnknown, ColumnMissing, StageMismatch,
    DatasetEntryUnusable, TooFewRows, NothingToTrain.
    """
    gathered = [_gather(name, options) for name in options.datasets]
    problems = [problem for each in gathered for problem in each.problems]
    read = sum(each.read for each in gathered)
    usable = sum(len(each.rows) for each in gathered)
    if not usable:
        raise NothingToTrain(rows=read, reasons=reasons_text(problems))
    left_out = _limit(gathered, options.max_rows, seed)
    held_out = _hold_out(gathered, options, seed)
    extra = _held_out_file(options, seed)
    if extra:
        held_out, problems = extra.rows, problems + extra.problems
    weights = options.weights or (1.0,) * len(gathered)
    train = [
        row for g, w in zip(gathered, weights, strict=True) for row in split.repeat(g.rows, w, seed)
    ]
    everything = gathered + ([extra] if extra else [])
    notices = [notice for each in everything for notice in each.notices]
    fingerprint = _fingerprint(everything, options, seed)
    problems.sort(key=lambda problem: (problem.source, problem.number))
    return Dataset(train, held_out, problems, notices, fingerprint, read, left_out)


def source_files(options: DataSection) -> list[Path]:
    """Return every file that the options name. Raises FileMissing."""
    named = [*options.datasets, *([options.held_out_file] if options.held_out_file else [])]
    return [path for name in named for path in sources.files(name)]


def _gather(name: str, options: DataSection) -> _Gathered:
    found, notices = sources.resolve(name)
    gathered = _Gathered(notices=notices)
    wants_own = options.held_out_share > 0 and not options.held_out_file
    for source in found:
        gathered.rows += _read(source, options, gathered)
        if source.held_out and wants_own:
            gathered.own_held_out = True
            counted = gathered.read
            gathered.held_out += _read(Source(source.name, source.held_out), options, gathered)
            gathered.read = counted
    return gathered


def _held_out_file(options: DataSection, seed: int) -> _Gathered | None:
    if not options.held_out_file:
        return None
    found, notices = sources.resolve(options.held_out_file)
    extra = _Gathered(notices=notices)
    for source in found:
        extra.rows += _read(source, options, extra)
    if not extra.rows:
        raise NothingToTrain(rows=extra.read, reasons=reasons_text(extra.problems))
    _limit([extra], options.max_rows, seed)
    return extra


def _read(source: Source, options: DataSection, into: _Gathered) -> list[Row]:
    """Return the usable rows of a file; counts, problems and notices go to `into`."""
    table = files.read(source.path, source.name)
    into.digests.append(table.digest)
    into.read += len(table.rows) + len(table.problems)
    into.problems += table.problems
    layout = _layout(source, table.rows, options)
    rows: list[Row] = []
    repairs: Counter[str] = Counter()
    for number, value in table.rows:
        match formats.convert(value, number, source.name, layout):
            case Problem() as problem:
                into.problems.append(problem)
            case (row, Content() as content):
                rows.append(row)
                repairs.update(content.repairs)
    into.notices += [
        (f"data.{code}", {"rows": count, "source": source.name}) for code, count in repairs.items()
    ]
    return rows


def _layout(source: Source, rows: list[tuple[int, Any]], options: DataSection) -> Layout:
    """Return where this file keeps what: mapped by hand, from its list, or recognised."""
    described = [value for _, value in rows if isinstance(value, dict)]
    present = formats.columns_of(described)
    layout = source.layout
    if options.columns and layout.format is None:
        layout = formats.mapped_layout(options.columns)
        for column in options.columns.values():
            if present and not any(column in row for row in described):
                raise ColumnMissing(path=source.name, column=column, columns=", ".join(present))
    elif layout.format is None:
        wants_text = options.stage == "pretrain" and any("text" in row for row in described)
        layout = Layout("text" if wants_text else formats.recognise(described))
    elif options.stage == "pretrain" and layout.columns.get("instruction"):
        # LLaMA-Factory keeps the plain text for pre-training in the column of the prompts.
        layout = Layout("text", {"text": layout.columns["instruction"]})
    if layout.format is None:
        raise FormatUnknown(path=source.name, columns=", ".join(present) or "-")
    if (layout.format == "text") != (options.stage == "pretrain"):
        raise StageMismatch(path=source.name, stage=options.stage)
    return layout


def _limit(gathered: list[_Gathered], limit: int | None, seed: int) -> int:
    """Keep at most `limit` rows of all, chosen at random; return how many were left out."""
    pool = [(group, row) for group in gathered for row in group.rows]
    chosen = split.at_most(len(pool), limit, seed)
    for group in gathered:
        group.rows = []
    for place in chosen:
        group, row = pool[place]
        group.rows.append(row)
    return len(pool) - len(chosen)


def _hold_out(gathered: list[_Gathered], options: DataSection, seed: int) -> list[Row]:
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


def _fingerprint(gathered: Iterable[_Gathered], options: DataSection, seed: int) -> str:
    chosen = options.model_dump(
        mode="json",
        include={"datasets", "weights", "stage", "columns", "max_rows", "held_out_share"},
    )
    digests = [digest for each in gathered for digest in each.digests]
    content = json.dumps([chosen, seed, digests], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()
