"""What the loss chart and the sparklines are drawn from: few points, none of the spikes lost.

The browser draws (`assets/chart.js`); here the curves are smoothed, thinned and labelled.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from easytune.forgetting import SEVERE
from easytune.i18n import t
from easytune.services.story import Story

Point = tuple[float, float]
Measured = tuple[float, float, float, float]
"""Step, score, and both ends of its interval."""
AnyPoint = TypeVar("AnyPoint", Point, Measured)
MAX_POINTS = 400


def loss_chart(story: Story, lang: str) -> dict[str, Any]:
    """Return the curves of a run, at most 400 points each, with their texts in `lang`."""
    losses = _pairs(story.losses)
    scores = [(float(f.step), f.score, f.low, f.high) for f in story.forgetting]
    return {
        "x_label": t("monitor.step", lang),
        "y_label": t("monitor.loss", lang),
        "second_label": t("monitor.learning_rate", lang),
        "empty": t("monitor.chart_none" if story.has_ended else "monitor.chart_empty", lang),
        "smooth_label": t("monitor.smooth", lang),
        "log_label": t("monitor.log_scale", lang),
        "last_step": story.total_steps,
        "series": [
            _series("training", t("monitor.training_loss", lang), losses, smoothed=smooth(losses)),
            _series("held_out", t("monitor.held_out_loss", lang), _pairs(story.held_out)),
            _series("forgetting", t("forgetting.axis", lang), scores),
            _series("rate", t("monitor.learning_rate", lang), _pairs(story.learning_rates)),
        ],
        "best": list(story.best) if story.best else None,
        "best_label": t("monitor.best", lang),
        "severe": SEVERE,
        "severe_label": t("forgetting.from_here", lang),
        "interval_label": t("forgetting.interval", lang),
    }


def smooth(points: Sequence[Point]) -> list[Point]:
    """Return the curve without its jitter: a running mean over about a fifteenth of it.

    It looks both ways, so that a falling loss is not drawn later than it fell.
    """
    values = [y for _, y in points]
    ahead = _running_mean(values)
    behind = _running_mean(values[::-1])[::-1]
    return [(x, (a + b) / 2) for (x, _), a, b in zip(points, ahead, behind, strict=True)]


def thin(points: Sequence[AnyPoint], limit: int = MAX_POINTS) -> list[AnyPoint]:
    """Return at most `limit` points: both ends, and the extremes of equal stretches between."""
    if len(points) <= limit:
        return list(points)
    inner, buckets = points[1:-1], (limit - 2) // 2
    kept = [points[0]]
    for bucket in range(buckets):
        start, end = (len(inner) * edge // buckets for edge in (bucket, bucket + 1))
        stretch = range(start, end)
        low = min(stretch, key=lambda i: inner[i][1])
        high = max(stretch, key=lambda i: inner[i][1])
        kept += [inner[i] for i in sorted({low, high})]
    return [*kept, points[-1]]


def _running_mean(values: Sequence[float]) -> list[float]:
    """Return an exponential mean of what came before, without the pull towards zero at first."""
    weight = 1 - 1 / min(max(len(values) / 30, 1), 200)
    means: list[float] = []
    mean, share = 0.0, 0.0
    for value in values:
        mean = weight * mean + (1 - weight) * value
        share = weight * share + (1 - weight)
        means.append(mean / share)
    return means


def _series(
    name: str, label: str, points: list[AnyPoint], smoothed: list[Point] | None = None
) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "points": _rounded(thin(points)),
        "smoothed": _rounded(thin(smoothed)) if smoothed else [],
    }


def _pairs(points: Sequence[Sequence[float]]) -> list[Point]:
    return [(float(point[0]), float(point[1])) for point in points]


def _rounded(points: list[AnyPoint]) -> list[list[float]]:
    return [[point[0], *(float(f"{value:.5g}") for value in point[1:])] for point in points]
