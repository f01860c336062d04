"""What a curve of strengths says: how much is kept of what was learned, and what it costs.

`kept` is the share of the fall in loss that a strength reaches; `forgot` the share of the base's
certainty about general text that is gone. Both are 0 for the base itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from easytune import forgetting
from easytune.export_files import StrengthPoint

# A strength is worth proposing when it keeps so much and forgets at most so much of the whole.
_KEPT, _FORGETTING_LEFT = 0.9, 0.7


@dataclass(frozen=True)
class Effect:
    """One strength, as people understand it; None where it was not measured."""

    strength: float
    kept: float | None
    """Share of what the whole adapter learned; may exceed 1."""
    forgot: float | None
    """Share of the base's certainty that is gone, 0 to 1."""


def effects(points: Sequence[StrengthPoint]) -> list[Effect]:
    """Return what each strength does, in their order."""
    start, whole = (_loss_at(points, strength) for strength in (0.0, 1.0))
    fall = start - whole if start is not None and whole is not None else 0.0
    return [
        Effect(
            strength=one.strength,
            kept=(start - one.loss) / fall
            if start is not None and one.loss is not None and fall > 0
            else None,
            forgot=None if one.forgetting is None else 1 - forgetting.retention(one.forgetting),
        )
        for one in points
    ]


def suggested(points: Sequence[StrengthPoint]) -> Effect | None:
    """Return the strength below 1 that gives up little learning for much forgetting.

    None where no strength is clearly better than the whole adapter, or too little was measured.
    """
    found = effects(points)
    whole = next((one for one in found if one.strength == 1 and one.forgot is not None), None)
    if whole is None or not whole.forgot:
        return None
    good = [
        one
        for one in found
        if 0 < one.strength < 1
        and one.kept is not None
        and one.forgot is not None
        and one.kept >= _KEPT
        and one.forgot <= _FORGETTING_LEFT * whole.forgot
    ]
    return max(good, key=lambda one: (one.kept or 0) - (one.forgot or 0), default=None)


def _loss_at(points: Sequence[StrengthPoint], strength: float) -> float | None:
    return next((one.loss for one in points if one.strength == strength), None)
