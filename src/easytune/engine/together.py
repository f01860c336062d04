"""The processes that share every step of a run: which one this is, and how they agree.

Each computes its part of a step, and gradients are averaged (DDP). The first alone measures,
decides, reports and writes; the others do as it says, so that nothing that depends on a clock, a
file or a rounding can lead them apart. Where they have only a part of the base each (`sharding`),
those who wait for the first give theirs to what it computes meanwhile.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

_T = TypeVar("_T")
# While the first process measures or saves, the others wait; a process that dies is noticed by the
# one that started it.
_PATIENCE = timedelta(days=2)
_DECIDED = ("should_log", "should_evaluate", "should_save", "should_training_stop")


class _Computes:
    """Said by the first while the others wait: it needs their parts of the base."""


@dataclass
class Together:
    """One of `count` processes, numbered from 0; by default the only one."""

    rank: int = 0
    count: int = 1
    lend: Callable[[], None] | None = None
    """Gives this process's part of the base to one forward of the first, where it is split."""

    @property
    def is_first(self) -> bool:
        """Whether this process measures, decides, reports and writes."""
        return self.rank == 0

    def agree(self, value: _T) -> _T:
        """Return the first process's `value`, in all of them."""
        if self.count == 1:
            return value
        while (said := self._say(value)) is _Computes:
            assert self.lend is not None  # or the first would not ask
            self.lend()
        return said

    def borrow(self) -> None:
        """Have the others, who wait, `lend` their parts for a forward of the first."""
        self._say(_Computes)

    def total(self, *values: float) -> list[float]:
        """Return the sum of each value over all processes, in double precision."""
        if self.count == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64)
        distributed.all_reduce(sums)
        return sums.tolist()

    def wait(self) -> None:
        """Wait until all have come here."""
        self.agree(None)

    def _say(self, value: Any) -> Any:
        said = [value]
        distributed.broadcast_object_list(said, src=0)
        return said[0]


ALONE = Together()
"""What a run in one process has."""


def join(meeting: Path) -> Together:
    """Meet the other processes at a file that none of them has made yet.

    Which of how many this one is stands in the environment, as `torchrun` writes it.
    """
    rank, count = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    backend = "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
        # What is agreed on lies in memory, gradients lie on the GPUs.
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(
        backend, init_method=meeting.as_uri(), rank=rank, world_size=count, timeout=_PATIENCE
    )
    return Together(rank, count)


class Agreement(TrainerCallback):
    """Has all processes do what the first has decided. To be added after all other callbacks."""

    def __init__(self, together: Together) -> None:
        self.together = together

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Wait for what is measured before the first step."""
        self.together.wait()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Agree on what follows a step."""
        self._agree(state, control)

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Agree on what follows from a measurement."""
        self._agree(state, control)

    def _agree(self, state: TrainerState, control: TrainerControl) -> None:
        decided = {name: getattr(control, name) for name in _DECIDED}
        best = state.best_metric, state.best_global_step
        decided, best = self.together.agree((decided, best))
        for name, value in decided.items():
            setattr(control, name, value)
        state.best_metric, state.best_global_step = best
