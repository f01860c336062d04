"""An evaluation's folder: what was asked, which rows and answers there are, and what came of it.

It is a job folder (`job.JobFolder` names the files that all jobs have) in `<home>/evaluations`.
The job is the only writer below `out/`. Rows and answers are JSON lines that are appended and
never changed, so that a killed job goes on without asking for an answer twice.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from easytune import job
from easytune.evaluation import EvaluateConfig
from easytune.found_model import FoundModel
from easytune.job import JobFolder, Record, installed_versions
from easytune.wire import EndReason, Turn


class TestSet(Record):
    """One test set, as it was found when the evaluation was asked for."""

    # pytest takes every class of such a name for tests.
    __test__ = False

    name: str
    """As the config names it, with the version pinned: `dataset:tone@3`, `held-out:<run>`."""
    title: str
    fingerprint: str
    """SHA-256 of its rows."""
    rows: int


class Overlap(Record):
    """Test rows that a candidate has been trained on."""

    candidate: int
    set: int
    rows: tuple[int, ...]
    """Places in `rows.jsonl`."""


class Order(Record):
    """What an evaluation is asked to do: the content of `job.yaml`."""

    task: Literal["evaluate"] = "evaluate"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    config: EvaluateConfig
    candidates: tuple[FoundModel, ...]
    allow_remote_code: bool = False
    versions: dict[str, str] = Field(default_factory=lambda: installed_versions())
    continues: str | None = None
    """Id of the evaluation whose answers are taken over, when it goes on."""
    judge: FoundModel | None = None
    """The judge, where a model of this machine judges."""


class TestRow(Record):
    """One row of `rows.jsonl`; its place in the file is its number everywhere else."""

    __test__ = False

    set: int
    """Place of its test set in `Result.sets`."""
    id: str
    """The row's own id where it has one, else its number in the source."""
    messages: tuple[Turn, ...] = ()
    """The conversation up to the answer that is wanted."""
    prompt: str | None = None
    """Plain text to go on from, instead of `messages`."""
    reference: str | None = None
    """The answer in the data; None where there is none."""
    choices: tuple[str, ...] = ()
    """Answers to choose from by likelihood, for multiple choice; the reference is among them."""


class RowAnswer(Record):
    """One line of `answers.jsonl`: what one candidate did with one row."""

    candidate: int
    row: int
    text: str = ""
    """The answer, without the thoughts before it."""
    thinking: str = ""
    reason: EndReason = "stop"
    tokens: int = 0
    seconds: float = 0.0
    nll: float | None = None
    """Sum over the tokens of the reference, in nats; None without a reference."""
    reference_tokens: int = 0
    correct_tokens: int = 0
    """Tokens of the reference that were the likeliest ones."""
    choice: int | None = None
    """The likeliest of the row's choices, by mean log-likelihood per token."""
    code: str = ""
    values: dict[str, Any] = Field(default={})
    """Why there is no answer: the error's code and values, its text is `error.<code>`."""


class Verdict(Record):
    """One line of `verdicts.jsonl`: which answer the judge preferred, both orders asked."""

    row: int
    candidate: int
    against: int
    score: float
    """1 better, 0 worse, 0.5 tied or the two orders disagree."""
    reasons: tuple[str, ...] = ()


class Figure(Record):
    """One number with its 95% interval; 0 to 100 unless the metric says otherwise."""

    value: float
    low: float | None = None
    high: float | None = None
    rows: int = 0
    """Rows that it rests on; those it does not apply to are left out."""


class Difference(Record):
    """A candidate against the first one on the same rows."""

    value: float
    low: float
    high: float
    p: float
    """Two-sided, by paired approximate randomisation."""
    rows: int
    changed: int | None = None
    """How many of them score differently; None where that was not counted."""
    needed: int | None = None
    """About how many rows a difference of this size would need; None when these suffice."""


class Scored(Record):
    """One metric of one candidate on one test set."""

    set: int
    candidate: int
    metric: str
    figure: Figure
    against_first: Difference | None = None
    """None for the first candidate itself."""


class Finding(Record):
    """Something that did not apply or went wrong while the rest went on."""

    code: str
    """Its text is `evaluation.finding.<code>`."""
    values: dict[str, Any] = Field(default={})


class Forgotten(Record):
    """How far a candidate is from its base, see `forgetting`; nats per token."""

    candidate: int
    probe: str
    """Name of the probe; "own" for answers of the base itself."""
    score: float
    low: float
    high: float
    kl: float
    agreement: float
    sequences: int
    tokens: int
    categories: dict[str, Figure] = Field(default={})


class Refusals(Record):
    """How many prompts of the safety probe a candidate refused."""

    candidate: int
    kind: Literal["harmful", "harmless"]
    refused: int
    prompts: int
    before: int | None = None
    """How many of them its base refused; None for a base itself, or where that was not asked."""
    low: float
    """Wilson interval of the share, 0 to 1."""
    high: float


class Benchmarked(Record):
    """One figure of lm-evaluation-harness."""

    candidate: int
    task: str
    metric: str
    """As lm-evaluation-harness calls it; with a filter other than "none": `metric,filter`."""
    value: float
    stderr: float | None = None
    rows: int = 0
    higher_is_better: bool = True
    against_first: Difference | None = None
    """On the same documents, in units of the metric; None for the first candidate, for groups of
    tasks, and for metrics that are no mean over documents."""


class Result(Record):
    """The content of `result.json`: written when the evaluation ends or is stopped."""

    sets: tuple[TestSet, ...] = ()
    scores: tuple[Scored, ...] = ()
    signatures: dict[str, str] = Field(default={})
    """By metric: how it was computed, so that figures can be compared with others'."""
    forgetting: tuple[Forgotten, ...] = ()
    safety: tuple[Refusals, ...] = ()
    benchmarks: tuple[Benchmarked, ...] = ()
    overlaps: tuple[Overlap, ...] = ()
    findings: tuple[Finding, ...] = ()
    batch_size: int | None = None
    """The largest batch that fitted."""
    seconds: float = 0.0


@dataclass(frozen=True)
class EvaluationFolder(JobFolder):
    """The files of one evaluation, and who writes each."""

    @property
    def rows(self) -> Path:
        """`out/rows.jsonl`: a `TestRow` each, written whole before the first answer."""
        return self.out / "rows.jsonl"

    @property
    def answers(self) -> Path:
        """`out/answers.jsonl`: a `RowAnswer` each, in the order in which they were done."""
        return self.out / "answers.jsonl"

    @property
    def scores(self) -> Path:
        """`out/scores.json`: metric -> candidate -> a score per row, null where none applies."""
        return self.out / "scores.json"

    @property
    def verdicts(self) -> Path:
        """`out/verdicts.jsonl`: a `Verdict` each."""
        return self.out / "verdicts.jsonl"

    @property
    def benchmarks(self) -> Path:
        """`out/benchmarks.jsonl`: what each candidate did in each benchmark, as it was done."""
        return self.out / "benchmarks.jsonl"

    @property
    def refusals(self) -> Path:
        """`out/safety.jsonl`: prompts, kinds and answers of the safety probe."""
        return self.out / "safety.jsonl"

    @property
    def result(self) -> Path:
        """`out/result.json`: a `Result`."""
        return self.out / "result.json"

    def order(self) -> Order:
        """Return what was asked for. Raises OSError, YAMLError, ValidationError."""
        return Order.model_validate(job.parsed(self.job))


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file of JSON lines; a half-written last line is left out."""
    if not path.is_file():
        return
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.endswith("\n"):
                yield json.loads(line)
