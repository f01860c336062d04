"""The rows that an evaluation asks, from whatever is named as a test set.

- `held-out:<run>`: the rows that a run kept back, found again by its own config, split and seed
- `demo/style`: the held-out rows of a bundled dataset
- `dataset:house-style@3`: the rows kept back of a version; all of them where it keeps none back
- `rows.jsonl`, a folder, `dataset_info.json#name`: all of its rows
"""

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError

from easytune import paths
from easytune.data import dataset, files, formats, sources, split
from easytune.data.asked_rows import Asked, ask, choices_of, of_row
from easytune.data.formats import Layout
from easytune.data.gathering import stored
from easytune.data.rows import Problem, reasons_text
from easytune.data.sources import Source
from easytune.data.stored import PREFIX
from easytune.data.versions.rows import Rows
from easytune.errors import EasyTuneError, RunMissing
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import HeldOutMissing, NothingToAsk
from easytune.evaluation_files import Finding, TestRow, TestSet
from easytune.job import Job, JobFolder, run_name

HELD_OUT = "held-out:"
"""What the name of a test set begins with when it is what a run kept back."""
_CARD_FINGERPRINT = re.compile(r"Data fingerprint \| `([0-9a-f]{16})`")
_RUN_TIME = re.compile(r"^\d{8}-\d{6}-\d{3}-")
_CARD_HELD_OUT = re.compile(r"(\d+) held out \|")
_REASONS = frozenset(
    {
        "file_missing", "file_empty", "file_unreadable", "dataset_unknown", "version_unknown",
        "version_damaged", "run_missing", "held_out_missing", "nothing_to_ask",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Found:
    """One test set, read. Its rows and itself are number 0 until they are put among others."""

    set: TestSet
    rows: list[TestRow]
    findings: list[Finding] = field(default_factory=list)


def load(
    names: Sequence[str], config: EvaluateConfig, home: Path
) -> tuple[list[TestSet], list[TestRow], list[Finding]]:
    """Return the test sets in their order, all their rows, and what is to be said about them.

    Of each set at most `config.test.rows` rows, drawn by `config.test.seed`: the same files give
    the same rows in the same order. A set that cannot be read becomes a finding, and the others
    go on; raises what `read` raises when none is left.
    """
    sets: list[TestSet] = []
    rows: list[TestRow] = []
    findings: list[Finding] = []
    failed: EasyTuneError | None = None
    for name in dict.fromkeys(names):
        try:
            found = read(name, config, home)
        except EasyTuneError as problem:
            failed = failed or problem
            values = {"set": title_of(name), "reason": _reason(problem)}
            findings.append(Finding(code="set_unusable", values=values))
            continue
        rows += [row.model_copy(update={"set": len(sets)}) for row in found.rows]
        sets.append(found.set)
        findings += found.findings
    if failed and not sets:
        raise failed
    return sets, rows, findings


def read(name: str, config: EvaluateConfig, home: Path) -> Found:
    """Return one test set.

    Raises RunMissing and HeldOutMissing for what a run kept back, NothingToAsk when no row can be
    asked, FileMissing, FileEmpty, FileUnreadable, DatasetUnknown, VersionUnknown, VersionDamaged.
    """
    if name.startswith(HELD_OUT):
        return _Set(name, config).of_run(name.removeprefix(HELD_OUT), home)
    return _Set(name, config).of_sources(name, home)


def kept_back(run: str, home: Path) -> int | None:
    """Return how many rows a run kept back, as its run card says; None where it has none."""
    found = _CARD_HELD_OUT.search(_card(JobFolder(paths.runs(home) / run)))
    return int(found[1]) if found else None


def title_of(name: str) -> str:
    """Return what a test set is called in lists, before anything of it is read."""
    if name.startswith(HELD_OUT):
        return HELD_OUT + _RUN_TIME.sub("", name.removeprefix(HELD_OUT))
    if name.startswith((PREFIX, "demo/")):
        return name.removeprefix(PREFIX)
    return Path(name).name


class _Set:
    """One test set on its way."""

    def __init__(self, name: str, config: EvaluateConfig) -> None:
        self.name, self.title = name, title_of(name)
        self.limit, self.seed = config.test.rows, config.test.seed
        self.asked: list[tuple[int, str, Asked]] = []
        self.problems: list[Problem] = []
        self.findings: list[Finding] = []

    def of_run(self, run: str, home: Path) -> Found:
        """Take what a run kept back."""
        job = _job(run, home)
        rows = dataset.load(job.config.data, job.config.schedule.seed, home)
        if not rows.held_out:
            raise HeldOutMissing(run)
        self.title = f"{HELD_OUT}{run_name(job.config)}"
        if _has_changed(JobFolder(paths.runs(home) / run), rows.fingerprint):
            self._note("held_out_changed", run=run)
        several = len({row.source for row in rows.held_out}) > 1
        places = split.at_most(len(rows.held_out), self.limit, self.seed)
        chosen = [rows.held_out[place] for place in places]
        values = {found.row: found.value for found in stored(chosen, job.config.data, home)}
        for place, row in zip(places, chosen, strict=True):
            value = values.get(row)
            asked = of_row(row)
            asked = replace(asked, choices=choices_of(value, asked.reference))
            self.asked.append((place, _row_name(value, row.source, row.number, several), asked))
        return self._found()

    def of_sources(self, name: str, home: Path) -> Found:
        """Take a file, a folder of files, or a version: what is kept back of it where that is."""
        found, _ = sources.resolve(name, home)
        first = 0
        parts = [self._part(source) for source in found]
        for part in parts:
            part.first, first = first, first + len(part)
        for place in self._in_turn(first):
            part = next(part for part in reversed(parts) if part.first <= place)
            self._ask(part, place, with_source=len(parts) > 1)
            if len(self.asked) == self.limit:
                break
        self.asked.sort(key=lambda asked: asked[0])
        return self._found()

    def _part(self, source: Source) -> "_FileRows | _VersionRows":
        if source.version is None:
            table = files.read(source.held_out or source.path, source.name)
            self.problems += table.problems
            return _FileRows(source, table)
        facts = source.version.facts
        self.name = source.name
        self.title = source.name.removeprefix(PREFIX)
        taken = "held_out_part" if facts.held_out else "whole_version"
        self._note(taken, rows=facts.held_out or facts.rows, all=facts.rows)
        return _VersionRows(source.version)

    def _in_turn(self, count: int) -> Sequence[int]:
        """Return the places of rows in the order in which they are tried: by seed if not all."""
        if self.limit is None or count <= self.limit:
            return range(count)
        return random.Random(self.seed).sample(range(count), count)

    def _ask(self, part: "_FileRows | _VersionRows", place: int, *, with_source: bool) -> None:
        row = part.row(place - part.first)
        asked = ask(row.value, row.number, row.source, row.layout)
        if isinstance(asked, Problem):
            self.problems.append(asked)
            return
        name = _row_name(row.value, row.source, row.number, with_source)
        self.asked.append((place, name, asked))

    def _found(self) -> Found:
        """Return the set. Raises NothingToAsk."""
        if not self.asked:
            raise NothingToAsk(self.title, reasons_text(self.problems) or "@data.probe.empty")
        counted = Counter(remark for _, _, asked in self.asked for remark in asked.remarks)
        for remark, count in counted.items():
            self._note(remark, rows=count)
        if self.problems:
            self._note(
                "rows_unusable", rows=len(self.problems), reasons=reasons_text(self.problems)
            )
        rows = [_test_row(name, asked) for _, name, asked in self.asked]
        own = TestSet(
            name=self.name, title=self.title, fingerprint=_fingerprint(rows), rows=len(rows)
        )
        return Found(own, rows, self.findings)

    def _note(self, code: str, **values: Any) -> None:
        self.findings.append(Finding(code=code, values={"set": self.title} | values))


@dataclass(frozen=True)
class _Stored:
    """A row as a file or version has it."""

    source: str
    number: int
    value: Any
    layout: Layout


class _FileRows:
    """The rows of one file; `first` is the place of its first row in the whole test set."""

    first = 0

    def __init__(self, source: Source, table: files.Table) -> None:
        self._source, self._rows = source, table.rows

    def __len__(self) -> int:
        return len(self._rows)

    def row(self, place: int) -> _Stored:
        number, value = self._rows[place]
        layout = self._source.layout
        if layout.format is None:
            layout = Layout(formats.format_of(value))
        return _Stored(self._source.name, number, value, layout)


class _VersionRows:
    """The rows kept back of a version, or all where it keeps none back; read when asked for."""

    first = 0

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        kept = np.flatnonzero(rows.held_out()) if rows.facts.held_out else np.arange(len(rows))
        self._positions = kept.tolist()

    def __len__(self) -> int:
        return len(self._positions)

    def row(self, place: int) -> _Stored:
        found = self._rows.row(self._positions[place])
        layout = self._rows.facts.layouts.get(found.source, Layout())
        if layout.format is None:
            layout = Layout(formats.format_of(found.value))
        # Rows that were made in the app have no number of their own.
        return _Stored(found.source, found.number or found.position + 1, found.value, layout)


def _job(run: str, home: Path) -> Job:
    """Return what a run was asked to do. Raises RunMissing."""
    folder = JobFolder(paths.runs(home) / run)
    if Path(run).name != run or not folder.job.is_file():
        raise RunMissing(run)
    try:
        return folder.read()
    except (OSError, ValueError, ValidationError, yaml.YAMLError) as error:
        raise RunMissing(run) from error


def _has_changed(folder: JobFolder, fingerprint: str) -> bool:
    """Tell whether a run's data are other ones now than those its run card names."""
    found = _CARD_FINGERPRINT.search(_card(folder))
    return found is not None and not fingerprint.startswith(found[1])


def _card(folder: JobFolder) -> str:
    """Return a run's card; empty where there is none."""
    try:
        return (folder.adapter / "README.md").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _row_name(value: Any, source: str, number: int, with_source: bool) -> str:
    """Return a row's own id where it has one, else its number in the source."""
    own = value.get("id") if isinstance(value, dict) else None
    name = str(own).strip() if isinstance(own, str | int) else ""
    return name or (f"{Path(source).name}:{number}" if with_source else str(number))


def _test_row(name: str, asked: Asked) -> TestRow:
    return TestRow(
        set=0,
        id=name,
        messages=asked.messages,
        prompt=asked.prompt,
        reference=asked.reference,
        choices=asked.choices,
    )


def _fingerprint(rows: Iterable[TestRow]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(row.model_dump_json(exclude={"set"}).encode() + b"\n")
    return digest.hexdigest()


def _reason(problem: EasyTuneError) -> str:
    """Return in words for `i18n.t` why a set cannot be read."""
    known = problem.code() if problem.code() in _REASONS else "other"
    return f"@evaluation.unread.{known}"
