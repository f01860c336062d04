"""What the reports of an evaluation are made of, gathered once."""

from dataclasses import dataclass, field
from datetime import datetime

from easytune.evaluation_errors import EvaluationUnfinished
from easytune.evaluation_files import Order, Result, RowAnswer, Scored, TestRow, Verdict
from easytune.found_model import FoundModel
from easytune.services.evaluations import Evaluations

Scores = dict[str, list[list[float | None]]]


@dataclass(frozen=True)
class Material:
    """One evaluation with all that came of it."""

    id: str
    name: str
    state: str
    order: Order
    result: Result
    rows: list[TestRow] = field(default_factory=list)
    answers: dict[tuple[int, int], RowAnswer] = field(default_factory=dict)
    """By candidate and row."""
    scores: Scores = field(default_factory=dict)
    """Metric -> candidate -> a score per row, None where none applies."""
    verdicts: list[Verdict] = field(default_factory=list)
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def candidates(self) -> tuple[FoundModel, ...]:
        """Return the models, the one that others are compared with first."""
        return self.order.candidates

    @property
    def metrics(self) -> list[str]:
        """Return the metrics that have a figure, in the order of the scores."""
        return list(dict.fromkeys(scored.metric for scored in self.result.scores))

    def scored(self, test_set: int, candidate: int, metric: str) -> Scored | None:
        """Return one figure; None where the metric did not apply."""
        wanted = (test_set, candidate, metric)
        found = (s for s in self.result.scores if (s.set, s.candidate, s.metric) == wanted)
        return next(found, None)

    def score(self, metric: str, candidate: int, row: int) -> float | None:
        """Return the score of one answer; None where there is none."""
        columns = self.scores.get(metric, [])
        column = columns[candidate] if candidate < len(columns) else []
        return column[row] if row < len(column) else None


def gather(evaluations: Evaluations, evaluation: str) -> Material:
    """Return all that is known of an evaluation.

    Raises EvaluationMissing, and EvaluationUnfinished while it has no result.
    """
    story = evaluations.story(evaluation)
    if story.result is None:
        raise EvaluationUnfinished(evaluation)
    return Material(
        id=story.id,
        name=story.name,
        state=story.state,
        order=story.order,
        result=story.result,
        rows=list(evaluations.rows(evaluation)),
        answers={(one.candidate, one.row): one for one in evaluations.answers(evaluation)},
        scores=dict(evaluations.scores(evaluation)),
        verdicts=list(evaluations.verdicts(evaluation)),
        started_at=story.started_at,
        ended_at=story.ended_at,
    )
