"""The forgetting meter of a run: how far the model is from its base on a general probe.

The base side is read once, before training: a fresh adapter is the base, of one that goes on the
base is below it. Scores come from differences per sequence to the same sequence of the base, which
makes the interval narrow: Biderman et al. 2024, "LoRA Learns Less and Forgets Less", and
Kalajdzievski 2024, "Scaling Laws for Forgetting When Fine-Tuning Large Language Models".
"""

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from easytune import checkpoints, forgetting
from easytune.config import TrainConfig
from easytune.data import probe
from easytune.data.probe import ProbeRow
from easytune.data.rows import reasons_text
from easytune.engine import forgetting_base, hardware, models
from easytune.engine import forgetting_files as files
from easytune.engine.batching import StepBatches
from easytune.engine.forgetting_budget import ENOUGH, FEWEST, Budget, Work, clock
from easytune.engine.forgetting_figures import Figures, Reader, shortened
from easytune.engine.forgetting_files import BaseSide
from easytune.engine.models import Loaded
from easytune.engine.preparing import Material
from easytune.engine.reporting import Reporter
from easytune.engine.rhythm import rhythm
from easytune.errors import ProbeUnusable
from easytune.events import CategoryForgetting, Forgetting
from easytune.job import JobFolder

_Start = Literal["is_base", "goes_on", "changes_base"]
# A run that the user has stopped does not wait longer for its last score.
_PATIENCE_S = 10.0
_FOLDER = "forgetting"


@dataclass(frozen=True)
class Probe:
    """What is measured on: the sequences of a probe, its name, and the token that fills up."""

    name: str
    rows: Sequence[ProbeRow]
    pad_id: int


class Meter:
    """Measures the model of one run against its base, once `begin` has taken the base side.

    It keeps its figures in `folder`; `earlier` is that folder of the run that this one resumes.
    """

    def __init__(
        self,
        config: TrainConfig,
        given: Probe,
        work: Work,
        folder: Path,
        earlier: Path | None,
        report: Reporter,
        stop: Callable[[], bool],
    ) -> None:
        self.now = clock(hardware.device(config.memory.device).type)
        # A limit is of use only where it is looked at often.
        enough = FEWEST if config.monitor.forgetting_limit else ENOUGH
        self._start, self.probe, self.budget = _start(config), given, Budget(work, enough)
        self.folder, self.earlier, self.report, self.stop = folder, earlier, report, stop
        self.last: Forgetting | None = None
        self._side: BaseSide | None = None
        self._reader: Reader | None = None
        self._measured: dict[int, list[Figures]] = {}
        self._tried = False

    def before_adapter(self, bare: Loaded) -> None:
        """Take the base side where the start of the adapter is going to change the base."""
        if self._start == "changes_base":
            self._take_base(bare)

    def begin(self, loaded: Loaded) -> None:
        """Take the base side from the model of the run, if need be; measure that model from now on.

        Of a run that is too short to measure anything the user is told.
        """
        goes_on = self._start == "goes_on"
        with loaded.model.disable_adapter() if goes_on else contextlib.nullcontext():
            self._take_base(loaded)
        if self._side is not None:
            self._reader = Reader(loaded, self.probe.pad_id)

    def start(self) -> Forgetting | None:
        """Report the score before the first step: zero, unless the adapter has learned already."""
        if self._side is None:
            return None
        if self._start != "is_base":
            return self.measure(0)
        unmoved = [
            Figures(base.nll, 0.0, 0.0, len(base.likeliest), len(base.likeliest))
            for base in self._side.figures
        ]
        return self._report(0, unmoved, self.budget.spent)

    def measure(self, step: int) -> Forgetting | None:
        """Measure and report the model as it is now; None when it cannot be, or a stop is asked."""
        if self._side is None or self._reader is None:
            return None
        began, worked = time.monotonic(), self.now()
        found = self._compare(self._reader, self._side)
        if found is None:
            return None
        self.budget.took(self.now() - worked)
        if not all(math.isfinite(one.difference) and math.isfinite(one.kl) for one in found):
            self.report.notice("forgetting_not_finite", step=step)
            self._side = None
            return None
        return self._report(step, found, time.monotonic() - began)

    def is_due(self, later: int, training: float) -> bool:
        """Tell whether to measure at an evaluation, see `Budget.allows`; the last always is."""
        return self._side is not None and (later == 0 or self.budget.allows(later, training))

    def finish(self, step: int, stopped: bool, training: float) -> Forgetting | None:
        """Report the score of the weights that the run keeps, those after `step`, as the last one.

        `stopped` tells that the user waits: then only if it is quick, and within what it may cost
        of `training` seconds of steps. None when there is no score of these weights.
        """
        if not stopped:
            files.drop_predictions(self.folder)
        if step in self._measured:
            is_newest = self.last is not None and self.last.step == step
            return self.last if is_newest else self._report(step, self._measured[step], 0.0)
        if stopped and not self.budget.covers(training, _PATIENCE_S):
            return None
        self.stop = _never
        return self.measure(step)

    def _take_base(self, loaded: Loaded) -> None:
        if self._tried:
            return
        self._tried, began = True, self.now()
        rows = shortened(self.probe.rows, models.context_length(loaded.base) or probe.TOKENS)
        mark = probe.fingerprint(rows)
        found = files.read_base(self.earlier, mark, rows) if self.earlier else None
        self._side = found or self._read_base(Reader(loaded, self.probe.pad_id), rows)
        self.budget.spent += self.now() - began
        if self._side is None:
            return
        self.budget.expect(sum(len(row.input_ids) for row in self._side.rows))
        # A full disk ends a run by other means; only a resumed run would miss this.
        with contextlib.suppress(OSError):
            files.write_base(self.folder, self.probe.name, mark, self._side)

    def _read_base(self, reader: Reader, rows: Sequence[ProbeRow]) -> BaseSide | None:
        starts = 1 if self._start == "is_base" else 2
        return forgetting_base.read(reader, rows, self.budget, starts, self.report, self.stop)

    def _compare(self, reader: Reader, side: BaseSide) -> list[Figures] | None:
        bases = iter(side.figures)

        def figures(part: Sequence[ProbeRow]) -> list[Figures]:
            return reader.compare(part, [next(bases) for _ in part])

        return forgetting_base.each(reader.batches(side.rows), figures, self.stop)

    def _report(self, step: int, found: list[Figures], seconds: float) -> Forgetting:
        assert self._side is not None
        event = _event(step, self._side.rows, found, seconds)
        self._measured[step], self.last = found, event
        self.report(event)
        with contextlib.suppress(OSError):
            files.write_latest(self.folder, event, self._side.rows, found)
        return event


