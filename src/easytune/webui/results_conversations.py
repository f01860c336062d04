"""Test rows of an evaluation as conversations, ready to be kept in a dataset."""

from collections.abc import Mapping, Sequence

from easytune.evaluation_files import RowAnswer, TestRow
from easytune.services.evaluations import Evaluations
from easytune.wire import Turn

Conversation = list[dict[str, str]]
Answers = Mapping[tuple[int, int], RowAnswer]
"""(candidate, row) -> what it answered."""


def by_place(answers: Sequence[RowAnswer]) -> Answers:
    """Return answers by candidate and row."""
    return {(one.candidate, one.row): one for one in answers}


def turns_of(row: TestRow) -> tuple[Turn, ...]:
    """Return what a row asks; a plain text to go on from counts as one question."""
    return row.messages or (Turn(role="user", content=row.prompt or ""),)


def conversations_of(
    evaluations: Evaluations, evaluation: str, places: Sequence[int], candidate: int
) -> list[Conversation]:
    """Return rows with the answers they should have got: their references.

    A row without a reference comes with the answer of `candidate`; one without either is left out.
    Raises EvaluationMissing.
    """
    rows = evaluations.rows(evaluation)
    answers = by_place(evaluations.answers(evaluation))
    found = []
    for place in places:
        if not 0 <= place < len(rows):
            continue
        given = answers.get((candidate, place))
        answer = rows[place].reference or (given.text if given is not None else "")
        if answer.strip():
            turns = [{"role": one.role, "content": one.content} for one in turns_of(rows[place])]
            found.append([*turns, {"role": "assistant", "content": answer}])
    return found


def asked_of(conversation: Conversation) -> Conversation:
    """Return a conversation without its last answer."""
    return conversation[:-1]


def answer_of(conversation: Conversation) -> str:
    """Return the last answer of a conversation."""
    return conversation[-1]["content"]
