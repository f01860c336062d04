"""What the columns of a comparison are asked, and their answers as they are kept."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from easytune.services.answer import Answer
from easytune.services.chat import Chat
from easytune.services.comparison import Column, Comparison, Entry, StoredAnswer, asked
from easytune.services.comparison_scores import scores_of
from easytune.services.questions import Question


def questions_for(comparison: Comparison, entry: Entry, places: Iterable[int]) -> list[Question]:
    """Return what the columns at these places are asked for an entry."""
    return [_question(comparison, entry, place) for place in places]


def stored_answers(
    answers: Sequence[Answer], questions: Sequence[Question], reference: str = ""
) -> list[StoredAnswer]:
    """Return answers as they are kept, scored against the reference where there is one."""
    return [
        StoredAnswer(
            text=answer.text,
            thinking=answer.thinking,
            seed=question.sampling.seed or 0,
            # Who left before the end has cancelled.
            reason=answer.reason or "cancelled",
            code=answer.code,
            values=dict(answer.values),
            details=answer.details(),
            scores=scores_of(answer.text, reference),
        )
        for answer, question in zip(answers, questions, strict=True)
    ]


def with_places(
    chat: Chat, columns: Sequence[Column], answers: Sequence[StoredAnswer]
) -> list[StoredAnswer]:
    """Return the answers with the device and the precision that computed them, where known."""
    places = {(held.id, held.loading): held.ready for held in chat.held() if held.ready}
    placed: list[StoredAnswer] = []
    for column, answer in zip(columns, answers, strict=True):
        ready = places.get((column.base_model, column.loading))
        place = ready.model_dump(include={"device", "precision", "quantization"}) if ready else {}
        placed.append(replace(answer, details=answer.details | place))
    return placed


def _question(comparison: Comparison, entry: Entry, place: int) -> Question:
    column = comparison.columns[place]
    return Question(
        model=column.model,
        messages=asked(comparison, entry, place),
        sampling=column.sampling,
        loading=column.loading,
        base=column.base,
    )
