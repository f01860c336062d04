"""How fast this machine trains a model, as its earlier runs have shown."""

import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from easytune import events, paths
from easytune.config import ModelSection
from easytune.events import Step
from easytune.job import JobFolder

# The first steps warm up, and a long run may have shared the machine at times.
_STEPS_LOOKED_AT = 30


@dataclass(frozen=True)
class Pace:
    """Tokens a second (padding not counted) of one run, in the middle of its last steps."""

    run: str
    tokens_per_second: float


def latest(home: Path, model: ModelSection) -> Pace | None:
    """Return the pace of the latest run of this home on a base model; None when there was none.

    A run that trained it the same way (adapter or all weights) is preferred to a later one.
    """
    otherwise: Pace | None = None
    for folder, trained in _runs(home):
        same_way = trained.method == model.method
        if trained.base_model != model.base_model or (otherwise and not same_way):
            continue
        pace = _of(folder)
        if pace and same_way:
            return pace
        otherwise = otherwise or pace
    return otherwise


def _runs(home: Path) -> Iterator[tuple[JobFolder, ModelSection]]:
    """Yield the runs of a home, latest first: their names begin with the time."""
    runs = paths.runs(home)
    names = sorted((path for path in runs.glob("[!.]*") if path.is_dir()), reverse=True)
    for folder in map(JobFolder, names):
        try:
            yield folder, folder.read().config.model
        except (OSError, ValueError, yaml.YAMLError):
            # A folder that is no run, or one that a later version wrote.
            continue


def _of(folder: JobFolder) -> Pace | None:
    found, _ = events.read(folder.events)
    speeds = [e.tokens_per_second for e in found if isinstance(e, Step) and e.tokens_per_second]
    last = speeds[-_STEPS_LOOKED_AT:]
    return Pace(folder.id, round(statistics.median(last), 1)) if last else None
