"""One training job, from its configuration to the finished adapter."""

import math
import os
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback

from easytune import checkpoints, model_files, records
from easytune.config import TrainConfig
from easytune.engine import (
    adapters,
    disk,
    forgetting,
    forgetting_watch,
    hardware,
    models,
    preparing,
    run_card,
    tokens,
)
from easytune.engine.callbacks import Conductor, Ending, Keeper, Narrator
from easytune.engine.forgetting import Meter
from easytune.engine.forgetting_watch import Watch
from easytune.engine.generate import Answers
from easytune.engine.models import Loaded
from easytune.engine.preparing import Prepared
from easytune.engine.reporting import Reporter
from easytune.engine.rhythm import Rhythm
from easytune.engine.stopping import StopSignal
from easytune.engine.together import ALONE, Agreement, Together
from easytune.engine.trainer import PackedTrainer
from easytune.errors import FolderUnwritable, OutputNotEmpty
from easytune.events import Finished, Forgetting, Started, Stopped
from easytune.forgetting import retention
from easytune.job import Job, JobFolder


def train(
    job: Job,
    folder: JobFolder,
    report: Reporter,
    stop: StopSignal,
    together: Together = ALONE,
) -> Finished | Stopped:
    """Run a training job, or one process's part of it, and return how it ended.

    Raises EasyTuneError among others.
    """
    config, home = job.config, folder.path.parent.parent
    preparing.check(config)
    _check_output(config)
    report.phase("loading_data")
    model_folder = model_files.fetch(config.model, home)
    if not together.is_first:
        # The first one converts and keeps what all of them read.
        together.wait()
    else:
        _remember_base(folder, model_folder)
    material = preparing.material(config, model_folder, folder.out, home, report)
    if together.is_first:
        together.wait()
    if together.agree(stop.asked()):
        return Stopped()
    resume = Path(job.resume_from) if job.resume_from else None
    meter = None
    if together.is_first:
        meter = forgetting.meter(config, material, folder, resume, report, stop.asked)
    report.phase("loading_model")
    before_adapter = meter.before_adapter if meter else None
    loaded = preparing.load(config, model_folder, before_adapter, together)
    if together.agree(stop.asked()):
        return Stopped()
    prepared = preparing.prepare(config, model_folder, material, loaded)
    run = _Run(job, folder, report, stop, prepared, meter, together)
    return run.run() if together.is_first else run.follow()


def _remember_base(folder: JobFolder, model: Path) -> None:
    """Write down which weights are trained on: an export into others would be another model."""
    folder.out.mkdir(exist_ok=True)
    content = {"folder": str(model.resolve()), "fingerprint": model_files.fingerprint(model)}
    records.write(folder.base, content)


