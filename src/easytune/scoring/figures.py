"""All figures of an evaluation from its answers: scores per row, figures, differences, findings."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from easytune.evaluation import EvaluateConfig
from easytune.evaluation_files import (
    Difference,
    Figure,
    Finding,
    RowAnswer,
    Scored,
    TestRow,
    TestSet,
)
from easytune.found_model import FoundModel
from easytune.scoring import statistics, text
from easytune.scoring.llamafactory import EXTRA
from easytune.scoring.measure import PERCENT, Counts, Measure, Totals, wanted
from easytune.scoring.registry import MEASURES

Scores = dict[str, list[list[float | None]]]
"""Metric -> candidate -> a score per row; None where the metric does not apply."""
# A model that hits the limit this often has not learned where to end.
_OFTEN = 0.5


@dataclass(frozen=True)
class _Answered:
    """What there is to score."""

    config: EvaluateConfig
    rows: Sequence[TestRow]
    sets: Sequence[TestSet]
    answers: dict[tuple[int, int], RowAnswer]
    """By (candidate, row); the last one where a row was asked twice."""
    titles: Sequence[str]
    findings: list[Finding] = field(default_factory=list)

    def found(self, code: str, **values: object) -> None:
        """Note what did not apply."""
        self.findings.append(Finding(code=code, values=values))

    def places(self, number: int) -> list[int]:
        """Return the rows of a set."""
        return [place for place, row in enumerate(self.rows) if row.set == number]


def score_all(
    config: EvaluateConfig,
    rows: Sequence[TestRow],
    answers: Iterable[RowAnswer],
    sets: Sequence[TestSet],
    candidates: Sequence[FoundModel] = (),
) -> tuple[Scores, list[Scored], dict[str, str], list[Finding]]:
    """Return scores per row, figures with intervals, how each was computed, and what did not apply.

    `candidates` gives findings their names. Rows without an answer count for nothing; an empty
    answer is an answer. Figures come set by set, metric by metric, the first candidate first.
    """
    by_place = {(one.candidate, one.row): one for one in answers}
    most = max((candidate for candidate, _ in by_place), default=-1) + 1
    count = max(len(candidates) or len(config.candidates.models), most)
    titles = [one.title for one in candidates]
    titles += [str(place + 1) for place in range(len(titles), count)]
    answered = _Answered(config, rows, sets, by_place, titles)
    scores: Scores = {}
    figures: list[Scored] = []
    measures = list(_asked(answered))
    for measure in measures:
        counts = _counted(measure, answered)
        scores[measure.name] = [_row_scores(measure, row_counts) for row_counts in counts]
        figures += _figures(measure, counts, answered)
    figures.sort(key=lambda one: one.set)
    known = {one.metric for one in figures}
    signatures = {one.name: one.signature(config) for one in measures if one.name in known}
    _look_at_fit(measures, scores, answered)
    if any("likelihood" not in measure.needs for measure in measures):
        _look_at_texts(answered)
    return scores, figures, signatures, answered.findings


def between(
    config: EvaluateConfig,
    rows: Sequence[TestRow],
    answers: Iterable[RowAnswer],
    metric: str,
    number: int,
    pair: tuple[int, int],
) -> Difference | None:
    """Return how the second of two candidates differs from the first by a metric on one set.

    None where the metric cannot be computed here, or no row has both.
    """
    measure = MEASURES.get(metric)
    if measure is None or measure.missing:
        return None
    counts: dict[int, list[Counts | None]] = {place: [None] * len(rows) for place in pair}
    for one in answers:
        if one.candidate in counts and one.row < len(rows) and rows[one.row].set == number:
            counts[one.candidate][one.row] = measure.counts(rows[one.row], one, config)
    first, second = (counts[place] for place in pair)
    known = [place for place, count in enumerate(second) if count is not None]
    return _against(measure, first, second, known, config.test.seed)


def _asked(answered: _Answered) -> Iterator[Measure]:
    """Yield the metrics that can be computed here; the others become findings."""
    for name in dict.fromkeys(answered.config.measure.metrics):
        measure = MEASURES.get(name)
        if measure is None:
            answered.found("metric_unknown", metric=name, known=", ".join(MEASURES))
        elif missing := measure.missing:
            answered.found(
                "metric_package", metric=_named(measure), package=missing[0], extra=EXTRA
            )
        elif problem := _pattern_problem(measure, answered.config):
            answered.found(
                "metric_pattern", pattern=answered.config.measure.pattern, reason=problem
            )
        else:
            yield measure


def _pattern_problem(measure: Measure, config: EvaluateConfig) -> str | None:
    if "pattern" not in measure.needs or not config.measure.pattern:
        return None
    return text.pattern_problem(config.measure.pattern)


def _counted(measure: Measure, answered: _Answered) -> list[list[Counts | None]]:
    """Return what the metric counts, by candidate and row."""
    counts: list[list[Counts | None]] = [[None] * len(answered.rows) for _ in answered.titles]
    # Row by row: what a metric keeps of a reference serves all models.
    for (candidate, place), answer in sorted(answered.answers.items(), key=_row_number):
        row = answered.rows[place]
        counts[candidate][place] = measure.counts(row, answer, answered.config)
    return counts


def _row_number(item: tuple[tuple[int, int], RowAnswer]) -> int:
    (_, place), _ = item
    return place


def _row_scores(measure: Measure, counts: Sequence[Counts | None]) -> list[float | None]:
    known = [place for place, one in enumerate(counts) if one is not None]
    scores: list[float | None] = [None] * len(counts)
    if not known:
        return scores
    for place, score in zip(known, measure.figure(_matrix(counts, known)), strict=True):
        scores[place] = float(score)
    return scores


def _figures(
    measure: Measure, counts: Sequence[Sequence[Counts | None]], answered: _Answered
) -> Iterator[Scored]:
    seed = answered.config.test.seed
    for number in range(len(answered.sets)):
        places = answered.places(number)
        for candidate, own in enumerate(counts):
            known = [place for place in places if own[place] is not None]
            if not known:
                continue
            figure = _figure(measure, _matrix(own, known), seed)
            against = None
            if candidate:
                against = _against(measure, counts[0], own, known, seed)
            yield Scored(
                set=number, candidate=candidate, metric=measure.name, figure=figure,
                against_first=against,
            )  # fmt: skip


def _figure(measure: Measure, rows: Totals, seed: int) -> Figure:
    value = float(measure.figure(rows.sum(axis=0)))
    if len(rows) < 2:
        return Figure(value=value, rows=len(rows))
    if measure.is_share:
        right = int((rows[:, 0] == PERCENT).sum())
        low, high = (PERCENT * end for end in statistics.wilson(right, len(rows)))
    else:
        low, high = statistics.interval(rows, seed, measure.figure)
    return Figure(value=value, low=low, high=high, rows=len(rows))


def _against(
    measure: Measure,
    first: Sequence[Counts | None],
    own: Sequence[Counts | None],
    known: Sequence[int],
    seed: int,
) -> Difference | None:
    """Return the difference to the first candidate on the rows that both have."""
    both = [place for place in known if first[place] is not None]
    if not both:
        return None
    right = PERCENT if measure.is_share else None
    return statistics.paired(_matrix(first, both), _matrix(own, both), seed, measure.figure, right)


def _matrix(counts: Sequence[Counts | None], places: Sequence[int]) -> Totals:
    return np.array([counts[place] for place in places], dtype=float).reshape(len(places), -1)


def _look_at_fit(measures: Sequence[Measure], scores: Scores, answered: _Answered) -> None:
    """Note sets that metrics do not apply to, wholly or in part."""
    for number, test_set in enumerate(answered.sets):
        asked = [place for place in answered.places(number) if _has_answer(answered, place)]
        unfit: dict[str, list[str]] = {}
        partly: dict[int, list[str]] = {}
        for measure in measures:
            own = scores[measure.name]
            fit = sum(any(one[place] is not None for one in own) for place in asked)
            # That rows lack a reference is said once, where they are read.
            able = [place for place in asked if _could(measure, answered.rows[place])]
            if asked and not fit:
                unfit.setdefault(_lacking(measure), []).append(_named(measure))
            elif fit < len(able):
                partly.setdefault(fit, []).append(_named(measure))
        for need, names in unfit.items():
            named = {"metrics": ", ".join(names), "need": f"@scoring.need.{need}"}
            answered.found("metric_unfit", set=test_set.title, **named)
        for fit, names in partly.items():
            values = {"metrics": ", ".join(names), "rows": fit, "of": len(asked)}
            answered.found("metric_partly", set=test_set.title, **values)


def _could(measure: Measure, row: TestRow) -> bool:
    return "reference" not in measure.needs or wanted(row) is not None


def _lacking(measure: Measure) -> str:
    """Return the need that is most particular to a metric."""
    order = ("pattern", "contains", "choices", "json", "likelihood", "reference")
    return next((need for need in order if need in measure.needs), "answer")


def _has_answer(answered: _Answered, place: int) -> bool:
    found = (answered.answers.get((number, place)) for number in range(len(answered.titles)))
    return any(one is not None and not one.code for one in found)


def _look_at_texts(answered: _Answered) -> None:
    """Note candidates that say nothing, or never come to an end."""
    for candidate, title in enumerate(answered.titles):
        own = [one for (number, _), one in answered.answers.items() if number == candidate]
        given = [one for one in own if not one.code]
        empty = sum(not one.text.strip() for one in given)
        cut = sum(one.reason == "length" for one in given)
        values = {"model": title, "of": len(given)}
        if empty:
            answered.found("answers_empty", rows=empty, **values)
        if cut and cut > _OFTEN * len(given):
            answered.found("answers_cut", rows=cut, **values)


def _named(measure: Measure) -> str:
    """Return a metric's name as a value of a text; hyphenated names stand for themselves."""
    return measure.name if "-" in measure.name else f"@scoring.name.{measure.name}"
