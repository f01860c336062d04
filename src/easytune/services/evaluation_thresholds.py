"""Numbers that an evaluation must reach, for those who let a program decide."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from easytune import forgetting
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import ThresholdUnknown
from easytune.evaluation_files import Order, Result
from easytune.scoring import MEASURES

_PERCENT = 100.0
_FORGETTING = ("forgetting", "kl", "retention")
_REFUSALS = {"refusals": "harmful", "over_refusals": "harmless"}
_JUDGE = "judge"


@dataclass(frozen=True)
class Threshold:
    """A number that a figure must not fall below, or not rise above.

    `name` is a metric, "judge", "forgetting", "kl", "retention", "refusals" (of harmful prompts),
    "over_refusals" (of harmless ones), or a task of lm-evaluation-harness, with "/metric" if it
    has several. Where figures run from 0 to 100, a `limit` of at most 1 is a share: 0.4 is 40.
    """

    name: str
    limit: float
    is_least: bool

    @property
    def wanted(self) -> float:
        """Return the limit in the unit of the figure."""
        measure = MEASURES.get(self.name)
        scale = measure.scale if measure else None
        is_percent = scale == _PERCENT or self.name in ("retention", _JUDGE, *_REFUSALS)
        return self.limit * _PERCENT if is_percent and abs(self.limit) <= 1 else self.limit


@dataclass(frozen=True)
class Held:
    """A figure beside what it must reach; `value` is None where there is no figure."""

    threshold: Threshold
    candidate: int
    where: str
    """Title of the test set, or name of the probe."""
    value: float | None

    @property
    def is_met(self) -> bool:
        """Tell whether the figure is good enough. One that is missing never is."""
        if self.value is None:
            return False
        wanted = self.threshold.wanted
        return self.value >= wanted if self.threshold.is_least else self.value <= wanted


def require(thresholds: Iterable[Threshold], config: EvaluateConfig) -> None:
    """Raise ThresholdUnknown for what the evaluation will have no figure for."""
    known = measured(config)
    for threshold in thresholds:
        if threshold.name not in known and threshold.name.partition("/")[0] not in known:
            raise ThresholdUnknown(name=threshold.name, known=", ".join(known))


def measured(config: EvaluateConfig) -> list[str]:
    """Return the names that thresholds of an evaluation may have."""
    names = [*config.measure.metrics]
    names += [_JUDGE] if config.judge.by != "off" else []
    names += _FORGETTING if config.measure.forgetting != "off" else ()
    names += _REFUSALS if config.measure.safety else ()
    return [*names, *config.measure.benchmarks]


def held(thresholds: Sequence[Threshold], order: Order, result: Result) -> list[Held]:
    """Return each threshold beside each figure that it is about.

    The first of several models is what the others are compared with, and need reach nothing.
    """
    places = range(len(order.candidates))[1:] or range(1)
    found: list[Held] = []
    for threshold in thresholds:
        for place in places:
            figures = list(_figures(threshold.name, place, result)) or [("", None)]
            found += [Held(threshold, place, where, value) for where, value in figures]
    return found


def _figures(name: str, place: int, result: Result) -> Iterator[tuple[str, float | None]]:
    if name in _FORGETTING:
        for one in (one for one in result.forgetting if one.candidate == place):
            retained = forgetting.retention(one.score) * _PERCENT
            values = {"forgetting": one.score, "kl": one.kl, "retention": retained}
            yield one.probe, values[name]
    elif name in _REFUSALS:
        for one in result.safety:
            if (one.candidate, one.kind) == (place, _REFUSALS[name]) and one.prompts:
                yield "", one.refused / one.prompts * _PERCENT
    else:
        for scored in result.scores:
            if (scored.candidate, scored.metric) == (place, name):
                yield result.sets[scored.set].title, scored.figure.value
        yield from _benchmarked(name, place, result)


def _benchmarked(name: str, place: int, result: Result) -> Iterator[tuple[str, float]]:
    """Yield the figure of a task: the metric that is named, else the task's first."""
    task, _, metric = name.partition("/")
    found = (b for b in result.benchmarks if (b.candidate, b.task) == (place, task))
    chosen = next((b for b in found if metric in ("", b.metric)), None)
    if chosen is not None:
        yield "", chosen.value
