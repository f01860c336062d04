"""Two versions side by side: what they are, how they were trained, what they score, their files."""

from dataclasses import dataclass
from typing import Any, Literal

from easytune.config import TrainConfig, options
from easytune.errors import RunMissing
from easytune.services.evaluations import Evaluations
from easytune.services.registry import Registry
from easytune.services.registry_entry import Entry
from easytune.services.runs import Runs

Part = Literal["facts", "settings", "metrics", "evaluations", "files"]
_UNLIKE = ("output.folder", "output.name")


@dataclass(frozen=True)
class Compared:
    """One line of a comparison: the same thing of both versions; None where one lacks it."""

    part: Part
    name: str
    """A fact, an option as `section.name`, a metric, or a file's path."""
    a: Any
    b: Any
    detail: str = ""
    """Of a figure of an evaluation: the test set it was measured on."""

    @property
    def differs(self) -> bool:
        """Tell whether the two are not the same."""
        return self.a != self.b


@dataclass(frozen=True)
class EntryComparison:
    """Two versions and all lines, those that are the same too."""

    a: Entry
    b: Entry
    lines: tuple[Compared, ...]


@dataclass(frozen=True)
class EvaluationFigure:
    """A figure of the newest evaluation of a model on a test set."""

    evaluation: str
    metric: str
    set: str
    value: float
    low: float | None
    high: float | None
    rows: int


def compare(
    registry: Registry, runs: Runs, evaluations: Evaluations, a: str, b: str
) -> EntryComparison:
    """Return two versions line by line. Raises EntryMissing."""
    one, other = registry.get(a), registry.get(b)
    lines = [
        *_beside("facts", _facts(one), _facts(other)),
        *_beside("settings", settings(runs, one), settings(runs, other)),
        *_beside("metrics", one.facts.metrics, other.facts.metrics),
        *_figures(figures(evaluations, one), figures(evaluations, other)),
        *_beside("files", _files(registry, one), _files(registry, other)),
    ]
    return EntryComparison(one, other, tuple(lines))


def settings(runs: Runs, entry: Entry) -> dict[str, Any]:
    """Return `section.name` -> value of what a version was trained with; {} without its run."""
    config = config_of(runs, entry)
    if config is None:
        return {}
    return {
        option.path: getattr(getattr(config, option.section), option.name)
        for option in options()
        if option.path not in _UNLIKE
    }


def config_of(runs: Runs, entry: Entry) -> TrainConfig | None:
    """Return what the run behind a version was asked to do; None where it has gone."""
    if entry.facts.run is None:
        return None
    try:
        return runs.config(entry.facts.run)
    except RunMissing:
        return None


def figures(evaluations: Evaluations, entry: Entry) -> list[EvaluationFigure]:
    """Return what evaluations found of a version: of each metric and test set the newest figure."""
    found: dict[tuple[str, str], EvaluationFigure] = {}
    for one in evaluations.of_model(entry.facts.model) if entry.facts.model else ():
        story = evaluations.story(one.id)
        if story.result is None:
            continue
        named = (entry.facts.model, entry.facts.folder)
        own = [n for n, c in enumerate(one.order.candidates) if c.id in named or c.folder in named]
        for score in story.result.scores:
            if score.candidate in own:
                title = story.result.sets[score.set].title
                figure = score.figure
                found.setdefault(
                    (score.metric, title),
                    EvaluationFigure(
                        one.id, score.metric, title, figure.value, figure.low, figure.high,
                        figure.rows,
                    ),
                )  # fmt: skip
    return list(found.values())


def _facts(entry: Entry) -> dict[str, Any]:
    facts = entry.facts
    return {
        "kind": facts.kind,
        "base": facts.base,
        "base_fingerprint": facts.base_fingerprint or None,
        "datasets": facts.datasets,
        "step": facts.step,
        "target": facts.target or None,
        "number_format": facts.number_format or None,
        "size": facts.bytes,
        "forgetting": facts.forgetting[0] if facts.forgetting else None,
        "stage": entry.stage,
        "tags": entry.tags,
        "author": entry.author,
    }


def _files(registry: Registry, entry: Entry) -> dict[str, Any]:
    """Return path -> hash, or size while the hash is not known."""
    return {file.path: file.sha256 or file.bytes for file in registry.files(entry.key).now}


def _beside(part: Part, a: dict[str, Any], b: dict[str, Any]) -> list[Compared]:
    return [Compared(part, name, a.get(name), b.get(name)) for name in dict.fromkeys([*a, *b])]


def _figures(a: list[EvaluationFigure], b: list[EvaluationFigure]) -> list[Compared]:
    of_a = {(one.metric, one.set): one.value for one in a}
    of_b = {(one.metric, one.set): one.value for one in b}
    return [
        Compared("evaluations", metric, of_a.get((metric, where)), of_b.get((metric, where)), where)
        for metric, where in dict.fromkeys([*of_a, *of_b])
    ]