class _Run:
    """The part of a job that has data and a model."""

    def __init__(
        self,
        job: Job,
        folder: JobFolder,
        report: Reporter,
        stop: StopSignal,
        prepared: Prepared,
        meter: Meter | None,
        together: Together,
    ) -> None:
        self.job, self.config, self.folder = job, job.config, folder
        self.report, self.stop, self.prepared, self.meter = report, stop, prepared, meter
        self.model_folder, self.material = prepared.model_folder, prepared.material
        self.loaded, self.rhythm = prepared.loaded, prepared.rhythm
        self.together = together
        self.began = time.monotonic()
        self.resume = Path(job.resume_from) if job.resume_from else None
        self.trainer = preparing.trainer(prepared, folder.checkpoints, together=together)
        self.watch = meter and Watch(
            self.trainer, meter, prepared.rhythm, job.config.monitor, report
        )
        # It prints what the narrator says better.
        self.trainer.remove_callback(PrinterCallback)
        if together.is_first:
            self.conductor = self._add_callbacks(self.trainer, self.rhythm)
        if together.count > 1:
            self.trainer.add_callback(Agreement(together))

    def run(self) -> Finished | Stopped:
        """Train, then write the adapter and its run card."""
        preparing.say_what_differs(self.prepared, self.report)
        self._check_room()
        if self.config.model.method != "full":
            adapters.remember_start(self.loaded.model, self.folder.out)
        resume = self.resume
        if resume:
            checkpoints.verify(resume)
        if self.meter:
            self.report.phase("evaluating")
            self.meter.begin(self.loaded)
        self.together.wait()
        self._announce(checkpoints.step_of(resume) if resume else 0)
        self._train()
        self.report.phase("finishing")
        ending = self.conductor.ending
        kept = self.trainer.state.global_step if ending.asked else self._choose_weights()
        forgot = None
        if self.meter and self.watch:
            forgot = self.meter.finish(kept, ending.asked, self.watch.clock.seconds)
        self.together.wait()
        metrics = self._metrics(forgot)
        self._write_result(metrics, ending, forgot, kept)
        step = self.trainer.state.global_step
        return (Stopped if ending.asked else Finished)(step=step, metrics=metrics)

    def follow(self) -> Finished | Stopped:
        """Compute this process's part of every step; the first one does all the rest."""
        self.together.wait()
        self._train()
        self.together.wait()
        return Finished(step=self.trainer.state.global_step)

    def _train(self) -> None:
        resume = self.resume
        self.trainer.train(resume_from_checkpoint=str(resume) if resume else None)

    def _add_callbacks(self, trainer: PackedTrainer, rhythm: Rhythm) -> Conductor:
        held_out = [example.row for example in self.material.held_out.examples]
        answers = Answers(
            self.loaded, self.material.tokenizer, self.config, held_out, self.stop.asked
        )
        floor = 1.5 * self._checkpoint_gb() + disk.MARGIN_GB
        conductor = Conductor(
            trainer, rhythm, self.config.monitor, self.stop, self.report, floor, bool(self.meter)
        )
        trainer.add_callback(conductor)
        if self.watch:
            trainer.add_callback(self.watch)
        trainer.add_callback(Narrator(trainer, self.loaded, self.report, self.folder.path, answers))
        worth_keeping = self.watch.worth_keeping if self.watch else None
        trainer.add_callback(Keeper(self.config.monitor.save_limit, worth_keeping))
        return conductor

    def _announce(self, first_step: int) -> None:
        self.report(
            Started(
                pid=os.getpid(),
                total_steps=self.rhythm.total,
                first_step=first_step,
                device=hardware.device_name(self.loaded.device),
                versions=self.job.versions,
            )
        )

    def _check_room(self) -> None:
        kept = self.config.monitor.save_limit + 2
        disk.require(self.folder.path, kept * self._checkpoint_gb() + disk.MARGIN_GB)

    def _checkpoint_gb(self) -> float:
        trained = sum(p.numel() for p in self.loaded.model.parameters() if p.requires_grad)
        return disk.checkpoint_gb(trained)

    def _choose_weights(self) -> int:
        """Go back to the weights that the run ends with, say so, and return their step."""
        step = self._return_within_limit()
        return self._return_to_best() if step is None else step

    def _return_within_limit(self) -> int | None:
        """Return to a step whose forgetting is within the limit; None when the last one's is."""
        state, limit = self.trainer.state, self.config.monitor.forgetting_limit
        if self.watch is None or limit is None:
            return None
        folders = [self.folder.checkpoints, *([self.resume.parent] if self.resume else [])]
        # A step of this run wins over the same one of the run that it resumes.
        found = {
            checkpoints.step_of(path): path
            for folder in reversed(folders)
            for path in checkpoints.valid(folder)
        }
        there = self._measure_passed_over(self.watch, found)
        step = self.watch.step_to_return_to(state, list(found))
        if step is None:
            return None
        if step != there:
            self.trainer._load_from_checkpoint(str(found[step]))
        score = dict(forgetting_watch.curve(state))[step]
        code = "forgetting_returned" if score <= limit else "forgetting_least"
        self.report.notice(code, step=step, score=round(score, 3), limit=limit)
        return step

    def _measure_passed_over(self, watch: Watch, found: dict[int, Path]) -> int:
        """Look for a step within the limit also where none was measured, to save time.

        Return the step whose weights the model has now.
        """
        there = self.trainer.state.global_step
        for step in watch.passed_over(self.trainer.state, list(found)):
            self.trainer._load_from_checkpoint(str(found[step]))
            there = step
            if watch.measure_kept(self.trainer.state, step):
                break
        return there

    def _return_to_best(self) -> int:
        """End with the checkpoint that did best on held-out rows, and say so; return its step."""
        state = self.trainer.state
        best = state.best_global_step
        if not self.config.monitor.keep_best or not best or best == state.global_step:
            return state.global_step
        folder = Path(state.best_model_checkpoint or "")
        if state.best_model_checkpoint and folder in checkpoints.valid(folder.parent):
            self.trainer._load_from_checkpoint(str(folder))
            self.report.notice("best_kept", step=best, loss=round(state.best_metric or 0, 4))
            return best
        self.report.notice("best_missing", step=best)
        return state.global_step

    def _metrics(self, forgot: Forgetting | None) -> dict[str, float]:
        state = self.trainer.state
        found: dict[str, float] = {"seconds": round(time.monotonic() - self.began, 1)}
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        if losses:
            found["loss"] = losses[-1]
        if state.best_metric is not None:
            found["held_out_loss"] = state.best_metric
            found["best_step"] = float(state.best_global_step or 0)
        if forgot:
            found["forgetting"] = forgot.score
            found["retention"] = retention(forgot.score)
        found["peak_memory_gb"] = round(hardware.peak_memory_gb(self.loaded.device), 3)
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _write_result(
        self, metrics: dict[str, float], ending: Ending, forgot: Forgetting | None, kept: int
    ) -> None:
        self.report.phase("saving")
        target = self.folder.adapter
        target.mkdir(parents=True, exist_ok=True)
        if self.config.model.method == "full":
            _save_model(self.loaded, target, self.model_folder)
        else:
            adapters.save(self.loaded.model, target, self.folder.out)
        tokens.copy(self.model_folder, target, self.config.data.chat_template)
        run_card.write(
            target,
            run_card.Facts(
                job=self.job,
                base=models.name_for_readers(self.config, self.model_folder),
                device=hardware.device_name(self.loaded.device),
                precision=str(self.loaded.dtype).removeprefix("torch."),
                rows=len(self.material.train.examples),
                held_out_rows=len(self.material.held_out.examples),
                fingerprint=self.material.fingerprint,
                versions=self.material.versions,
                step=self.trainer.state.global_step,
                kept=kept,
                total_steps=self.rhythm.total,
                ended="stopped by the user" if ending.asked else "finished",
                metrics=metrics,
                history=list(self.trainer.state.log_history),
                forgetting=forgot,
            ),
        )
        if self.config.output.folder:
            shutil.copytree(
                target, Path(self.config.output.folder).expanduser(), dirs_exist_ok=True
            )


def _check_output(config: TrainConfig) -> None:
    if not config.output.folder:
        return
    target = Path(config.output.folder).expanduser()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise OutputNotEmpty(folder=str(target))
    try:
        # Better to know now than after hours of training.
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FolderUnwritable(str(target), error.strerror or str(error)) from error


def _save_model(loaded: Loaded, target: Path, model_folder: Path) -> None:
    """Write the whole model, in the number format that its weights came in."""
    stored: Any = getattr(torch, models.stored_dtype(model_folder) or "float32", torch.float32)
    loaded.base.to(stored).save_pretrained(str(target))
