"""Two real optimizer steps on the longest rows of a run, and what they say about the whole of it.

The steps are those of the run itself: its data, its model, its optimizer, its schedule. The two
with the largest micro-batches come first, since they decide whether memory suffices; a few usual
ones follow where they are quick, since the longest rows alone would say too little about the pace.
"""

import gc
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil
import torch

from easytune import machine, model_files, records
from easytune.config import TrainConfig
from easytune.engine import (
    chosen_steps,
    hardware,
    memory_limit,
    preparing,
    row_warnings,
    run_time,
    sweep,
)
from easytune.engine.preparing import Material, Prepared
from easytune.engine.reporting import Reporter
from easytune.engine.step_watch import StepWatch
from easytune.errors import Diverged
from easytune.events import Trial
from easytune.job import CheckWishes, Job, JobFolder

LONGEST, USUAL = 2, 3
FACTS = "facts.json"
"""What a try knows before its steps, in case it dies: the `longest` row in tokens, `limit_gb` of
memory, and `tokens_at_once` in its largest micro-batch."""
# The rest of the machine goes on, too.
_USABLE_SHARE = 0.95
_QUICK_S = 8.0
_KNOWN_LOSS, _ZERO_LOSS = 0.15, 1e-6


@dataclass
class Bench:
    """Where a run is set up to be tried: as often as wanted, always from its start."""

    config: TrainConfig
    wishes: CheckWishes
    folder: JobFolder
    model_folder: Path
    material: Material
    limit_gb: float | None
    """Memory to stay within; None: any."""

    def prepare(self) -> Prepared:
        """Load the model anew, within the memory that may be used."""
        gc.collect()
        # No tracker shall hear of a try.
        config = self.config.changed(monitor__report_to="none")
        files = self.model_folder.glob("*.safetensors")
        self._hold(sum(file.stat().st_size for file in files) / 1e9)
        loaded = preparing.load(config, self.model_folder)
        self._hold(0.0)
        return preparing.prepare(config, self.model_folder, self.material, loaded)

    def _hold(self, mapped_gb: float) -> None:
        if self.limit_gb is not None:
            device = hardware.device(self.config.memory.device)
            memory_limit.hold(self.limit_gb, device, mapped_gb)


@dataclass(frozen=True)
class Tried:
    """A run whose steps fit, and what they say about it."""

    bench: Bench
    trial: Trial
    metrics: dict[str, float]


def try_out(
    job: Job, folder: JobFolder, home: Path, report: Reporter, began: float, *, limited: bool
) -> Tried:
    """Set up the run of `job` and make the steps that decide.

    `limited`: see `trial.run`; `began` is when the process did, by the monotonic clock. Metrics
    are `total_seconds`, of the whole run, `training_seconds`, of its steps, `total_steps`,
    `tokens_per_second` and `step_seconds`, of the largest step. Raises whatever training would.
    """
    config, wishes = job.config, job.wishes or CheckWishes()
    preparing.check(config)
    report.phase("loading_data")
    model_folder = model_files.fetch(config.model, home)
    material = preparing.material(config, model_folder, folder.out, home, report)
    row_warnings.report_all(config, material, report)
    _note(folder, longest=max(len(example.input_ids) for example in material.train.examples))
    report.phase("loading_model")
    limit_gb = _limit_gb(wishes, hardware.device(config.memory.device)) if limited else None
    _note(folder, limit_gb=limit_gb)
    bench = Bench(config, wishes, folder, model_folder, material, limit_gb)
    prepared = bench.prepare()
    preparing.say_what_differs(prepared, report)
    _say_other_device(wishes, config, prepared, report)
    report.phase("training")
    startup = time.monotonic() - began
    watch = _steps(prepared, folder, report)
    costs = run_time.measure(prepared, watch.trainer, _pace(watch))
    metrics = {
        "total_seconds": costs.of_run(prepared, startup),
        "training_seconds": costs.training(prepared),
        "total_steps": float(prepared.rhythm.total),
        "tokens_per_second": costs.tokens_per_second,
        "step_seconds": watch.seconds[LONGEST - 1],
    }
    return Tried(bench, _trial(prepared, watch, folder, metrics), metrics)


