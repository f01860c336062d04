"""Some optimizer steps of a run in an order of our own: the heaviest ones first."""

from collections.abc import Iterator, Sequence

from easytune.engine.batching import StepBatches

_EPOCHS, _MANY_ROWS = 3, 50_000

Step = list[list[int]]
"""The micro-batches of one optimizer step, each a list of row numbers."""


class ChosenSteps(StepBatches):
    """Yields the micro-batches of the chosen steps in every epoch."""

    def __init__(self, run: StepBatches, steps: Sequence[Step]) -> None:
        super().__init__(
            run.lengths, run.batch_size, run.accumulation, run.seed, run.packed, run.at_once
        )
        self.chosen = steps

    def __len__(self) -> int:
        return sum(map(len, self.chosen))

    def __iter__(self) -> Iterator[list[int]]:
        for step in self.chosen:
            yield from step


def heaviest_first(run: StepBatches, epochs: float, longest: int, usual: int) -> ChosenSteps:
    """Return the `longest` steps with the largest micro-batches, the largest last, then others.

    Looked for in the first epochs, as the run will shuffle them. `usual` steps follow from the
    beginning of the run. A run of fewer steps has each of them in every epoch.
    """
    looked_at = 1 if len(run.lengths) > _MANY_ROWS else min(_EPOCHS, max(1, round(epochs)))
    steps = [step for epoch in range(looked_at) for step in _steps(run, epoch)]
    if all(len(step) < run.accumulation for step in steps):
        # An epoch is one step that is not full; only alone does it stay one.
        return ChosenSteps(run, [max(steps, key=lambda step: _heaviest(run, step))])
    full = [_filled(step, run.accumulation) for step in steps]
    by_weight = sorted(full, key=lambda step: _heaviest(run, step))
    return ChosenSteps(run, by_weight[-longest:] + full[:usual])


def first(run: StepBatches, count: int) -> ChosenSteps:
    """Return the first steps of a run; fewer when an epoch has no more."""
    steps = _steps(run, 0)[:count]
    if all(len(step) < run.accumulation for step in steps):
        return ChosenSteps(run, steps[:1])
    return ChosenSteps(run, [_filled(step, run.accumulation) for step in steps])


def _steps(run: StepBatches, epoch: int) -> list[Step]:
    order = StepBatches(run.lengths, run.batch_size, run.accumulation, run.seed, run.packed)
    order.set_epoch(epoch)
    micro = list(order)
    return [micro[i : i + run.accumulation] for i in range(0, len(micro), run.accumulation)]


def _heaviest(run: StepBatches, step: Step) -> tuple[int, int]:
    """Return tokens computed at once, and the longest row among them, of the largest one."""
    return max((run.tokens_of(rows), max(run.lengths[row] for row in rows)) for rows in step)


def _filled(step: Step, accumulation: int) -> Step:
    """Repeat micro-batches of an epoch's last step, so that another step can follow it."""
    return [step[i % len(step)] for i in range(accumulation)]
