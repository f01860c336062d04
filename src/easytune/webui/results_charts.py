"""What the charts of an evaluation are drawn from; `assets/results.js` draws them.

Four of them: every metric by model with its interval, a metric over the checkpoints of a run,
learning against forgetting, and how the scores of single rows are spread.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from easytune.evaluation_files import TestRow
from easytune.i18n import t
from easytune.webui.results_names import Shown, direction, metric_name, probe_name

BINS = 20
_FAR = 4
ScoresByRow = Mapping[str, Sequence[Sequence[float | None]]]
"""Metric -> candidate -> a score per row, None where the metric does not apply."""
_TEXTS = (
    "title", "by_model", "over_steps", "trade_off", "spread", "set", "metric", "step",
    "forgetting_axis", "rows_axis", "cut",
)  # fmt: skip


def charts(
    shown: Shown, scores: ScoresByRow, rows: Sequence[TestRow], last_steps: Mapping[str, int]
) -> dict[str, Any] | None:
    """Return all charts as plain numbers and texts; None when there is nothing to draw.

    `last_steps` has the step that each run's result is of, as far as that is known.
    """
    if not shown.result.scores:
        return None
    return {
        "id": shown.id,
        "texts": {name: t(f"results.chart.{name}", shown.lang) for name in _TEXTS},
        "sets": [one.title for one in shown.result.sets],
        "metrics": [_metric(name, shown.lang) for name in shown.metrics()],
        "candidates": [
            _candidate(shown, place, last_steps) for place in range(len(shown.candidates))
        ],
        "figures": [
            {
                "set": one.set,
                "candidate": one.candidate,
                "metric": one.metric,
                "value": _short(one.figure.value),
                "low": _short(one.figure.low),
                "high": _short(one.figure.high),
                "rows": one.figure.rows,
            }
            for one in shown.result.scores
        ],
        "forgetting": _forgetting(shown),
        "spreads": spreads(scores, rows, len(shown.result.sets)),
    }


def spreads(
    scores: ScoresByRow, rows: Sequence[TestRow], sets: int
) -> dict[str, list[dict[str, Any]]]:
    """Return for each metric and set how many rows of each candidate score how much.

    Each has `low` and `high`, the ends of equal bins, `counts`, a list per candidate, and `cut`:
    whether the last bin holds all scores above, too.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for metric, by_candidate in scores.items():
        found[metric] = [_spread(by_candidate, rows, place) for place in range(sets)]
    return found


def _spread(
    by_candidate: Sequence[Sequence[float | None]], rows: Sequence[TestRow], place: int
) -> dict[str, Any]:
    values = [
        [score for row, score in zip(rows, one, strict=False) if row.set == place and _is(score)]
        for one in by_candidate
    ]
    everything = [float(score) for one in values for score in one if score is not None]
    if not everything:
        return {"low": 0.0, "high": 0.0, "counts": [], "cut": False}
    everything.sort()
    low, high = _ends(everything[0], everything[-1])
    usual = everything[int(0.98 * (len(everything) - 1))]
    # A few answers of enormous perplexity would put all others into one bin.
    is_cut = usual > low and high - low > _FAR * (usual - low)
    high = usual if is_cut else high
    width = (high - low) / BINS
    counts = [[0] * BINS for _ in values]
    for drawn, one in zip(counts, values, strict=True):
        for score in one:
            drawn[min(BINS - 1, int((float(score or 0.0) - low) / width))] += 1
    return {"low": low, "high": high, "counts": counts, "cut": is_cut}


def _ends(low: float, high: float) -> tuple[float, float]:
    """Return the ends of the bins: 0 to 1 or 0 to 100 where scores seem to be shares."""
    for top in (1.0, 100.0):
        if low >= 0 and top / 2 < high <= top:
            return 0.0, top
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _is(score: float | None) -> bool:
    return score is not None and score == score and abs(score) != float("inf")


def _metric(name: str, lang: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": metric_name(name, lang),
        "way": {1: "↑", -1: "↓"}.get(direction(name), ""),
    }


def _candidate(shown: Shown, place: int, last_steps: Mapping[str, int]) -> dict[str, Any]:
    one = shown.candidates[place]
    of_result = last_steps.get(one.run) if one.run is not None else None
    # The base of a run is what the run began with.
    otherwise = 0 if one.kind == "base" else of_result
    return {
        "label": shown.candidate(place),
        "short": str(place + 1),
        "base": one.base,
        "run": one.run,
        "step": one.step if one.step is not None else otherwise,
        "kind": one.kind,
    }


def _forgetting(shown: Shown) -> list[dict[str, Any]]:
    return [
        {
            "candidate": one.candidate,
            "probe": probe_name(one.probe, shown.lang),
            "score": _short(one.score),
            "low": _short(one.low),
            "high": _short(one.high),
        }
        for one in shown.result.forgetting
    ]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