def sweep_rates(tried: Tried, report: Reporter) -> dict[str, float]:
    """Make the sweeps that are wished for; `suggested_rate` is the result of a range test."""
    bench, found = tried.bench, {}
    if bench.wishes.steady:
        sweep.at_chosen_rate(bench.prepare(), bench.folder.out, report)
    if bench.wishes.range_test:
        rate = sweep.over_rates(bench.prepare(), bench.folder.out, report)
        if rate is not None:
            found["suggested_rate"] = rate
    return found


def _limit_gb(wishes: CheckWishes, device: torch.device) -> float:
    """Return what the process may take, what it holds already included."""
    if wishes.memory_gb is not None:
        return wishes.memory_gb
    own = 0.0 if device.type == "cuda" else psutil.Process().memory_info().rss / 1e9
    return own + _USABLE_SHARE * hardware.free_memory_gb(device)


def _steps(prepared: Prepared, folder: JobFolder, report: Reporter) -> StepWatch:
    """Make the heaviest steps, then some usual ones while that is quick."""
    schedule = prepared.config.schedule
    batches = chosen_steps.heaviest_first(prepared.batches, schedule.epochs, LONGEST, USUAL)
    at_once = max(batches.tokens_at_once())
    _note(folder, tokens_at_once=at_once)
    # A run may be shorter than its trial.
    rhythm = replace(prepared.rhythm, total=max(prepared.rhythm.total, LONGEST + USUAL))
    trainer = preparing.trainer(replace(prepared, rhythm=rhythm), folder.checkpoints, batches)
    watch = StepWatch(prepared, trainer, _enough)
    try:
        trainer.train()
    except Diverged as error:
        if error.step == 1:
            report.notice("check_not_finite")
        raise
    _warn_about(watch, report)
    return watch


def _enough(watch: StepWatch) -> bool:
    made = len(watch.seconds)
    return made >= LONGEST and (made >= LONGEST + USUAL or sum(watch.seconds) > _QUICK_S)


def _pace(watch: StepWatch) -> float:
    """Return tokens a second of the usual steps, else of the last; the first only warms up."""
    first = LONGEST if len(watch.seconds) > LONGEST else len(watch.seconds) - 1
    return sum(watch.tokens[first:]) / max(sum(watch.seconds[first:]), 1e-9)


def _warn_about(watch: StepWatch, report: Reporter) -> None:
    loss, norm = watch.losses[0], watch.grad_norms[0]
    if loss <= _ZERO_LOSS:
        report.notice("check_loss_zero")
    elif loss < _KNOWN_LOSS:
        report.notice("check_known", loss=round(loss, 3))
    elif norm == 0:
        report.notice("check_no_gradient")


def _say_other_device(
    wishes: CheckWishes, config: TrainConfig, prepared: Prepared, report: Reporter
) -> None:
    """Warn when another device computes than the one that everything was estimated for."""
    expected = wishes.device or machine.device(config.memory.device)
    if prepared.loaded.device.type != expected:
        report.notice("check_device_gone", expected=expected, device=prepared.loaded.device.type)


def _trial(
    prepared: Prepared, watch: StepWatch, folder: JobFolder, metrics: dict[str, float]
) -> Trial:
    return Trial(
        rung=0,
        outcome="fits",
        values={name: round(value, 4) for name, value in metrics.items()},
        peak_memory_gb=round(hardware.peak_memory_gb(prepared.loaded.device), 3),
        step_seconds=metrics["step_seconds"],
        tokens_per_second=metrics["tokens_per_second"],
        losses=[loss for loss in watch.losses if math.isfinite(loss)],
        grad_norms=[norm for norm in watch.grad_norms if math.isfinite(norm)],
        tokens_at_once=_noted(folder).get("tokens_at_once"),
    )


def _note(folder: JobFolder, **facts: float | None) -> None:
    records.write(folder.path / FACTS, _noted(folder) | facts)


def _noted(folder: JobFolder) -> dict[str, Any]:
    return records.read(folder.path / FACTS) or {}
