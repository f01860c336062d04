"""Which run used which version of which dataset, and what has changed since."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from easytune.config import TrainConfig
from easytune.data.stored import Reference
from easytune.data.versions.library import Library
from easytune.dataset_errors import DatasetUnknown, VersionUnknown

if TYPE_CHECKING:
    from easytune.services.runs import Runs


@dataclass(frozen=True)
class UsedBy:
    """A run that was trained, or will be, on a version."""

    id: str
    name: str


class Since(NamedTuple):
    """A version that a run used, and the current one of the same dataset (None: it is gone)."""

    used: Reference
    current: Reference | None


def references(config: TrainConfig) -> list[Reference]:
    """Return the versions a run is to learn from or to be measured on, each once."""
    named = [*config.data.datasets, config.data.held_out_file or "", *general(config)]
    found = [reference for name in named if (reference := Reference.parse(name))]
    return list(dict.fromkeys(found))


def general(config: TrainConfig) -> list[str]:
    """Return the datasets of general rows that a run uses: to replay, to measure forgetting on."""
    replay = [config.data.replay] if config.data.replay_share > 0 else []
    return replay + ([config.monitor.probe] if config.monitor.forgetting else [])


def pinned(config: TrainConfig, library: Library) -> TrainConfig:
    """Return the config with the current version's number wherever only a dataset is named.

    Raises DatasetUnknown and VersionUnknown.
    """
    held_out, used = config.data.held_out_file, general(config)
    replay, probe = config.data.replay, config.monitor.probe
    return config.changed(
        data__datasets=tuple(_pinned(name, library) for name in config.data.datasets),
        data__held_out_file=held_out and _pinned(held_out, library),
        data__replay=_pinned(replay, library) if replay in used else replay,
        monitor__probe=_pinned(probe, library) if probe in used else probe,
    )


def used_by(runs: "Runs", dataset: str, number: int | None = None) -> list[UsedBy]:
    """Return the runs that name a version, or with None any of a dataset, newest first."""
    return [
        UsedBy(run.id, run.name)
        for run in runs.list()
        if any(
            each.id == dataset and number in (None, each.number)
            for each in references(run.order.config)
        )
    ]


def since(config: TrainConfig, library: Library) -> list[Since]:
    """Return each version that a run's config names, and what is current now."""
    return [Since(each, _current(each.id, library)) for each in references(config)]


def _current(dataset: str, library: Library) -> Reference | None:
    try:
        return library.version(dataset).reference
    except (DatasetUnknown, VersionUnknown):
        return None


def _pinned(name: str, library: Library) -> str:
    reference = Reference.parse(name)
    if reference is None:
        return name
    return str(Reference(reference.id, library.version(reference.id, reference.number).number))
