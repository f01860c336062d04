"""Test rows that a candidate of an evaluation has been trained on.

A test row in the training set makes every measurement on it worthless: what a model has learned
by heart says nothing about what it can do.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import ValidationError

from easytune import paths
from easytune.config import TrainConfig
from easytune.data import dataset
from easytune.data.asked_rows import words
from easytune.data.rows import Row
from easytune.data.steps.alike import text_id
from easytune.errors import EasyTuneError
from easytune.evaluation_files import Finding, Order, Overlap, TestRow
from easytune.found_model import FoundModel
from easytune.job import JobFolder
from easytune.wire import Turn

_CARD = "easytune.yaml"


def overlaps(
    order: Order, rows: Sequence[TestRow], home: Path, findings: list[Finding] | None = None
) -> list[Overlap]:
    """Return the rows whose question and answer, word for word, a candidate has learned from.

    What a candidate learned is what its run says, and the runs that one went on from; of a model
    from elsewhere it is what the run card beside it says. Where those rows cannot be read any
    more, that is added to `findings`. System prompts and spacing make no difference; a row without
    a reference is compared by its question.
    """
    known: dict[str, _Learned | None] = {}
    found: list[Overlap] = []
    for place, candidate in enumerate(order.candidates):
        learned = [_learned(config, home, known) for config in _trainings(candidate, home)]
        if None in learned and findings is not None:
            findings.append(Finding(code="training_unknown", values={"model": candidate.title}))
        alike = [n for n, row in enumerate(rows) if any(one and one.has(row) for one in learned)]
        for number in dict.fromkeys(rows[n].set for n in alike):
            inside = tuple(n for n in alike if rows[n].set == number)
            found.append(Overlap(candidate=place, set=number, rows=inside))
    return found


@dataclass
class _Learned:
    """What the rows of a run say: the whole of each, and its question alone."""

    whole: set[bytes] = field(default_factory=set)
    questions: set[bytes] = field(default_factory=set)

    def add(self, row: Row) -> None:
        """Note one row; those a weight repeats count once."""
        if row.messages is None:
            self.whole.add(_id(row.text or ""))
            return
        self.whole.add(text_id(words(row.messages)))
        self.questions.add(text_id(words(row.messages[:-1])))

    def has(self, row: TestRow) -> bool:
        """Tell whether a test row is among them."""
        if row.prompt is not None:
            return _id(row.prompt + (row.reference or "")) in self.whole
        if row.reference is None:
            return text_id(words(row.messages)) in self.questions
        answer = Turn(role="assistant", content=row.reference)
        return text_id(words([*row.messages, answer])) in self.whole


def _learned(config: TrainConfig, home: Path, known: dict[str, _Learned | None]) -> _Learned | None:
    """Return what a run has learned from; None when its rows cannot be read any more."""
    key = f"{config.schedule.seed} {config.data.model_dump_json()}"
    if key not in known:
        known[key] = _read(config, home)
    return known[key]


def _read(config: TrainConfig, home: Path) -> _Learned | None:
    try:
        rows = dataset.load(config.data, config.schedule.seed, home)
    except EasyTuneError:
        return None
    learned = _Learned()
    for row in rows.train:
        learned.add(row)
    return learned


def _trainings(candidate: FoundModel, home: Path) -> Iterator[TrainConfig]:
    """Yield what the candidate's run was asked, and each run whose result that one began with."""
    waiting = [Path(candidate.folder), Path(candidate.base_folder)]
    if candidate.run:
        waiting.insert(0, paths.runs(home) / candidate.run)
    seen: set[Path] = set()
    while waiting:
        folder = _run_folder(waiting.pop(0), home)
        if folder in seen:
            continue
        seen.add(folder)
        config = _asked(folder)
        if config is not None:
            yield config
            named = (config.model.adapter, config.model.base_model)
            waiting += [Path(name) for name in named if name and Path(name).is_absolute()]


def _run_folder(path: Path, home: Path) -> Path:
    """Return the folder of the run that made what lies at a path; the path of anything else.

    Copies that this app has made of a result, at half strength for one, begin with the run's name.
    """
    path, home = path.resolve(), home.resolve()
    if home not in path.parents:
        return path
    runs = [folder for folder in paths.runs(home).glob("*") if not folder.name.startswith(".")]
    made = [run for run in runs for part in path.relative_to(home).parts if _is_of(part, run.name)]
    return max(made, key=lambda run: len(run.name), default=path)


def _is_of(name: str, run: str) -> bool:
    return name == run or name.startswith(f"{run}-")


def _asked(folder: Path) -> TrainConfig | None:
    """Return what a run in this folder, or the run whose result was copied there, was asked."""
    try:
        if (job := JobFolder(folder)).job.is_file():
            return job.read().config
        text = (folder / _CARD).read_text(encoding="utf-8")
        return TrainConfig.model_validate(yaml.safe_load(text) or {})
    except (OSError, ValueError, ValidationError, yaml.YAMLError):
        return None


def _id(text: str) -> bytes:
    return text_id(" ".join(text.split()))
