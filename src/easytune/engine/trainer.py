"""transformers' Trainer with our data order, loss, evaluation and checkpoints."""

import contextlib
import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate.data_loader import prepare_data_loader
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments

from easytune import checkpoints
from easytune.engine import batching, disk
from easytune.engine.batching import Batch
from easytune.engine.together import ALONE, Together
from easytune.errors import DiskFull, Diverged

if TYPE_CHECKING:
    from easytune.data.encoding import Example


class PackedTrainer(Trainer):
    """Trains on examples laid out by `collate`; loss is the mean over a step's learned tokens."""

    def __init__(
        self,
        model: nn.Module,
        arguments: TrainingArguments,
        batches: batching.StepBatches,
        train: Sequence["Example"],
        held_out: Sequence["Example"],
        collate: Callable[[Sequence["Example"]], Batch],
        lora_plus_ratio: float | None = None,
        together: Together = ALONE,
    ) -> None:
        super().__init__(model=model, args=arguments, train_dataset=batching.Rows(train))
        self.batches, self.collate, self.held_out = batches, collate, held_out
        self.lora_plus_ratio, self.together = lora_plus_ratio, together
        # Our loss is already divided by the tokens of the whole step.
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        self.meter = Meter()

    @property
    def is_shared(self) -> bool:
        """Whether several processes share every step."""
        return self.together.count > 1

    def computing(self) -> contextlib.AbstractContextManager[Any]:
        """Return what has the model compute in the number formats of a step."""
        return self.accelerator.autocast()

    def get_train_dataloader(self) -> DataLoader:
        """Return the rows in the order of `batches`."""
        loader = DataLoader(
            self.train_dataset,  # type: ignore[arg-type]
            batch_sampler=self.batches.share(self.together) if self.is_shared else self.batches,
            collate_fn=self.collate,
            pin_memory=self.args.dataloader_pin_memory,
            num_workers=self.args.dataloader_num_workers,
            persistent_workers=self.args.dataloader_persistent_workers,
            prefetch_factor=self.args.dataloader_prefetch_factor,
        )
        if self.is_shared:
            # Shared out already: the rows of a step stay those of a run in one process.
            return prepare_data_loader(
                loader, self.accelerator.device, num_processes=1, process_index=0
            )
        return self.accelerator.prepare(loader)

    def training_step(
        self, model: nn.Module, inputs: Batch, num_items_in_batch: Tensor | int | None = None
    ) -> Tensor:
        """Add the gradients of a micro-batch, part by part: the backward needs a part at a time."""
        step = super().training_step
        parts = batching.parts(inputs, self.batches.at_once)
        return torch.stack([step(model, part, num_items_in_batch) for part in parts]).sum()

    def compute_loss(
        self,
        model: nn.Module,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Return this micro-batch's share of the step's loss."""
        outputs = model(**inputs)
        count = len(inputs["targets"]) if num_items_in_batch is None else num_items_in_batch
        self.meter.add(outputs.loss.detach(), len(inputs["targets"]), batching.tokens_in(inputs))
        # DDP averages gradients over processes; the tokens were counted over all of them.
        loss = outputs.loss / count * self.accelerator.num_processes
        return (loss, outputs) if return_outputs else loss

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Tensor:
        count = torch.tensor(sum(len(b["targets"]) for b in batch_samples), device=device)
        gathered: Any = self.accelerator.gather(count) if self.args.world_size > 1 else count
        return gathered.sum()

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Create the optimizer; with LoRA+, B learns at a multiple of A's rate."""
        if self.lora_plus_ratio is None or self.optimizer is not None:
            return super().create_optimizer(model)
        trained: Any = self.model if model is None else model
        kind, settings = self.get_optimizer_cls_and_kwargs(self.args, trained)  # type: ignore[arg-type]
        self.optimizer = kind(self._lora_plus_groups(trained), **settings)
        return self.optimizer

    def _lora_plus_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        decayed = set(self.get_decay_parameter_names(model))
        rate, ratio = self.args.learning_rate, self.lora_plus_ratio or 1
        groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                groups.setdefault(("lora_B" in name, name in decayed), []).append(parameter)
        return [
            {
                "params": parameters,
                "lr": rate * (ratio if is_b else 1),
                "weight_decay": self.args.weight_decay if decays else 0.0,
            }
            for (is_b, decays), parameters in groups.items()
        ]

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """Stop before a non-finite gradient reaches the weights."""
        norm: Any = super()._get_grad_norm(model, grad_norm)
        # With fp16 an infinite gradient is normal: the scaler skips the step and halves.
        finite = self.args.fp16 or math.isfinite(float(norm))
        if not finite or not self.meter.finite():
            raise Diverged(step=self.state.global_step + 1, learning_rate=self._get_learning_rate())
        return norm

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log the mean over learned tokens, where transformers has the mean over steps."""
        if "loss" in logs:
            self.meter.gather(self.together)
            logs["loss"] = self.meter.loss()
        super().log(logs, start_time)
        if not self.together.is_first:
            # Nobody reads it here; where it is read, it begins anew as well.
            self.meter.reset()

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Return the mean loss over the learned tokens of all held-out rows as `eval_loss`.

        Without held-out rows nothing, but what else is measured at an evaluation is.
        """
        measures = self.held_out and self.together.is_first
        metrics = {"eval_loss": self.judge()} if measures else {}
        self.control = self.callback_handler.on_evaluate(
            self.args, self.state, self.control, metrics
        )
        return metrics

    def judge(self) -> float:
        """Return the held-out loss, after reporting it and whether it is the best so far.

        That before the first step is what there is to beat, not a step to return to.
        """
        with unchanged_random_state(), torch.no_grad():
            loss = self._held_out_loss()
        if not math.isfinite(loss):
            raise Diverged(step=self.state.global_step, learning_rate=self._get_learning_rate())
        best, step = self.state.best_metric, self.state.global_step
        if step and (best is None or loss < best):
            self.state.best_metric, self.state.best_global_step = loss, step
        self.log({"eval_loss": loss})
        return loss

    def _held_out_loss(self) -> float:
        was_training = self.model.training  # type: ignore[union-attr]
        self.model.eval()  # type: ignore[union-attr]
        size, total, count = self.args.per_device_train_batch_size, 0.0, 0
        rows = sorted(self.held_out, key=lambda example: len(example.input_ids))
        for start in range(0, len(rows), size):
            batch = self._prepare_inputs(self.collate(rows[start : start + size]))
            with self.computing():
                for part in batching.parts(batch, self.batches.at_once):
                    total += float(self.model(**part).loss)  # type: ignore[misc]
            count += len(batch["targets"])
        self.model.train(was_training)  # type: ignore[union-attr]
        return total / max(count, 1)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save a checkpoint and seal it; only a sealed one counts."""
        folder = Path(self.args.output_dir or ".") / f"checkpoint-{self.state.global_step}"
        if self.state.best_global_step == self.state.global_step:
            self.state.best_model_checkpoint = str(folder)
        try:
            super()._save_checkpoint(model, trial)
            self.together.wait()
            if self.together.is_first:
                # A pickle that nothing of ours ever loads.
                (folder / "training_args.bin").unlink(missing_ok=True)
                checkpoints.seal(folder, self.state.global_step)
        except (OSError, RuntimeError, SafetensorError) as error:
            # Half a checkpoint is worth less than its room on a full disk.
            shutil.rmtree(folder, ignore_errors=True)
            raise _explained(error, folder.parent) from error


def _explained(error: Exception, folder: Path) -> Exception:
    free = disk.free_gb(folder)
    if free < disk.MARGIN_GB:
        need = round(disk.MARGIN_GB * 2, 3)
        return DiskFull(free_gb=round(free, 3), need_gb=need, folder=str(folder))
    return error


class Meter:
    """Sums of loss, learned tokens and tokens since the last report."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start a new interval."""
        self._loss: Tensor | float = 0.0
        self.learned, self.tokens, self.seconds = 0, 0, 0.0

    def add(self, loss: Tensor, learned: int, tokens: int) -> None:
        """Count one micro-batch. `loss` is a sum in nats."""
        self._loss = self._loss + loss
        self.learned += learned
        self.tokens += tokens

    def loss(self) -> float:
        """Return the mean loss over learned tokens."""
        return float(self._loss) / max(self.learned, 1)

    def gather(self, together: Together) -> None:
        """Take in what the other processes have counted; all have the same sums then."""
        if together.count > 1:
            loss, learned, tokens = together.total(float(self._loss), self.learned, self.tokens)
            self._loss, self.learned, self.tokens = loss, int(learned), int(tokens)

    def finite(self) -> bool:
        """Tell whether all losses of the interval were finite."""
        return math.isfinite(float(self._loss))


@contextlib.contextmanager
def unchanged_random_state() -> Iterator[None]:
    """Leave torch's random state as it was, so that looking at a run does not change it."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=list(devices)):
        yield


def collator(packed: bool, pad_id: int) -> Callable[[Sequence["Example"]], Batch]:
    """Return how examples become a batch."""
    return batching.packed if packed else partial(batching.padded, pad_id=pad_id)
