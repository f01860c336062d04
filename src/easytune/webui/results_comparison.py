"""Rows of an evaluation as a comparison, so that they can be looked at and judged in Compare."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

from easytune.evaluation_files import Order, RowAnswer, TestRow
from easytune.found_model import FoundModel
from easytune.services.comparison import (
    MOST_COLUMNS,
    Column,
    Comparison,
    Entry,
    StoredAnswer,
    with_unique_labels,
)
from easytune.services.evaluations import Evaluations
from easytune.webui.results_conversations import by_place, turns_of

MOST_ENTRIES = 500
"""More rows than anybody looks at one by one would only make Compare slow."""


def comparison_of(evaluations: Evaluations, evaluation: str, rows: Sequence[int]) -> Comparison:
    """Return a batch comparison with these rows and the answers the evaluation has.

    Of more than eight models the first eight. Raises EvaluationMissing.
    """
    story = evaluations.story(evaluation)
    found, answers = evaluations.rows(evaluation), by_place(evaluations.answers(evaluation))
    places = _columns(story.order.candidates)
    columns = tuple(_column(story.order, place) for place in places)
    entries = tuple(
        _entry(position, found[row], [answers.get((place, row)) for place in places])
        for position, row in enumerate(rows)
        if 0 <= row < len(found)
    )
    title = story.name
    known = with_unique_labels(columns)
    return Comparison(uuid.uuid4().hex, title, "batch", datetime.now(UTC), known, entries)


def _columns(candidates: Sequence[FoundModel]) -> list[int]:
    """Return the places of the candidates to show; a comparison has at least two columns."""
    places = list(range(min(len(candidates), MOST_COLUMNS)))
    return places if len(places) > 1 else places * 2


def _column(order: Order, place: int) -> Column:
    one = order.candidates[place]
    return Column(
        model=one.id,
        label=one.title,
        base=one.base if one.is_adapter else None,
        sampling=order.config.sampling,
        loading=order.config.loading,
        version=one.fingerprint,
        base_model=one.base,
    )


def _entry(position: int, row: TestRow, answers: Sequence[RowAnswer | None]) -> Entry:
    asked = turns_of(row)
    return Entry(
        position,
        asked[-1].content if asked else "",
        asked,
        row.reference or "",
        tuple(_stored(answer) if answer is not None else None for answer in answers),
    )


def _stored(answer: RowAnswer) -> StoredAnswer:
    speed = answer.tokens / answer.seconds if answer.seconds else None
    return StoredAnswer(
        text=answer.text,
        reason=answer.reason,
        code=answer.code,
        values=answer.values,
        details={
            "seconds": answer.seconds, "tokens": answer.tokens, "tokens_per_second": speed,
        },
    )  # fmt: skip
