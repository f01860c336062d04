"""Our engine as a job uses it, minus reports and checkpoints."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from transformers import TrainerCallback

from benchmarks.ways import measuring
from benchmarks.ways.measuring import Clock, Spec, Watch
from easytune.config import TrainConfig
from easytune.data.encoding import Example
from easytune.data.rows import Row
from easytune.engine import arguments, models, recomputing
from easytune.engine.batching import StepBatches
from easytune.engine.rhythm import rhythm
from easytune.engine.trainer import PackedTrainer, collator


class InOrder(StepBatches):
    """Our batches, drawn in the order of the rows, as all ways here do."""

    def __iter__(self) -> Iterator[list[int]]:
        start = 0
        for count in self._rows_per_step():
            yield from self._share_out(list(range(start, start + count)))
            start += count


def train(spec: Spec, clock: Clock) -> None:
    """Train the rows in their order."""
    config = TrainConfig().changed(
        model__base_model=spec.model,
        lora__rank=spec.rank,
        lora__alpha=spec.alpha,
        memory__precision=spec.precision,
        memory__torch_compile=spec.variant == "compiled",
        schedule__batch_size=spec.batch,
        schedule__epochs=1,
        schedule__scheduler="linear",
        schedule__warmup=0,
        optim__learning_rate=1e-4,
    )
    examples = [_example(i, row) for i, row in enumerate(spec.read_rows())]
    lengths = [len(example.input_ids) for example in examples]
    loaded = models.load(config, Path(spec.model))
    at_once = recomputing.tokens_at_once(config, Path(spec.model), loaded)
    batches = InOrder(lengths, spec.batch, 1, 1, loaded.plan.packed, at_once)
    when = rhythm(config.schedule, config.monitor, batches.steps())
    trainer = PackedTrainer(
        loaded.model,
        arguments.build(config, loaded, when, Path(spec.output), checkpointing=False),
        batches,
        examples,
        [],
        collator(loaded.plan.packed, pad_id=0),
    )
    trainer.add_callback(Watch(clock, measuring.per_step(lengths, spec.batch)))
    trainer.add_callback(_FreshLoss(trainer))
    trainer.train()


class _FreshLoss(TrainerCallback):
    """Begins a new mean after every report, as the narrator of a job does."""

    def __init__(self, trainer: PackedTrainer) -> None:
        self.trainer = trainer

    def on_log(self, *_: Any, **__: Any) -> None:
        """Forget the losses that have been reported."""
        self.trainer.meter.reset()


def _example(number: int, row: dict[str, list[int]]) -> Example:
    ids, labels = np.array(row["input_ids"], np.int32), np.array(row["labels"])
    return Example(ids, labels >= 0, len(ids), Row(number, "", text=""))


if __name__ == "__main__":
    measuring.run(train)
