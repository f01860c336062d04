"""One training job, from its configuration to the finished adapter."""

import math
import os
import shutil
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, set_seed
from transformers.utils import logging as transformers_logging

from easytune import checkpoints, model_files
from easytune.config import TrainConfig
from easytune.data import dataset as datasets
from easytune.data import tokenizer as tokenizers
from easytune.data.encoding import EncodedSet, Encoder
from easytune.data.gathering import UsedVersion
from easytune.data.rows import reasons_text
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine import adapters, arguments, disk, hardware, models, run_card, tokens
from easytune.engine.batching import StepBatches
from easytune.engine.callbacks import Conductor, Ending, Keeper, Narrator
from easytune.engine.generate import Answers
from easytune.engine.models import Loaded
from easytune.engine.reporting import Reporter
from easytune.engine.rhythm import Rhythm, rhythm
from easytune.engine.stopping import StopSignal
from easytune.engine.trainer import PackedTrainer, collator
from easytune.errors import FolderUnwritable, OptionUnsupported, OutputNotEmpty
from easytune.events import Finished, Started, Stopped
from easytune.job import Job, JobFolder


@dataclass(frozen=True)
class Material:
    """What the model learns from, as tokens."""

    tokenizer: ModelTokenizer
    train: EncodedSet
    held_out: EncodedSet
    fingerprint: str
    versions: tuple[UsedVersion, ...]


def train(job: Job, folder: JobFolder, report: Reporter, stop: StopSignal) -> Finished | Stopped:
    """Run a training job and return how it ended. Raises EasyTuneError among others."""
    config = job.config
    transformers_logging.disable_progress_bar()
    # PEFT asks transformers by an old name; nothing a reader of the log could do about it.
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    arguments.check(config, hardware.device(config.memory.device))
    _check_output(config)
    report.phase("loading_data")
    model_folder = model_files.fetch(config.model, folder.path.parent.parent)
    material = _material(config, model_folder, folder, report)
    if stop.asked():
        return Stopped()
    report.phase("loading_model")
    # Before the adapter is made: its start is random.
    set_seed(config.schedule.seed)
    loaded = models.load(config, model_folder)
    if stop.asked():
        return Stopped()
    return _Run(job, folder, report, stop, model_folder, material, loaded).run()


class _Run:
    """The part of a job that has data and a model."""

    def __init__(
        self,
        job: Job,
        folder: JobFolder,
        report: Reporter,
        stop: StopSignal,
        model_folder: Path,
        material: Material,
        loaded: Loaded,
    ) -> None:
        self.job, self.config, self.folder = job, job.config, folder
        self.report, self.stop = report, stop
        self.model_folder, self.material, self.loaded = model_folder, material, loaded
        self.began = time.monotonic()
        self.trainer, self.conductor = self._trainer()

    def run(self) -> Finished | Stopped:
        """Train, then write the adapter and its run card."""
        self._say_what_differs()
        self._check_room()
        if self.config.model.method != "full":
            adapters.remember_start(self.loaded.model, self.folder.out)
        resume = Path(self.job.resume_from) if self.job.resume_from else None
        if resume:
            checkpoints.verify(resume)
        self._announce(checkpoints.step_of(resume) if resume else 0)
        self.trainer.train(resume_from_checkpoint=str(resume) if resume else None)
        self.report.phase("finishing")
        ending = self.conductor.ending
        if not ending.asked:
            self._return_to_best()
        metrics = self._metrics()
        self._write_result(metrics, ending)
        step = self.trainer.state.global_step
        return (Stopped if ending.asked else Finished)(step=step, metrics=metrics)

    def _trainer(self) -> tuple[PackedTrainer, Conductor]:
        config, loaded, schedule = self.config, self.loaded, self.config.schedule
        examples = self.material.train.examples
        lengths = [len(example.input_ids) for example in examples]
        batches = StepBatches(
            lengths,
            schedule.batch_size,
            schedule.gradient_accumulation,
            schedule.seed,
            loaded.plan.packed,
        )
        self.rhythm = rhythm(schedule, config.monitor, batches.steps())
        self.checkpointing = _checkpointing(config, loaded, batches)
        trainer = PackedTrainer(
            loaded.model,
            arguments.build(
                config, loaded, self.rhythm, self.folder.checkpoints, self.checkpointing
            ),
            batches,
            examples,
            self.material.held_out.examples,
            collator(loaded.plan.packed, self.material.tokenizer.pad_id),
            config.lora.lora_plus_ratio,
        )
        return trainer, self._add_callbacks(trainer, self.rhythm)

    def _add_callbacks(self, trainer: PackedTrainer, rhythm: Rhythm) -> Conductor:
        held_out = [example.row for example in self.material.held_out.examples]
        answers = Answers(
            self.loaded, self.material.tokenizer, self.config, held_out, self.stop.asked
        )
        floor = 1.5 * self._checkpoint_gb() + disk.MARGIN_GB
        conductor = Conductor(trainer, rhythm, self.config.monitor, self.stop, self.report, floor)
        # It prints what the narrator says better.
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(conductor)
        trainer.add_callback(Narrator(trainer, self.loaded, self.report, self.folder.path, answers))
        trainer.add_callback(Keeper(self.config.monitor.save_limit))
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

    def _say_what_differs(self) -> None:
        """Tell the user where the run departs from what was asked or is slower than usual."""
        plan = self.loaded.plan
        if self.config.data.packing and not plan.packed:
            self.report.notice("packing_off", model=self.config.model.base_model)
        if self.config.model.method != "full" and adapters.has_fused_experts(self.loaded.base):
            self.report.notice("experts_frozen")
        self._say_other_base()
        self._check_context()
        if plan.finish is None:
            self.report.notice("whole_logits", model=self.config.model.base_model)
        if self.checkpointing and self.config.memory.gradient_checkpointing == "auto":
            free = round(hardware.free_memory_gb(self.loaded.device), 1)
            self.report.notice("checkpointing_on", free_gb=free)

    def _say_other_base(self) -> None:
        """Tell the user when the adapter's own base has another name: its shapes fit both."""
        model = self.config.model
        if model.method == "full" or not model.adapter:
            return
        own = adapters.trained_on(Path(model.adapter).expanduser())
        base = models.name_for_readers(self.config, self.model_folder)
        if own and Path(own).name.lower() != Path(base).name.lower():
            self.report.notice("adapter_other_base", trained_on=own, base=base)

    def _check_context(self) -> None:
        """Look for rows longer than what the model was made to read."""
        context = models.context_length(self.loaded.base)
        examples = [*self.material.train.examples, *self.material.held_out.examples]
        count = sum(len(example.input_ids) > context for example in examples) if context else 0
        if not count:
            return
        if models.has_position_table(self.loaded.base):
            reason = f"@engine.reason.context {context}"
            raise OptionUnsupported(option="data.max_length", reason=reason)
        self.report.notice("beyond_context", count=count, context=context)

    def _check_room(self) -> None:
        kept = self.config.monitor.save_limit + 2
        disk.require(self.folder.path, kept * self._checkpoint_gb() + disk.MARGIN_GB)

    def _checkpoint_gb(self) -> float:
        trained = sum(p.numel() for p in self.loaded.model.parameters() if p.requires_grad)
        return disk.checkpoint_gb(trained)

    def _return_to_best(self) -> None:
        """End with the checkpoint that did best on held-out rows, and say so."""
        state = self.trainer.state
        best = state.best_global_step
        if not self.config.monitor.keep_best or not best or best == state.global_step:
            return
        folder = Path(state.best_model_checkpoint or "")
        if state.best_model_checkpoint and folder in checkpoints.valid(folder.parent):
            self.trainer._load_from_checkpoint(str(folder))
            self.report.notice("best_kept", step=best, loss=round(state.best_metric or 0, 4))
        else:
            self.report.notice("best_missing", step=best)

    def _metrics(self) -> dict[str, float]:
        state = self.trainer.state
        found: dict[str, float] = {"seconds": round(time.monotonic() - self.began, 1)}
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        if losses:
            found["loss"] = losses[-1]
        if state.best_metric is not None:
            found["held_out_loss"] = state.best_metric
            found["best_step"] = float(state.best_global_step or 0)
        found["peak_memory_gb"] = round(hardware.peak_memory_gb(self.loaded.device), 3)
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _write_result(self, metrics: dict[str, float], ending: Ending) -> None:
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
                total_steps=self.rhythm.total,
                ended="stopped by the user" if ending.asked else "finished",
                metrics=metrics,
                history=list(self.trainer.state.log_history),
            ),
        )
        if self.config.output.folder:
            shutil.copytree(
                target, Path(self.config.output.folder).expanduser(), dirs_exist_ok=True
            )


