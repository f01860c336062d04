"""Gradients and optimizer state split among the processes of a run (ZeRO stage 2, by DeepSpeed).

Weights stay whole in every process, in fp32. Checkpoints are those of a run that is not split: the
optimizer's state is put together when it is saved, and handed out when it is loaded. So any
checkpoint goes on either way, in any number of processes, and nothing that DeepSpeed would pickle
is written or read.
"""

import importlib
import os
from contextlib import AbstractContextManager, nullcontext
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from easytune.engine.models import Loaded
from easytune.engine.trainer import PackedTrainer

# Gradients that are averaged at once; a buffer of that many lies in memory.
_BUCKET = 10_000_000
# What torch's AdamW remembers of every number, beside the step.
_MOMENTS = ("exp_avg", "exp_avg_sq")


def settings(loaded: Loaded) -> dict[str, Any]:
    """Return what DeepSpeed is told; transformers fills in what is "auto"."""
    if loaded.device.type == "cpu":
        _stay_on_processor()
    return {
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
        "zero_optimization": {
            "stage": 2,
            "reduce_bucket_size": _BUCKET,
            "allgather_bucket_size": _BUCKET,
        },
        "torch_autocast": {
            "enabled": loaded.autocast,
            "dtype": str(loaded.dtype).removeprefix("torch."),
            # Gradients are averaged as they are without DeepSpeed: in fp32.
            "lower_precision_safe_modules": [],
        },
    }


def _stay_on_processor() -> None:
    """Have DeepSpeed look for no GPU, and compile nothing: gloo carries what processes exchange."""
    os.environ["DS_ACCELERATOR"] = "cpu"
    importlib.import_module("deepspeed.ops").__compatible_ops__["deepspeed_shm_comm"] = False


class ZeroTrainer(PackedTrainer):
    """Trains where each process has its part of the gradients and of the optimizer's state.

    The step is taken in the backward of its last micro-batch. Where a gradient is not finite there
    is none, and the norm is infinite.
    """

    def computing(self) -> AbstractContextManager[Any]:
        """Return what computes as a step does; a step's own casts are made by DeepSpeed."""
        assert isinstance(self.args.deepspeed, dict)
        casts = self.args.deepspeed["torch_autocast"]
        if not casts["enabled"]:
            return nullcontext()
        return torch.autocast(self.args.device.type, getattr(torch, casts["dtype"]))

    def _prepare_for_training(
        self, max_steps: int, train_dataloader: Any, resume_from_checkpoint: str | None
    ) -> Any:
        if resume_from_checkpoint:
            # Before they are split: the parts that learn are copies.
            self._load_from_checkpoint(resume_from_checkpoint)
        prepared = super()._prepare_for_training(max_steps, train_dataloader, None)
        self._load_optimizer_and_scheduler(resume_from_checkpoint)
        return prepared

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the weights, which this process has whole."""
        self._save(output_dir)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        whole = _put_together(self._split, keep=self.together.is_first)
        if self.together.is_first:
            schedule: Any = self.lr_scheduler
            torch.save(whole, Path(output_dir) / "optimizer.pt")
            torch.save(schedule.state_dict(), Path(output_dir) / "scheduler.pt")

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if checkpoint:
            file = Path(checkpoint) / "optimizer.pt"
            # Of the file each process reads its part, when it is handed out.
            whole = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
            _hand_out(self._split, whole)
        super()._load_optimizer_and_scheduler(checkpoint)

    @property
    def _split(self) -> Any:
        """DeepSpeed's optimizer, below accelerate's."""
        wrapped: Any = self.optimizer
        return wrapped.optimizer


def _put_together(split: Any, keep: bool) -> dict[str, Any]:
    """Return the state that torch's AdamW would have alone; nothing of it without `keep`.

    To be called in all processes.
    """
    _link(split)
    whole_of = importlib.import_module("deepspeed.utils").safe_get_full_optimizer_state
    own = split.optimizer.state_dict()
    state: dict[int, dict[str, Tensor]] = {}
    for place, group in enumerate(split.bit16_groups):
        first = len(state)
        for number, parameter in enumerate(group, start=first):
            moments = {name: whole_of(parameter, name) for name in _MOMENTS}
            kept = {name: moment.cpu() for name, moment in moments.items()} if keep else {}
            # One of its own: an optimizer counts on in place.
            state[number] = {"step": own["state"][place]["step"].cpu().clone()} | kept
        own["param_groups"][place]["params"] = list(range(first, len(state)))
    return {"state": state, "param_groups": own["param_groups"]}


def _hand_out(split: Any, whole: dict[str, Any]) -> None:
    """Give this process its part of a state that was saved whole."""
    state, groups = whole["state"], whole["param_groups"]
    parts = zip(split.single_partition_of_fp32_groups, groups, strict=True)
    empty = {
        place: {name: torch.zeros_like(part) for name in _MOMENTS}
        | {"step": state[group["params"][0]]["step"]}
        for place, (part, group) in enumerate(parts)
    }
    own = [group | {"params": [place]} for place, group in enumerate(groups)]
    split.optimizer.load_state_dict({"state": empty, "param_groups": own})
    _link(split)
    hand_out = importlib.import_module("deepspeed.utils").safe_set_full_optimizer_state
    for number, parameter in enumerate(chain.from_iterable(split.bit16_groups)):
        for name in _MOMENTS:
            hand_out(parameter, state[number][name].to(parameter.device), name)


def _link(split: Any) -> None:
    """Note where in the state each parameter's part lies.

    DeepSpeed does so once, when only the first of its groups has a state.
    """
    split._hp_optimizer_states_linked = False
    split._lazy_init_hp_params_optimizer_state()
