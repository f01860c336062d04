"""Several evaluations side by side: the same metric on the same test set, and what differs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from easytune.evaluation import EvaluateConfig, options
from easytune.evaluation_files import Figure, Order, Result, TestSet

_NAMES_ONLY = ("report.name",)
_Z = 1.96


@dataclass(frozen=True)
class ComparedModel:
    """One column: a model as one evaluation measured it."""

    evaluation: str
    """Id of the evaluation."""
    name: str
    """What the evaluation is called."""
    candidate: int
    """Its place in that evaluation."""
    model: str
    """Id of the model."""
    title: str
    fingerprint: str
    """Of its weights: two columns with the same one are the same model."""


@dataclass(frozen=True)
class ComparedFigure:
    """One row: a metric on one test set, by the columns that have it."""

    kind: str
    """`metric`, `forgetting`, `safety` or `benchmark`."""
    set: str
    """Name of the test set, of the probe, or of the benchmark's task."""
    title: str
    metric: str
    figures: tuple[Figure | None, ...]
    """One for each column; None where that evaluation has no such figure."""
    differs: bool
    """Whether the columns have different values."""
    apart: bool
    """Whether the intervals of some two columns do not overlap."""
    same_rows: bool
    """Whether all of them were measured on the very same rows, in the same way."""


@dataclass(frozen=True)
class ComparedOption:
    """An option that the evaluations do not agree on."""

    path: str
    """`section.option`."""
    values: tuple[Any, ...]
    """One for each evaluation, in their order."""


@dataclass(frozen=True)
class EvaluationTable:
    """What evaluations have found, side by side."""

    evaluations: tuple[str, ...]
    columns: tuple[ComparedModel, ...]
    rows: tuple[ComparedFigure, ...]
    options: tuple[ComparedOption, ...]
    """Options, models and test sets left aside, in which the evaluations differ."""


@dataclass(frozen=True)
class Measured:
    """One evaluation to put beside others."""

    id: str
    name: str
    order: Order
    result: Result


@dataclass
class _Row:
    title: str
    figures: dict[int, Figure] = field(default_factory=dict)
    ways: set[tuple[str, str]] = field(default_factory=set)
    """Fingerprints of the rows, and signatures of the metric."""


def tabulate(found: Sequence[Measured]) -> EvaluationTable:
    """Return evaluations side by side, in their order; columns are their models."""
    columns: list[ComparedModel] = []
    rows: dict[tuple[str, str, str], _Row] = {}
    for one in found:
        first = len(columns)
        columns += _columns(one)
        for kind, of, title, metric, candidate, figure, way in _figures(one.result):
            row = rows.setdefault((kind, of, metric), _Row(title))
            row.figures[first + candidate] = figure
            row.ways.add(way)
    return EvaluationTable(
        evaluations=tuple(one.id for one in found),
        columns=tuple(columns),
        rows=tuple(_row(*key, row, len(columns)) for key, row in rows.items()),
        options=tuple(_options([one.order.config for one in found])),
    )


def _columns(one: Measured) -> list[ComparedModel]:
    return [
        ComparedModel(one.id, one.name, place, model.id, model.title, model.fingerprint)
        for place, model in enumerate(one.order.candidates)
    ]


_Entry = tuple[str, str, str, str, int, Figure, tuple[str, str]]


def _figures(result: Result) -> Iterator[_Entry]:
    """Yield kind, set, its title, metric, candidate, figure, and how it was measured."""
    for score in result.scores:
        on = result.sets[score.set] if score.set < len(result.sets) else _GONE
        way = on.fingerprint, result.signatures.get(score.metric, "")
        yield "metric", on.name, on.title, score.metric, score.candidate, score.figure, way
    for one in result.forgetting:
        figure = Figure(value=one.score, low=one.low, high=one.high, rows=one.sequences)
        way = str(one.tokens), ""
        yield "forgetting", one.probe, one.probe, "forgetting", one.candidate, figure, way
    for one in result.safety:
        share = one.refused / one.prompts if one.prompts else 0.0
        figure = Figure(value=100 * share, low=100 * one.low, high=100 * one.high, rows=one.prompts)
        metric = f"refusals_{one.kind}"
        yield "safety", one.kind, one.kind, metric, one.candidate, figure, (str(one.prompts), "")
    for one in result.benchmarks:
        margin = None if one.stderr is None else _Z * one.stderr
        low, high = (None, None) if margin is None else (one.value - margin, one.value + margin)
        figure = Figure(value=one.value, low=low, high=high, rows=one.rows)
        way = str(one.rows), ""
        yield "benchmark", one.task, one.task, one.metric, one.candidate, figure, way


_GONE = TestSet(name="", title="", fingerprint="", rows=0)


def _row(kind: str, of: str, metric: str, row: _Row, columns: int) -> ComparedFigure:
    figures = tuple(row.figures.get(place) for place in range(columns))
    known = [figure for figure in figures if figure is not None]
    return ComparedFigure(
        kind=kind,
        set=of,
        title=row.title,
        metric=metric,
        figures=figures,
        differs=len({round(figure.value, 9) for figure in known}) > 1,
        apart=_are_apart(known),
        same_rows=len(row.ways) == 1,
    )


def _are_apart(figures: Sequence[Figure]) -> bool:
    """Tell whether some interval ends below the begin of another."""
    spans = [(f.low, f.high) for f in figures if f.low is not None and f.high is not None]
    return bool(spans) and min(high for _, high in spans) < max(low for low, _ in spans)


def _options(configs: Sequence[EvaluateConfig]) -> Iterator[ComparedOption]:
    """Yield the options that differ, in the order of declaration."""
    contents = [config.model_dump(mode="json") for config in configs]
    for option in options():
        if option.section in ("candidates", "test") and option.name in ("models", "datasets"):
            continue
        values = tuple(content[option.section][option.name] for content in contents)
        if option.path not in _NAMES_ONLY and any(value != values[0] for value in values):
            yield ComparedOption(option.path, values)
