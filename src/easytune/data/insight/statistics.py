"""What a version of a dataset is made of, in figures."""

from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from easytune.data.insight import facts, sides, token_lengths
from easytune.data.insight.table import FactTable
from easytune.data.preview import Bin, histogram
from easytune.data.progress import Progress, silent
from easytune.data.versions.rows import Rows

_NAMED = 20
_EXAMPLES = 50
_SHORT = 10
_SHORT_EASTERN = 4
_EASTERN = ("zh", "ja", "ko")
_TOKEN_SAMPLE = 10_000


class _Figures(BaseModel):
    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)


class Percentiles(_Figures):
    """How a number is spread over the rows."""

    least: int
    p5: int
    p25: int
    median: int
    p75: int
    p95: int
    p99: int
    most: int
    mean: float

    @classmethod
    def of(cls, numbers: np.ndarray) -> "Percentiles | None":
        """Return the spread of some numbers; None when there is none."""
        if not len(numbers):
            return None
        places = np.percentile(numbers, (0, 5, 25, 50, 75, 95, 99, 100), method="nearest")
        names = ("least", "p5", "p25", "median", "p75", "p95", "p99", "most")
        named = dict(zip(names, map(int, places), strict=True))
        return cls(**named, mean=round(float(numbers.mean()), 1))


class Opening(_Figures):
    """The first words of a question, and how many rows begin so."""

    text: str
    rows: int


class Examples(_Figures):
    """How many rows are of some kind, and the positions of the first 50, counted from 0."""

    rows: int
    positions: list[int]

    @classmethod
    def of(cls, positions: np.ndarray) -> "Examples":
        """Return the count and the first of some positions."""
        return cls(rows=len(positions), positions=[int(place) for place in positions[:_EXAMPLES]])


class Statistics(_Figures):
    """The figures of a version. What is counted are its usable rows, unless said otherwise."""

    rows: int
    usable: int
    held_out: int
    problems: dict[str, int]
    """Rows that cannot be used, by the code of the reason, the most frequent first."""
    repairs: dict[str, int]
    """Rows that were mended while they were read, by the code of `notice.data.*`."""
    turns: dict[int, int]
    """Number of turns -> rows, fewest turns first; plain text has none."""
    roles: dict[str, int]
    """Role -> rows in which it speaks, the most frequent first."""
    languages: dict[str, int]
    """ISO 639-1 code -> rows, the most frequent first; empty code: not clear."""
    characters: Percentiles | None
    """Of whole rows; None without a usable row."""
    character_bins: list[Bin]
    """How many rows have how many characters."""
    answer_characters: Percentiles | None
    """Of last answers; None for plain text."""
    tokens: Percentiles | None = None
    """Of rows in the tokens of a model, where one was given."""
    tokens_of: int = 0
    """How many rows, drawn at random, `tokens` was measured on."""
    duplicates: Examples
    """Rows, usable or not, that are exactly like an earlier one."""
    near_duplicates: Examples | None = None
    """Rows much like an earlier one but not exactly; None when it was not asked for."""
    empty_answers: Examples
    """Rows left out because their answer, or one of their turns, is empty or missing."""
    short_answers: Examples
    """Rows whose last answer has fewer than 10 characters (4 of Chinese, Japanese or Korean)."""
    openings: list[Opening]
    """The most frequent first words of questions, at most 20, each of two rows or more."""


def statistics(
    rows: Rows,
    progress: Progress = silent,
    *,
    model_folder: Path | None = None,
    near_duplicates: bool = False,
) -> Statistics:
    """Return the figures of a version; facts that are missing are written first.

    `model_folder`: a model whose tokens are counted, on at most 10,000 rows. Raises what loading
    its tokenizer raises, and TaskCancelled.
    """
    facts.ensure(rows, progress)
    progress("statistics", 0, len(rows))
    table = FactTable(rows)
    usable = np.flatnonzero(table.usable)
    tokens = np.array([], dtype=np.int64)
    if model_folder:
        tokens = token_lengths.sample(rows, usable, model_folder, _TOKEN_SAMPLE, progress)
    characters, answers = table.numbers("characters"), table.numbers("answer_characters")
    same = repeated(rows.ids())
    near = sides.near_duplicates(rows, progress=progress) if near_duplicates else None
    return Statistics(
        rows=len(rows),
        usable=len(usable),
        held_out=int(rows.held_out().sum()),
        problems=table.problems(),
        repairs=table.words("repairs"),
        turns=_turns(table.numbers("turns")[usable]),
        roles=table.words("roles"),
        languages=table.words("language"),
        characters=Percentiles.of(characters[usable]),
        character_bins=histogram(characters[usable].tolist()),
        answer_characters=Percentiles.of(answers[answers >= 0]),
        tokens=Percentiles.of(tokens),
        tokens_of=len(tokens),
        duplicates=Examples.of(same),
        near_duplicates=None if near is None else Examples.of(np.setdiff1d(near, same)),
        empty_answers=Examples.of(table.without_answer()),
        short_answers=Examples.of(_short_answers(table, answers)),
        openings=_openings(table.words("opening")),
    )


def repeated(ids: np.ndarray) -> np.ndarray:
    """Return the positions whose id an earlier position has, in order."""
    _, firsts = np.unique(ids, return_index=True)
    is_first = np.zeros(len(ids), dtype=bool)
    is_first[firsts] = True
    return np.flatnonzero(~is_first)


def _turns(turns: np.ndarray) -> dict[int, int]:
    numbers, counts = np.unique(turns, return_counts=True)
    return dict(zip(map(int, numbers), map(int, counts), strict=True))


def _short_answers(table: FactTable, answers: np.ndarray) -> np.ndarray:
    limits = np.where(table.is_one_of("language", _EASTERN), _SHORT_EASTERN, _SHORT)
    return np.flatnonzero((answers >= 0) & (answers < limits))


def _openings(counts: dict[str, int]) -> list[Opening]:
    frequent = [(text, rows) for text, rows in counts.items() if text and rows > 1]
    return [Opening(text=text, rows=rows) for text, rows in frequent[:_NAMED]]
