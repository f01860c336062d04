"""What calls about evaluations send and get."""

from typing import Any, Self

from pydantic import BaseModel

from easytune.api.bodies import Body
from easytune.api.estimate_bodies import Said
from easytune.api.job_bodies import FoundModelOut, JobLine, JobOut
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
from easytune.i18n import t
from easytune.scoring import sentence
from easytune.services.evaluation_story import EvaluationStory
from easytune.services.evaluation_table import ComparedFigure, ComparedModel, EvaluationTable
from easytune.services.evaluations import EvaluationSummary


class EvaluationIn(Body):
    """What shall be evaluated."""

    config: EvaluateConfig = EvaluateConfig()


class EvaluationLine(JobLine):
    """One line of the list."""

    candidates: list[FoundModelOut]
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
            candidates=[FoundModelOut.of(one) for one in order.candidates],
            sets=list(order.config.test.datasets),
        )


class EvaluationsOut(BaseModel):
    """The reply to `GET /api/evaluations`."""

    evaluations: list[EvaluationLine]


class EvaluationOut(JobOut):
    """How an evaluation stands."""

    rows_per_second: float | None
    seconds_left: float | None
    batch_size: int | None
    candidates: list[FoundModelOut]
    config: EvaluateConfig
    has_result: bool

    @classmethod
    def of(cls, story: EvaluationStory, lang: str) -> Self:
        """Return the story of an evaluation as calls get it."""
        return cls.told(
            story, lang,
            candidates=[FoundModelOut.of(one) for one in story.order.candidates],
            config=story.order.config,
            has_result=story.result is not None,
        )  # fmt: skip


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
    candidates: list[FoundModelOut]
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
            candidates=[FoundModelOut.of(one) for one in story.order.candidates],
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