def meter(
    config: TrainConfig,
    material: Material,
    folder: JobFolder,
    resume: Path | None,
    report: Reporter,
    stop: Callable[[], bool],
) -> Meter | None:
    """Return the meter of a run; None when it is off, or the bundled probe does not fit the model.

    `resume` is the checkpoint that the run goes on from. Raises what `data.probe.load` raises for
    a probe of the user, and CheckpointInvalid.
    """
    if not config.monitor.forgetting:
        return None
    name, home = config.monitor.probe, folder.path.parent.parent
    try:
        found = probe.load(name, material.tokenizer, config.data, home)
    except ProbeUnusable as unusable:
        if name != probe.BUNDLED or config.monitor.forgetting_limit:
            raise
        report.notice("forgetting_no_probe", reasons=unusable.reasons)
        return None
    if found.problems:
        values = {"rows": len(found.problems), "reasons": reasons_text(found.problems)}
        report.notice("forgetting_rows_unusable", probe=name, **values)
    given = Probe(name, found.rows, material.tokenizer.pad_id)
    earlier = resume.parent.parent / _FOLDER if resume else None
    work = _work(config, material, checkpoints.step_of(resume) if resume else 0)
    return Meter(config, given, work, folder.out / _FOLDER, earlier, report, stop)


def _work(config: TrainConfig, material: Material, first_step: int) -> Work:
    """Return what is left to train after `first_step`."""
    schedule = config.schedule
    lengths = [len(example.input_ids) for example in material.train.examples]
    epoch = StepBatches(
        lengths, schedule.batch_size, config.micro_batches, schedule.seed, packed=False
    )
    when = rhythm(schedule, config.monitor, epoch.steps())
    epochs = (when.total - first_step) / epoch.steps()
    return Work(
        tokens=round(sum(lengths) * epochs),
        micro_batches=round(len(epoch) * epochs),
        evaluations=max(1, when.evaluations_after(first_step)),
    )


def _start(config: TrainConfig) -> _Start:
    """Tell what a model is before its first step: its base, or something else."""
    if config.model.method == "full":
        return "is_base"
    if config.model.adapter:
        return "goes_on"
    return "changes_base" if config.lora.init == "pissa" else "is_base"


def _event(
    step: int, rows: Sequence[ProbeRow], found: Sequence[Figures], seconds: float
) -> Forgetting:
    """Return what the figures of all sequences come to; every sequence counts the same."""
    total = forgetting.score([one.difference for one in found])
    tokens = sum(one.tokens for one in found)
    by_category: dict[str, list[float]] = {}
    for row, one in zip(rows, found, strict=True):
        by_category.setdefault(row.category, []).append(one.difference)
    return Forgetting(
        step=step,
        score=total.mean,
        low=total.low,
        high=total.high,
        kl=statistics.fmean(one.kl for one in found),
        agreement=sum(one.unchanged for one in found) / tokens,
        sequences=len(found),
        tokens=tokens,
        categories={name: _category(each) for name, each in by_category.items()},
        seconds=round(seconds, 3),
    )


def _category(differences: Sequence[float]) -> CategoryForgetting:
    one = forgetting.score(differences)
    return CategoryForgetting(
        score=one.mean, low=one.low, high=one.high, sequences=len(differences)
    )


def _never() -> bool:
    return False
