"""The rows behind one name of a dataset: read, their layout found, converted."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from easytune.config import DataSection
from easytune.data import files, formats, sources
from easytune.data.conversation import Content
from easytune.data.formats import Layout
from easytune.data.rows import Problem, Row
from easytune.data.sources import Notice, Source
from easytune.data.stored import parse
from easytune.data.versions.rows import Part, Rows
from easytune.errors import ColumnMissing, FormatUnknown, StageMismatch

Raw = tuple[str, int, Any]
"""A row as it is stored: what its source is called, its number there, its content."""
LayoutOf = Callable[[str, Any], Layout]
_LOOKED_AT = 200


@dataclass(frozen=True)
class FoundRow:
    """A row, and what was stored of it: also columns that are not learned from."""

    row: Row
    value: Any


@dataclass(frozen=True)
class UsedVersion:
    """A version of a dataset that rows came from; `rows` counts those of the whole version."""

    dataset: str
    number: int
    fingerprint: str
    rows: int


@dataclass
class Gathered:
    """What one entry of `data.datasets` gave.

    `read` counts the rows found to learn from, good or bad; `digests` stand for the content of
    files and versions.
    """

    rows: list[Row] = field(default_factory=list)
    held_out: list[Row] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)
    versions: list[UsedVersion] = field(default_factory=list)
    own_held_out: bool = False
    read: int = 0


def gather(name: str, options: DataSection, home: Path | None) -> Gathered:
    """Return the rows to learn from; with those kept back, where they are wanted.

    They are not where nothing is held out, or another file is: then nobody uses them.
    """
    found, notices = sources.resolve(name, home)
    gathered = Gathered(notices=notices)
    wants_own = options.held_out_share > 0 and not options.held_out_file
    for source in found:
        gathered.rows += _read(source, options, gathered, "train")
        if source.keeps_rows_back and wants_own:
            gathered.own_held_out = True
            counted = gathered.read
            gathered.held_out += _read(source, options, gathered, "held_out")
            gathered.read = counted
    return gathered


def gather_held_out(name: str, options: DataSection, home: Path | None) -> Gathered:
    """Return the rows of a dataset that is there to measure on.

    Of a version that keeps rows back it is those, else all.
    """
    found, notices = sources.resolve(name, home)
    extra = Gathered(notices=notices)
    for source in found:
        kept_back = source.version is not None and source.keeps_rows_back
        extra.rows += _read(source, options, extra, "held_out" if kept_back else "train")
    return extra


def stored(rows: Collection[Row], options: DataSection, home: Path | None) -> Iterator[FoundRow]:
    """Yield these rows of a run again, each with all that is stored of it.

    Raises what reading its datasets raises, and nothing else than that.
    """
    wanted, places = {*rows}, {(row.source, row.number) for row in rows}
    # Problems and notices were told when the rows were read first.
    unread = Gathered()
    for name in filter(None, (*options.datasets, options.held_out_file)):
        for source in sources.resolve(name, home)[0]:
            for part in _parts(source):
                raw = _raw(source, unread, part)
                layouts = _layouts(source, raw, options)
                near = (one for one in raw if one[:2] in places)
                again = _converted(near, lambda name, _, known=layouts: known[name], unread)
                yield from (found for found in again if found.row in wanted)


def _parts(source: Source) -> tuple[Part, ...]:
    return ("train", "held_out") if source.keeps_rows_back else ("train",)


def gather_as_found(
    name: str, home: Path | None, kept_back: bool = False
) -> tuple[list[FoundRow], Gathered]:
    """Return the rows of a dataset that stands beside the one to learn: general rows, a probe.

    Conversations and plain texts may be mixed, whatever the stage; each row is read by its own
    format. With `kept_back` it is the rows kept back where there are any. The second part says what
    was met on the way; its own rows are empty.
    """
    found, notices = sources.resolve(name, home)
    gathered = Gathered(notices=notices)
    rows: list[FoundRow] = []
    for source in found:
        part: Part = "held_out" if kept_back and source.keeps_rows_back else "train"
        raw = _raw(source, gathered, part)
        rows += _converted(raw, _as_found(source, raw), gathered)
    return rows, gathered


def _as_found(source: Source, raw: Sequence[Raw]) -> LayoutOf:
    """Return how to find a row's layout: the one on record, else the row's own."""
    layouts = source.version.facts.layouts if source.version else {source.name: source.layout}
    usual = formats.recognise([value for _, _, value in raw])
    if raw and not usual and all(layout.format is None for layout in layouts.values()):
        columns = ", ".join(formats.columns_of([value for _, _, value in raw]))
        raise FormatUnknown(path=source.name, columns=columns or "-")

    def layout(name: str, value: Any) -> Layout:
        known = layouts.get(name, Layout())
        return known if known.format else Layout(formats.format_of(value) or usual or "text")

    return layout


def _read(source: Source, options: DataSection, into: Gathered, part: Part) -> list[Row]:
    """Return the usable rows of a file or version; all else goes to `into`."""
    raw = _raw(source, into, part)
    layouts = _layouts(source, raw, options)
    return [found.row for found in _converted(raw, lambda name, _: layouts[name], into)]


def _raw(source: Source, into: Gathered, part: Part) -> list[Raw]:
    """Return what a file or version holds, before it is known what it means."""
    if source.version is not None:
        return _of_version(source.version, into, part)
    path = source.held_out if part == "held_out" and source.held_out else source.path
    table = files.read(path, source.name)
    into.digests.append(table.digest)
    into.read += len(table.rows) + len(table.problems)
    into.problems += table.problems
    return [(source.name, number, value) for number, value in table.rows]


def _of_version(rows: Rows, into: Gathered, part: Part) -> list[Raw]:
    facts = rows.facts
    used = UsedVersion(facts.dataset, facts.number, facts.fingerprint, facts.rows)
    if used not in into.versions:
        into.versions.append(used)
    into.digests += [part, facts.fingerprint, facts.model_dump_json(include={"layouts"})]
    # A version without rows kept back is all there to be learned from.
    return list(_usable(rows, part if facts.held_out else None, into))


def _layouts(source: Source, raw: Sequence[Raw], options: DataSection) -> dict[str, Layout]:
    """Return the layout of each source of rows: one of a file, any number of a version."""
    if source.version is None:
        values = [value for _, _, value in raw]
        return {source.name: _layout(source.name, source.layout, values, options)}
    first: dict[str, list[Any]] = {}
    for name, _, value in raw:
        values = first.setdefault(name, [])
        if len(values) < _LOOKED_AT:
            values.append(value)
    known = source.version.facts.layouts
    return {
        name: _layout(name, known.get(name, Layout()), values, options)
        for name, values in first.items()
    }


def _usable(rows: Rows, part: Part | None, into: Gathered) -> Iterator[Raw]:
    """Yield source, number and content of each row without a problem."""
    for batch in rows.batches(part=part):
        into.read += len(batch)
        for place, name in enumerate(batch.sources):
            number = batch.numbers[place]
            if place in batch.problems:
                into.problems.append(Problem(number, name, *batch.problems[place]))
            else:
                yield name, number, parse(batch.texts[place])


def _converted(raw: Iterable[Raw], layout: LayoutOf, into: Gathered) -> Iterator[FoundRow]:
    repairs: Counter[tuple[str, str]] = Counter()
    for name, number, value in raw:
        match formats.convert(value, number, name, layout(name, value)):
            case Problem() as problem:
                into.problems.append(problem)
            case (row, Content() as content):
                yield FoundRow(row, value)
                repairs.update((name, code) for code in content.repairs)
    into.notices += [
        (f"data.{code}", {"rows": count, "source": name}) for (name, code), count in repairs.items()
    ]


def _layout(source: str, known: Layout, values: list[Any], options: DataSection) -> Layout:
    """Return where a file keeps what: mapped by hand, from its list, or recognised."""
    described = [value for value in values if isinstance(value, dict)]
    present = formats.columns_of(described)
    layout = known
    if options.columns and layout.format is None:
        layout = formats.mapped_layout(options.columns)
        for column in options.columns.values():
            if present and not any(column in row for row in described):
                raise ColumnMissing(path=source, column=column, columns=", ".join(present))
    elif layout.format is None:
        wants_text = options.stage == "pretrain" and any("text" in row for row in described)
        layout = Layout("text" if wants_text else formats.recognise(values))
    elif options.stage == "pretrain" and layout.columns.get("instruction"):
        # LLaMA-Factory keeps the plain text for pre-training in the column of the prompts.
        layout = Layout("text", {"text": layout.columns["instruction"]})
    if layout.format is None:
        raise FormatUnknown(path=source, columns=", ".join(present) or "-")
    if (layout.format == "text") != (options.stage == "pretrain"):
        raise StageMismatch(path=source, stage=options.stage)
    return layout
