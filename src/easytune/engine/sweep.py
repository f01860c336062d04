"""How the loss fares at many learning rates, or at the chosen one: a few dozen real steps.

All of it goes over the same few steps again and again, so that no change of the loss is due to
other rows. The range test raises the rate exponentially from step to step: Smith 2017, "Cyclical
Learning Rates for Training Neural Networks".
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from easytune.engine import chosen_steps, preparing
from easytune.engine.preparing import Prepared
from easytune.engine.reporting import Reporter
from easytune.engine.step_watch import StepWatch
from easytune.errors import Diverged
from easytune.events import Swept

RANGE_STEPS, STEADY_STEPS = 40, 20
_CYCLE = 5
# So low that nothing is learned: what the rows themselves make of the loss.
_STILL = 1e-9
LOWEST, HIGHEST = 1e-5, 1.0
_FULL_SCALE = 0.01
_SMOOTHING = 0.7
_WARMUP = 3
_EXPLODED, _EXPLODED_SHARE = 0.5, 0.5
_ROSE, _ROSE_SHARE = 0.3, 0.2
_LEAST_FALL = 0.02

Curve = Sequence[tuple[float, float]]
"""(learning rate, smoothed loss), rates rising."""


def over_rates(prepared: Prepared, checkpoints: Path, report: Reporter) -> float | None:
    """Raise the rate from step to step until the loss explodes, and return the one suggested.

    None when the loss fell nowhere, so that nothing can be said.
    """
    rates = _rates(prepared)
    smooth = Smoothed()
    curve: list[tuple[float, float]] = []

    def enough(level: float) -> bool:
        rate, loss = rates[len(curve)], smooth.after(level)
        curve.append((rate, loss))
        report(Swept(sweep="range", step=len(curve), learning_rate=rate, loss=loss))
        return len(curve) == len(rates) or exploded(curve)

    survived = _run(prepared, checkpoints, rates, enough)
    rate = suggested(curve, rates[len(curve)] if not survived else None)
    if rate is None:
        report.notice("check_no_rate")
    return rate


def at_chosen_rate(prepared: Prepared, checkpoints: Path, report: Reporter) -> None:
    """Make some steps at the chosen rate, and warn when the loss rises instead of falling."""
    chosen = prepared.config.optim.learning_rate
    rates = [chosen * min(1.0, step / _WARMUP) for step in range(1, STEADY_STEPS + 1)]
    losses: list[float] = []

    def enough(level: float) -> bool:
        losses.append(level)
        rate = rates[len(losses) - 1]
        report(Swept(sweep="chosen", step=len(losses), learning_rate=rate, loss=losses[-1]))
        return len(losses) == len(rates)

    survived = _run(prepared, checkpoints, rates, enough)
    if not survived:
        report.notice("check_diverges_at_once", learning_rate=chosen, step=len(losses) + 1)
    elif (highest := risen_to(losses)) is not None:
        facts = {"first": round(losses[0], 2), "last": round(highest, 2)}
        report.notice("check_diverges", learning_rate=chosen, **facts)


class Levelled:
    """Takes from losses what is due to the rows: steps come in a cycle, first without learning."""

    def __init__(self, cycle: int) -> None:
        self._cycle, self._count, self._still = cycle, 0, list[float]()

    def after(self, loss: float) -> float | None:
        """Return the loss as if the rows were always the same; None in the first cycle."""
        if len(self._still) < self._cycle:
            self._still.append(loss)
            return None
        of_rows = self._still[self._count % self._cycle]
        self._count += 1
        mean = _mean(self._still)
        return mean * loss / of_rows if loss < of_rows else mean + loss - of_rows


class Smoothed:
    """A running mean of losses that forgets, without a bias at its start."""

    def __init__(self) -> None:
        self._mean, self._weight = 0.0, 0.0

    def after(self, loss: float) -> float:
        """Return the mean once `loss` is counted in."""
        self._mean = _SMOOTHING * self._mean + (1 - _SMOOTHING) * loss
        self._weight = _SMOOTHING * self._weight + (1 - _SMOOTHING)
        return self._mean / self._weight


def exploded(curve: Curve) -> bool:
    """Tell whether the loss has left its lowest point far behind."""
    losses = [loss for _, loss in curve]
    lowest = min(losses)
    return losses[-1] > lowest + max(_EXPLODED, _EXPLODED_SHARE * (losses[0] - lowest))


def suggested(curve: Curve, exploded_at: float | None = None) -> float | None:
    """Return the rate where the loss falls steepest, at most a tenth of where it explodes.

    `exploded_at` is the rate whose loss was not finite any more, beyond the curve. None when the
    loss falls nowhere.
    """
    losses = [loss for _, loss in curve]
    if len(curve) < 3 or losses[0] - min(losses) < _LEAST_FALL:
        return None
    lowest = losses.index(min(losses))
    # Rates rise by the same factor, so differences of losses compare as slopes do.
    falls = {i: losses[i + 1] - losses[i - 1] for i in range(1, min(lowest + 1, len(losses) - 1))}
    if not falls:
        return None
    rate = curve[min(falls, key=lambda i: falls[i])][0]
    limit = exploded_at or (curve[-1][0] if exploded(curve) else math.inf)
    return float(f"{min(rate, limit / 10):.2g}")


def risen_to(losses: Sequence[float]) -> float | None:
    """Return the highest mean of a few losses in a row; None unless clearly above the first.

    The first was measured before anything was learned. A run that falls again from there has
    lost what the model knew.
    """
    windows = range(len(losses) - _WARMUP + 1)
    highest = max((_mean(losses[i : i + _WARMUP]) for i in windows), default=losses[0])
    return highest if highest > losses[0] + max(_ROSE, _ROSE_SHARE * losses[0]) else None


def _run(
    prepared: Prepared,
    checkpoints: Path,
    rates: Sequence[float],
    enough: Callable[[float], bool],
) -> bool:
    """Make one step at each rate, until `enough` of its loss; tell whether that stayed finite."""
    batches = chosen_steps.first(prepared.batches, _CYCLE)
    cycle = len(batches.chosen)
    levelled, rates = Levelled(cycle), [_STILL] * cycle + list(rates)

    def has_enough(watch: StepWatch) -> bool:
        level = levelled.after(watch.losses[-1])
        return level is not None and enough(level)

    def set_rate(step: int, optimizer: Any) -> None:
        for group in optimizer.param_groups:
            # With LoRA+ some parameters learn at a multiple of the rate.
            multiple = group.get("initial_lr", chosen) / chosen
            group["lr"] = rates[step - 1] * multiple

    chosen = prepared.config.optim.learning_rate
    rhythm = replace(prepared.rhythm, total=max(prepared.rhythm.total, len(rates)))
    trainer = preparing.trainer(replace(prepared, rhythm=rhythm), checkpoints, batches)
    StepWatch(prepared, trainer, has_enough, set_rate)
    try:
        trainer.train()
    except Diverged:
        return False
    return True


def _rates(prepared: Prepared) -> list[float]:
    """Return rates from far too low to far too high, each the same multiple of the one before."""
    scale = _FULL_SCALE if prepared.config.model.method == "full" else 1.0
    factor = (HIGHEST / LOWEST) ** (1 / (RANGE_STEPS - 1))
    return [scale * LOWEST * factor**step for step in range(RANGE_STEPS)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
