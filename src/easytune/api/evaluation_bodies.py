"""What calls about evaluations send and get."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from easytune.api.bodies import Body
from easytune.api.estimate_bodies import Said
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import (
    Benchmarked,
    Difference,
    Figure,
    Finding,
    Forgotten,
    Overlap,
    Refusals,
    Result,
    TestSet,
)
from easytune.found_model import FoundModel
from easytune.i18n import t
from easytune.scoring import sentence
from easytune.services.evaluation_story import EvaluationStory
from easytune.services.evaluation_table import ComparedFigure, ComparedModel, EvaluationTable
from easytune.services.evaluations import EvaluationSummary


class EvaluationIn(Body):
    """What shall be evaluated."""

    config: EvaluateConfig = EvaluateConfig()


class StopIn(Body):
    """How an evaluation shall end."""

    now: bool = False


class CandidateOut(BaseModel):
    """One of the models."""

    id: str
    title: str
    kind: str
    base: str
    fingerprint: str
    run: str | None
    step: int | None

    @classmethod
    def of(cls, candidate: FoundModel) -> "CandidateOut":
        """Return a model as calls get it: without where it lies on this machine."""
        return cls(**candidate.model_dump(include=set(cls.model_fields)))


class EvaluationLine(BaseModel):
    """One line of the list."""

    id: str
    name: str
    state: str
    created: datetime
    candidates: list[CandidateOut]
    sets: list[str]

    @classmethod
    def of(cls, summary: EvaluationSummary) -> "EvaluationLine":
        """Return a line of the list as calls get it."""
        order = summary.order
        return cls(
            id=summary.id,
            name=summary.name,
            state=summary.state,
            created=summary.created,
            candidates=[CandidateOut.of(one) for one in order.candidates],
            sets=list(order.config.test.datasets),
        )


class EvaluationsOut(BaseModel):
    """The reply to `GET /api/evaluations`."""

    evaluations: list[EvaluationLine]


class EvaluationOut(BaseModel):
    """How an evaluation stands."""

    id: str
    name: str
    state: str
    phase: str
    done: int
    total: int
    rows_per_second: float | None
    seconds_left: float | None
    queue_position: int | None
    batch_size: int | None
    candidates: list[CandidateOut]
    config: EvaluateConfig
    notices: list[Said]
    failure: Said | None
    has_result: bool
    started_at: datetime | None
    ended_at: datetime | None

    @classmethod
    def of(cls, story: EvaluationStory, lang: str) -> "EvaluationOut":
        """Return the story of an evaluation as calls get it."""
        failed = story.failure
        said = t(f"error.{failed.code}", lang, **failed.values) if failed else ""
        plain = ("id", "name", "state", "phase", "done", "total", "rows_per_second",
                 "seconds_left", "queue_position", "batch_size", "started_at",
                 "ended_at")  # fmt: skip
        return cls(
            **{name: getattr(story, name) for name in plain},
            candidates=[CandidateOut.of(one) for one in story.order.candidates],
            config=story.order.config,
            notices=[Said.notice(notice, lang) for notice in story.notices],
            failure=Said(code=failed.code, message=said) if failed else None,
            has_result=story.result is not None,
        )


class ScoredOut(BaseModel):
    """One metric of one model on one test set."""

    set: int
    candidate: int
    metric: str
    figure: Figure
    against_first: Difference | None
    sentence: str


class ResultOut(BaseModel):
    """What came of an evaluation; places count from 0 in `candidates` and `sets`."""

    id: str
    state: str
    candidates: list[CandidateOut]
    sets: list[TestSet]
    scores: list[ScoredOut]
    signatures: dict[str, str]
    forgetting: list[Forgotten]
    safety: list[Refusals]
    benchmarks: list[Benchmarked]
    overlaps: list[Overlap]
    findings: list[Said]
    seconds: float

    @classmethod
    def of(cls, story: EvaluationStory, result: Result, lang: str) -> "ResultOut":
        """Return what came of an evaluation as calls get it."""
        plain = ("signatures", "forgetting", "safety", "benchmarks", "overlaps", "sets",
                 "seconds")  # fmt: skip
        return cls(
            id=story.id,
            state=story.state,
            candidates=[CandidateOut.of(one) for one in story.order.candidates],
            scores=[ScoredOut(sentence=sentence(one, lang), **dict(one)) for one in result.scores],
            findings=[_finding(one, lang) for one in result.findings],
            **{name: getattr(result, name) for name in plain},
        )


class ComparedModelOut(BaseModel):
    """One column of a comparison: a model as one evaluation measured it."""

    evaluation: str
    name: str
    candidate: int
    model: str
    title: str
    fingerprint: str

    @classmethod
    def of(cls, column: ComparedModel) -> "ComparedModelOut":
        """Return a column as calls get it."""
        return cls(**vars(column))


class ComparedFigureOut(BaseModel):
    """One row of a comparison: a metric on one test set, by the columns that have it."""

    kind: str
    set: str
    title: str
    metric: str
    figures: list[Figure | None]
    differs: bool
    apart: bool
    same_rows: bool

    @classmethod
    def of(cls, row: ComparedFigure) -> "ComparedFigureOut":
        """Return a row as calls get it."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class EvaluationTableOut(BaseModel):
    """Several evaluations side by side."""

    evaluations: list[str]
    columns: list[ComparedModelOut]
    rows: list[ComparedFigureOut]
    options: dict[str, list[Any]]

    @classmethod
    def of(cls, table: EvaluationTable) -> "EvaluationTableOut":
        """Return a table as calls get it."""
        return cls(
            evaluations=list(table.evaluations),
            columns=[ComparedModelOut.of(column) for column in table.columns],
            rows=[ComparedFigureOut.of(row) for row in table.rows],
            options={option.path: list(option.values) for option in table.options},
        )


def _finding(found: Finding, lang: str) -> Said:
    said = t(f"evaluation.finding.{found.code}", lang, **found.values)
    return Said(code=found.code, message=said)
