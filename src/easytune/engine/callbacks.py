"""What happens beside the steps of a run: reports, evaluations, checkpoints, early ends."""

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from easytune import checkpoints
from easytune.config import MonitorSection
from easytune.engine import disk, hardware
from easytune.engine.models import Loaded
from easytune.engine.reporting import Reporter
from easytune.engine.rhythm import Rhythm
from easytune.engine.stopping import StopSignal
from easytune.engine.trainer import PackedTrainer
from easytune.events import Checkpoint, Evaluated, Sample, Sampled, Step

Sampler = Callable[[], list[Sample]]
Worth = Callable[[TrainerState, Sequence[int]], int | None]
"""Which of the steps with a checkpoint is to be kept, whatever its age."""


@dataclass
class Ending:
    """Why a run ended before its last step, if it did."""

    early: bool = False
    """The held-out loss had stopped falling."""
    asked: bool = False
    """The user asked, or the disk was running full."""


class Conductor(TrainerCallback):
    """Decides after each step what follows it: a report, an evaluation, a checkpoint, the end."""

    def __init__(
        self,
        trainer: PackedTrainer,
        rhythm: Rhythm,
        monitor: MonitorSection,
        stop: StopSignal,
        report: Reporter,
        floor_gb: float,
        has_meter: bool = False,
    ) -> None:
        self.trainer, self.rhythm, self.monitor = trainer, rhythm, monitor
        self.stop, self.report, self.floor_gb = stop, report, floor_gb
        self.measures = has_meter or bool(trainer.held_out)
        self.ending, self._looked_at_disk = Ending(), 0.0

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Set what the trainer does next."""
        step = state.global_step
        self._watch_disk()
        last = step >= self.rhythm.total
        if self.stop.asked() and not last:
            self.ending.asked = True
            control.should_training_stop = control.should_save = control.should_log = True
            return
        control.should_log = self.rhythm.logs(step)
        control.should_evaluate = self.measures and self.rhythm.evaluates(step)
        control.should_save = self.rhythm.saves(step)
        if control.should_evaluate:
            self.report.phase("evaluating")
        elif control.should_save:
            self.report.phase("saving")

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep the best; end when patience is over."""
        if state.best_global_step == state.global_step and self.monitor.keep_best:
            control.should_save = True
        patience = self.monitor.early_stopping
        best = state.best_global_step or 0
        since = [e for e in state.log_history if "eval_loss" in e and e["step"] > best]
        if patience and len(since) >= patience and state.global_step < self.rhythm.total:
            self.ending.early = True
            control.should_training_stop = control.should_save = True
            self.report.notice("early_stopping", step=state.global_step, best_step=best)

    def _watch_disk(self) -> None:
        """End gracefully while there is still room to save."""
        if time.monotonic() - self._looked_at_disk < 2:
            return
        self._looked_at_disk = time.monotonic()
        free = disk.free_gb(Path(self.trainer.args.output_dir or "."))
        if free < self.floor_gb and not self.stop.asked():
            self.report.notice("disk_low", free_gb=round(free, 2))
            self.stop.ask()


class Narrator(TrainerCallback):
    """Turns what the trainer does into events."""

    def __init__(
        self, trainer: PackedTrainer, loaded: Loaded, report: Reporter, root: Path, sampler: Sampler
    ) -> None:
        self.trainer, self.loaded, self.report = trainer, loaded, report
        self.root, self.sampler, self._began = root, sampler, 0.0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Show how good the model is, and how it answers, before it has learned anything."""
        if state.global_step == 0:
            if self.trainer.held_out:
                self.report.phase("evaluating")
                self.trainer.judge()
            self._sample(0)
        self.report.phase("training")

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock of a step."""
        self._began = time.monotonic()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop the clock: evaluations and checkpoints are not training time."""
        self.trainer.meter.seconds += time.monotonic() - self._began

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        **given: Any,
    ) -> None:
        """Report a point of the loss curve, or of the held-out curve."""
        logs: dict[str, float] = given["logs"]
        if "loss" in logs:
            self._report_step(state, logs)
        elif "eval_loss" in logs:
            best = state.best_global_step == state.global_step
            self.report(
                Evaluated(
                    step=state.global_step,
                    epoch=state.epoch or 0.0,
                    loss=logs["eval_loss"],
                    best=best,
                )
            )

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Show how the model answers now."""
        if self.trainer.held_out:
            self._sample(state.global_step)
        self.report.phase("saving" if control.should_save else "training")

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Report a sealed checkpoint."""
        folder = Path(args.output_dir or ".") / f"checkpoint-{state.global_step}"
        path = folder.relative_to(self.root).as_posix()
        self.report(Checkpoint(step=state.global_step, path=path))
        self.report.phase("training")

    def _report_step(self, state: TrainerState, logs: dict[str, float]) -> None:
        meter = self.trainer.meter
        event = Step(
            step=state.global_step,
            epoch=state.epoch or 0.0,
            loss=meter.loss(),
            learning_rate=logs["learning_rate"],
            grad_norm=logs.get("grad_norm"),
            tokens_per_second=meter.tokens / meter.seconds if meter.seconds else None,
            memory_gb=hardware.peak_memory_gb(self.loaded.device),
        )
        meter.reset()
        self.report(event)
        print(
            f"step {event.step}/{state.max_steps}  loss {event.loss:.4f}"
            f"  learning rate {event.learning_rate:.3g}",
            flush=True,
        )

    def _sample(self, step: int) -> None:
        if samples := self.sampler():
            self.report(Sampled(step=step, samples=samples))


class Keeper(TrainerCallback):
    """Removes old checkpoints, only after a newer one has been sealed."""

    def __init__(self, limit: int, worth_keeping: Worth | None = None) -> None:
        self.limit, self.worth_keeping = limit, worth_keeping

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Keep the newest ones, the best one, and what the run may return to for another reason."""
        found = checkpoints.sealed(Path(args.output_dir or "."))
        newest = sorted(found, key=checkpoints.step_of, reverse=True)
        steps = [checkpoints.step_of(folder) for folder in newest]
        worth = self.worth_keeping(state, steps) if self.worth_keeping else None
        for folder, step in list(zip(newest, steps, strict=True))[self.limit :]:
            if str(folder) != state.best_model_checkpoint and step != worth:
                shutil.rmtree(folder, ignore_errors=True)
