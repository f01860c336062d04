"""What a run will take, while its settings are being typed."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from easytune import estimate, machine, model_files, model_shape, paths
from easytune.config import ModelSection, TrainConfig
from easytune.data import apart, dataset, tokenizer
from easytune.data.insight import pace, row_lengths
from easytune.data.insight.pace import Pace
from easytune.data.insight.row_lengths import RowLengths
from easytune.errors import EasyTuneError, Unexpected
from easytune.estimate import Change, Estimate
from easytune.services.remembered import Remembered
from easytune.services.speed import SpeedProbe
from easytune.shapes import DataShape, Machine, ModelShape

T = TypeVar("T")
# Rows of files beyond this are counted in a process of their own: it may take as much memory as it
# likes, and the page goes on answering.
_LARGE_BYTES = 4_000_000
_NOT_DECIDING = {"max_length", "packing"}
_PACE_KEPT_S = 30.0


@dataclass(frozen=True)
class Advised:
    """An estimate and what it was made from, as far as that is known.

    `model` is None when the base is not on this machine yet or cannot be read, `data` when its rows
    have not been counted: `is_measuring` tells that they are being, `problem` why they cannot be.
    `changes` make a run fit that would not.
    """

    estimate: Estimate | None
    model: ModelShape | None
    data: DataShape | None
    machine: Machine
    changes: list[Change]
    problem: EasyTuneError | None
    is_measuring: bool


@dataclass(frozen=True)
class _Known:
    """A pace that was looked for, found or not."""

    pace: Pace | None


class Advice:
    """Knows the rows and models of one home once they were looked at. Threads may share one."""

    def __init__(self, home: Path) -> None:
        """Advise on runs of `home`."""
        self._home = home
        self._probe = SpeedProbe(home)
        self._rows: Remembered[object, RowLengths | EasyTuneError] = Remembered("row-lengths")
        self._paces: Remembered[object, _Known] = Remembered("pace")
        self._last_paces: dict[tuple[str, str], _Known] = {}
        self._shapes: dict[object, ModelShape | EasyTuneError] = {}

    def about(self, config: TrainConfig) -> Advised:
        """Return what is known now of a run; quick, and never raises for a bad choice.

        Rows, and the speed of this machine, are measured in the background the first time.
        """
        here = machine.look(config.memory.device, self._home)
        folder = _or_problem(lambda: model_files.resolve(config.model, self._home))
        if isinstance(folder, EasyTuneError) or folder is None:
            return Advised(None, None, None, here, [], folder, is_measuring=False)
        model = self._shape(folder)
        rows = self._count(config, folder)
        known = self._pace(config.model)
        is_measuring = rows is None or known is None
        data = _shape_of(rows, config)
        problem = next((each for each in (model, rows) if isinstance(each, EasyTuneError)), None)
        if isinstance(model, EasyTuneError):
            return Advised(None, None, data, here, [], problem, is_measuring)
        if known and known.pace is None and here.gflops is None:
            self._probe.begin()
        try:
            found = estimate.estimate(config, model, data, here, known.pace if known else None)
            changes = estimate.changes_that_fit(
                config, model, lambda changed: _shape_of(rows, changed), here
            )
        except EasyTuneError as unknown_layer:
            return Advised(None, model, data, here, [], unknown_layer, is_measuring)
        return Advised(found, model, data, here, changes, problem, is_measuring)

    def settled(self, config: TrainConfig, patience_s: float = 600.0) -> Advised:
        """Return what is known once everything was measured, the speed of this machine included."""
        give_up = time.monotonic() + patience_s
        while (advised := self.about(config)).is_measuring and time.monotonic() < give_up:
            self._rows.wait(give_up - time.monotonic())
            self._paces.wait(give_up - time.monotonic())
        if advised.estimate is None or advised.estimate.tokens_per_second is not None:
            return advised
        self._probe.measure()
        return self.about(config)

    def _shape(self, folder: Path) -> ModelShape | EasyTuneError:
        key = folder, _stamps([folder / "config.json", *sorted(folder.glob("*.safetensors"))])
        if key not in self._shapes:
            self._shapes[key] = _or_problem(lambda: model_shape.read(folder))
        return self._shapes[key]

    def _count(self, config: TrainConfig, folder: Path) -> RowLengths | EasyTuneError | None:
        """Return the lengths of rows, why they cannot be counted, or None while they are."""
        files = _or_problem(lambda: dataset.source_files(config.data, self._home))
        if isinstance(files, EasyTuneError):
            return files
        template = [Path(config.data.chat_template)] if config.data.chat_template else []
        stamps = _stamps([*files, *tokenizer.files(folder), *template])
        deciding = config.data.model_dump_json(exclude=_NOT_DECIDING)
        key = deciding, config.schedule.seed, folder, stamps
        is_large = sum(size for _, _, size in stamps) > _LARGE_BYTES or any(
            # Of a version only the list of its parts was looked at.
            name.startswith("dataset:")
            for name in config.data.datasets
        )
        return self._rows.ask(key, lambda: _counted(config, folder, self._home, is_large))

    def _pace(self, model: ModelSection) -> _Known | None:
        runs = paths.runs(self._home)
        changed = runs.stat().st_mtime_ns if runs.exists() else 0
        # A run that goes on has more to tell later; until then what it told holds.
        period = int(time.monotonic() / _PACE_KEPT_S)
        way = model.base_model, model.method
        found = self._paces.ask(
            (*way, changed, period), lambda: _Known(pace.latest(self._home, model))
        )
        if found is not None:
            self._last_paces[way] = found
        return self._last_paces.get(way)


def _counted(
    config: TrainConfig, folder: Path, home: Path, is_large: bool
) -> RowLengths | EasyTuneError:
    try:
        if is_large:
            return apart.call(row_lengths.count, config, folder, home)
        return row_lengths.count(config, folder, home)
    except EasyTuneError as problem:
        return problem
    except (OSError, ValueError) as problem:
        return Unexpected(reason=str(problem))


def _shape_of(rows: RowLengths | EasyTuneError | None, config: TrainConfig) -> DataShape | None:
    return row_lengths.shape_of(rows, config) if isinstance(rows, RowLengths) else None


def _or_problem(work: Callable[[], T]) -> T | EasyTuneError:
    try:
        return work()
    except EasyTuneError as problem:
        return problem


def _stamps(files: list[Path]) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a file does."""
    found = []
    for file in files:
        try:
            facts = file.stat()
            found.append((str(file), facts.st_mtime_ns, facts.st_size))
        except OSError:
            found.append((str(file), 0, 0))
    return tuple(found)