def _material(
    config: TrainConfig, model_folder: Path, folder: JobFolder, report: Reporter
) -> Material:
    source = tokens.with_fast_tokenizer(model_folder, folder.out, config.model.trust_remote_code)
    tokenizer = tokenizers.load(source, config.data.chat_template)
    rows = datasets.load(config.data, config.schedule.seed, folder.path.parent.parent)
    for used in rows.versions:
        report.notice("data.version_used", **asdict(used))
    for code, values in rows.notices:
        report.notice(code, **values)
    encoder = Encoder(tokenizer, config.data)
    train, held_out = encoder.encode(rows.train), encoder.encode(rows.held_out)
    train.require_examples(rows.problems)
    for code, values in train.notices:
        report.notice(code, **values)
    problems = [*rows.problems, *train.dropped, *held_out.dropped]
    if problems:
        report.notice("rows_dropped", count=len(problems), reasons=reasons_text(problems))
    if train.truncated:
        report.notice("rows_truncated", count=train.truncated, max_length=config.data.max_length)
    return Material(tokenizer, train, held_out, rows.fingerprint, rows.versions)


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


def _checkpointing(config: TrainConfig, loaded: Loaded, batches: StepBatches) -> bool:
    """Decide whether to recompute activations; by itself only when memory would be short."""
    match config.memory.gradient_checkpointing:
        case "on":
            return True
        case "off":
            return False
    largest = max(batches.tokens_at_once())
    need = _activations_gb(loaded, largest)
    return need > 0.7 * hardware.free_memory_gb(loaded.device)


def _activations_gb(loaded: Loaded, tokens_at_once: int) -> float:
    """Estimate what the backward keeps: about 16 hidden and 4 inner vectors per token and layer."""
    config = loaded.base.config
    hidden = getattr(config, "hidden_size", 4096)
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    layers = getattr(config, "num_hidden_layers", 32)
    size = torch.finfo(loaded.dtype).bits // 8
    return tokens_at_once * layers * (16 * hidden + 4 * inner) * size / 1e9


def _save_model(loaded: Loaded, target: Path, model_folder: Path) -> None:
    """Write the whole model, in the number format that its weights came in."""
    stored: Any = getattr(torch, models.stored_dtype(model_folder) or "float32", torch.float32)
    loaded.base.to(stored).save_pretrained(str(target))
