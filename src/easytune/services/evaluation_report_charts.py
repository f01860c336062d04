"""The charts of an evaluation's report, as SVG that needs no script."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from easytune.evaluation_files import Figure
from easytune.i18n import t
from easytune.scoring import MEASURES, metric_name
from easytune.services import evaluation_report_svg as svg
from easytune.services.evaluation_report_material import Material
from easytune.services.evaluation_report_svg import Mark, Point
from easytune.services.evaluation_report_words import interval

MOST = 24
"""How many charts a report has at most."""
_BINS = 10


@dataclass(frozen=True)
class Chart:
    """A picture and what it shows."""

    title: str
    svg: str


def charts(material: Material, lang: str) -> list[Chart]:
    """Return the charts that the figures allow: those that compare nothing are left out."""
    drawn = [
        *over_steps(material, lang),
        *against_forgetting(material, lang),
        *by_model(material, lang),
        *distributions(material, lang),
    ]
    return drawn[:MOST]


def by_model(material: Material, lang: str) -> Iterator[Chart]:
    """Yield a chart per test set and metric: a dot per model, its interval as a line."""
    if len(material.candidates) < 2:
        return
    for place, test_set in enumerate(material.result.sets):
        for metric in material.metrics:
            marks = _marks(material, place, metric)
            if len(marks) > 1:
                title = _titled("by_model", metric, test_set.title, lang)
                yield Chart(title, svg.dots(marks))


def over_steps(material: Material, lang: str) -> Iterator[Chart]:
    """Yield a chart per run with several checkpoints, test set and metric."""
    for run, places in _runs(material).items():
        for number, test_set in enumerate(material.result.sets):
            for metric in material.metrics:
                points = _steps(material, places, number, metric)
                if len(points) > 1:
                    name = metric_name(metric, lang)
                    facts = {"metric": name, "set": test_set.title, "run": run}
                    title = t("evaluation_report.over_steps", lang, **facts)
                    yield Chart(title, svg.line(points, t("evaluation_report.step", lang), name))


def against_forgetting(material: Material, lang: str) -> Iterator[Chart]:
    """Yield learning against forgetting: a point per model, by the first metric."""
    metric = next(iter(material.metrics), None)
    if metric is None or not material.result.forgetting:
        return
    for probe in dict.fromkeys(one.probe for one in material.result.forgetting):
        for place, test_set in enumerate(material.result.sets):
            points = _weighed(material, probe, place, metric)
            if len(points) > 1:
                title = _titled("against_forgetting", metric, test_set.title, lang)
                below = t("evaluation_report.forgotten_axis", lang)
                yield Chart(title, svg.scatter(points, below, metric_name(metric, lang)))


def distributions(material: Material, lang: str) -> Iterator[Chart]:
    """Yield how the scores of single rows are spread, per metric, of all test sets together."""
    for metric, columns in material.scores.items():
        found = [[v for v in column if v is not None and math.isfinite(v)] for column in columns]
        values = [value for column in found for value in column]
        if len(set(values)) > 2:
            edges = _edges(metric, values)
            counts = [_counted(column, edges) for column in found]
            names = [candidate.title for candidate in material.candidates]
            title = t("evaluation_report.distribution", lang, metric=metric_name(metric, lang))
            yield Chart(title, svg.histogram(names, counts, edges))


def _titled(key: str, metric: str, test_set: str, lang: str) -> str:
    return t(f"evaluation_report.{key}", lang, metric=metric_name(metric, lang), set=test_set)


def _marks(material: Material, test_set: int, metric: str) -> list[Mark]:
    marks = []
    for place, candidate in enumerate(material.candidates):
        scored = material.scored(test_set, place, metric)
        if scored is not None:
            marks.append(_mark(candidate.title, scored.figure, place, metric))
    return marks


def _mark(name: str, figure: Figure, place: int, metric: str) -> Mark:
    low = figure.value if figure.low is None else figure.low
    high = figure.value if figure.high is None else figure.high
    return Mark(name, figure.value, low, high, interval(figure, metric), place)


def _runs(material: Material) -> dict[str, list[int]]:
    """Return the runs of which several steps were measured: their places in the evaluation."""
    found: dict[str, list[int]] = {}
    for place, candidate in enumerate(material.candidates):
        if candidate.run is not None and candidate.step is not None:
            found.setdefault(candidate.run, []).append(place)
    return {run: places for run, places in found.items() if len(places) > 1}


def _steps(material: Material, places: Sequence[int], test_set: int, metric: str) -> list[Point]:
    """Return the figure at each step, that of the base before the first."""
    base = material.candidates[places[0]].base
    first = [p for p, c in enumerate(material.candidates) if c.id == base and not c.is_adapter]
    points = []
    for place in (*first[:1], *places):
        scored = material.scored(test_set, place, metric)
        step = 0 if place in first else material.candidates[place].step
        if scored is not None and step is not None:
            mark = _mark(material.candidates[place].title, scored.figure, place, metric)
            points.append(Point(mark.name, float(step), mark.value, mark.low, mark.high, 1))
    return sorted(points, key=lambda point: point.x)


def _weighed(material: Material, probe: str, test_set: int, metric: str) -> list[Point]:
    """Return a point per model; a base is where nothing is forgotten."""
    forgotten = {o.candidate: o.score for o in material.result.forgetting if o.probe == probe}
    points = []
    for place, candidate in enumerate(material.candidates):
        scored = material.scored(test_set, place, metric)
        x = forgotten.get(place, 0.0 if candidate.id == candidate.base else None)
        if scored is not None and x is not None:
            mark = _mark(candidate.title, scored.figure, place, metric)
            points.append(Point(mark.name, x, mark.value, mark.low, mark.high, place))
    return points


def _edges(metric: str, values: Sequence[float]) -> list[float]:
    """Return the limits of the bars: those of the metric, else of the values."""
    measure = MEASURES.get(metric)
    low, high = min(values), max(values)
    if measure and measure.scale and low >= 0 and high <= measure.scale:
        low, high = 0.0, measure.scale
    return [low + (high - low) * place / _BINS for place in range(_BINS + 1)]


def _counted(values: Sequence[float], edges: Sequence[float]) -> list[int]:
    counts = [0] * _BINS
    width = (edges[-1] - edges[0]) or 1.0
    for value in values:
        counts[min(_BINS - 1, int((value - edges[0]) / width * _BINS))] += 1
    return counts
