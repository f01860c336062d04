"""What each step of a trainer takes and gives, for trials that make a few steps only."""

import math
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    PrinterCallback,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from easytune.engine.preparing import Prepared
from easytune.engine.trainer import PackedTrainer


class StepWatch(TrainerCallback):
    """Notes the figures of every step; ends the training once `enough` says so.

    `seconds` and `tokens` (padding not counted) of each step, its loss in nats and the norm of its
    gradient. `before_change(step, optimizer)` is called right before the weights are changed.
    """

    def __init__(
        self,
        prepared: Prepared,
        trainer: PackedTrainer,
        enough: Callable[["StepWatch"], bool],
        before_change: Callable[[int, Any], None] = lambda step, optimizer: None,
    ) -> None:
        self.trainer, self.device = trainer, prepared.loaded.device
        self.enough, self.before_change = enough, before_change
        self.losses: list[float] = []
        self.grad_norms: list[float] = []
        self.seconds: list[float] = []
        self.tokens: list[int] = []
        self._began = 0.0
        # It prints what nobody reads here.
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(self)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock."""
        self._began = self._now()

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Let the learning rate be set."""
        self.before_change(state.global_step + 1, given["optimizer"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop the clock, and have the step logged."""
        self.seconds.append(self._now() - self._began)
        self.tokens.append(self.trainer.meter.tokens)
        control.should_log = True
        control.should_evaluate = control.should_save = False

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **given: Any
    ) -> None:
        """Take the figures of a step; enough of them end the training."""
        logs: dict[str, float] = given["logs"]
        if "loss" not in logs:
            return
        self.losses.append(self.trainer.meter.loss())
        self.grad_norms.append(float(logs.get("grad_norm", math.nan)))
        self.trainer.meter.reset()
        control.should_training_stop = control.should_training_stop or self.enough(self)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.monotonic()
