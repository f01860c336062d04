"""Which rows of an evaluation a table shows: filtered, searched and sorted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from easytune.evaluation_files import TestRow
from easytune.services.evaluation_reading import Scores
from easytune.services.evaluations import Evaluations
from easytune.webui.results_conversations import Answers, by_place
from easytune.webui.results_flips_view import KINDS, FlipLine
from easytune.webui.results_names import direction

if TYPE_CHECKING:
    from easytune.scoring.flips import Flip


@dataclass(frozen=True)
class Choice:
    """What the controls of the table ask for."""

    set: int
    metric: str
    first: int
    second: int
    kind: str = "all"
    search: str = ""
    sort: str = "row"

    @classmethod
    def of(cls, values: Sequence[Any]) -> Self | None:
        """Return the choice that the controls hold; None while there is nothing to choose from."""
        chosen, metric, first, second, kind, search, sort = values
        if not isinstance(chosen, int) or not isinstance(metric, str):
            return None
        if not isinstance(first, int) or not isinstance(second, int):
            return None
        return cls(chosen, metric, first, second, str(kind), str(search or ""), str(sort))


@dataclass(frozen=True)
class Found:
    """The rows that are wanted, and how many of each kind the test set has."""

    lines: list[FlipLine]
    counts: dict[str, int]


def lines_of(evaluations: Evaluations, evaluation: str, choice: Choice) -> Found:
    """Return the rows that a choice asks for, in its order. Raises EvaluationMissing."""
    rows, answers = evaluations.rows(evaluation), by_place(evaluations.answers(evaluation))
    flipped = _flipped(rows, answers, evaluations.scores(evaluation), choice)
    of_set = [
        _line(place, row, flipped, answers, choice)
        for place, row in enumerate(rows)
        if row.set == choice.set
    ]
    counts = {kind: sum(line.kind == kind for line in of_set) for kind in KINDS}
    wanted = choice.search.strip().casefold()
    chosen = [
        line
        for line in of_set
        if choice.kind in ("all", line.kind) and (not wanted or _mentions(line, wanted))
    ]
    return Found(_sorted(chosen, choice), counts | {"rows": len(of_set)})


def _flipped(
    rows: Sequence[TestRow], answers: Answers, scores: Scores, choice: Choice
) -> "Mapping[int, Flip]":
    # Its libraries take a while to import, and the page opens without them.
    from easytune.scoring import MEASURES
    from easytune.scoring.flips import flips

    there, pair = scores.get(choice.metric, []), (choice.first, choice.second)
    if choice.metric not in MEASURES or max(pair) >= len(there):
        return {}
    if any(len(there[candidate]) < len(rows) for candidate in pair):
        # A damaged file: which score is whose can no longer be told.
        return {}
    found = flips(rows, answers.values(), scores, choice.metric, *pair)
    return {flip.row: flip for flip in found}


def _line(
    place: int, row: TestRow, flipped: "Mapping[int, Flip]", answers: Answers, choice: Choice
) -> FlipLine:
    flip = flipped.get(place)
    return FlipLine(
        row=place,
        asked=row,
        kind=flip.kind if flip is not None else "",
        before=flip.before if flip is not None else None,
        after=flip.after if flip is not None else None,
        first=answers.get((choice.first, place)),
        second=answers.get((choice.second, place)),
    )


def _mentions(line: FlipLine, wanted: str) -> bool:
    texts = [line.asked.id, line.asked.prompt or "", line.asked.reference or ""]
    texts += [turn.content for turn in line.asked.messages]
    texts += [answer.text for answer in (line.first, line.second) if answer is not None]
    return any(wanted in text.casefold() for text in texts)


def _sorted(lines: list[FlipLine], choice: Choice) -> list[FlipLine]:
    """Return rows in the order that is asked for; those without a score come last."""
    gain = direction(choice.metric) or 1

    def key(line: FlipLine) -> float:
        match choice.sort:
            case "worst":
                return gain * line.change
            case "best":
                return -gain * line.change
            case "lowest":
                return line.after or 0.0
            case "highest":
                return -(line.after or 0.0)
        return float(line.row)

    if choice.sort == "row":
        return lines
    return sorted(lines, key=lambda line: (not line.kind, key(line)))
