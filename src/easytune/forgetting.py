"""What a forgetting score says: its interval, its band, and which step was the best trade-off.

The CF score F is the mean over the probe's sequences of NLL_tuned - NLL_base, in nats per token, as
in Biderman et al. 2024, "LoRA Learns Less and Forgets Less", and Kalajdzievski 2024, "Scaling Laws
for Forgetting When Fine-Tuning Large Language Models". The bands come from 32 working runs of
PEFT's public benchmark (median 0.066, 90th percentile 0.198); another probe moves the scale.
"""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Band = Literal["none", "slight", "watch", "severe", "critical"]
Curve = Sequence[tuple[int, float]]

SEVERE = 0.20
SHARE_OF_TIME = 0.05
"""What measuring may add to the time of training, at most."""
_BANDS: tuple[tuple[float, Band], ...] = (
    (0.0, "none"),
    (0.07, "slight"),
    (SEVERE, "watch"),
    (0.70, "severe"),
)
# A step is worth proposing when it keeps this much of the learning and at most this forgetting.
_LEARNING_KEPT, _FORGETTING_LEFT = 0.9, 0.7


@dataclass(frozen=True)
class Score:
    """A mean difference with its 95% interval, in nats per token."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class TradeOff:
    """An earlier step beside the last one: how much of its learning, how much of its forgetting."""

    step: int
    learning: float
    """Share of the fall in held-out loss that was reached by then; may exceed 1."""
    forgetting: float
    """Its score as a share of the last score."""


def score(differences: Sequence[float]) -> Score:
    """Return the mean of paired differences per sequence, with its interval.

    Raises ValueError without any.
    """
    mean = statistics.fmean(differences)
    spread = statistics.stdev(differences) if len(differences) > 1 else 0.0
    if not spread:
        return Score(mean, mean, mean)
    # Imported here: half a second that the web process need not wait for.
    from scipy.special import stdtrit

    # Student's t: with the eight sequences of a short run the interval is a fifth wider.
    quantile = float(stdtrit(len(differences) - 1, 0.975))
    half = quantile * spread / math.sqrt(len(differences))
    return Score(mean, mean - half, mean + half)


def band(value: float) -> Band:
    """Return the band a score is in."""
    for limit, name in _BANDS:
        if value <= limit:
            return name
    return "critical"


def retention(value: float) -> float:
    """Return the share of the base's certainty that is left, 0 to 1: the ratio of perplexities."""
    return math.exp(-max(value, 0.0))


def trade_off(held_out: Curve, forgetting: Curve, kept: Sequence[int]) -> TradeOff | None:
    """Return the earlier step among those `kept` that gave up little learning for much forgetting.

    `held_out` and `forgetting` are curves of (step, value) that begin before the first step or at
    the first measurement. None when no step is clearly better than the last one.
    """
    losses, scores = dict(held_out), dict(forgetting)
    measured = sorted(losses.keys() & scores.keys())
    if len(measured) < 2 or scores[measured[-1]] <= 0:
        return None
    first, last = losses[measured[0]], losses[measured[-1]]
    found = [
        TradeOff(step, (first - losses[step]) / (first - last), scores[step] / scores[measured[-1]])
        for step in measured[:-1]
        if step in kept and first > last
    ]
    good = [f for f in found if f.learning >= _LEARNING_KEPT and f.forgetting <= _FORGETTING_LEFT]
    return max(good, key=lambda one: one.learning - one.forgetting, default=None)


def within(held_out: Curve, forgetting: Curve, kept: Sequence[int], limit: float) -> int | None:
    """Return the step among those `kept` with the lowest held-out loss whose score is in the limit.

    Without held-out rows the latest such step; None when there is none.
    """
    losses = dict(held_out)
    good = [step for step, value in forgetting if value <= limit and step in kept]
    if not losses:
        return max(good, default=None)
    return min(
        (s for s in good if s in losses), key=lambda step: (losses[step], step), default=None
    )
