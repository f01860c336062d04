"""Curves are thinned and smoothed without losing what matters."""

import math
import random

from easytune.events import Forgetting
from easytune.services.story import Story
from easytune.webui import plots


def test_a_long_curve_keeps_its_spikes_and_its_ends() -> None:
    points = [(float(step), math.exp(-step / 5000)) for step in range(20_000)]
    points[7_777] = (7_777.0, 9.0)
    points[12_345] = (12_345.0, -3.0)
    thinned = plots.thin(points)
    assert len(thinned) <= plots.MAX_POINTS
    assert (7_777.0, 9.0) in thinned
    assert (12_345.0, -3.0) in thinned
    assert (thinned[0], thinned[-1]) == (points[0], points[-1])
    assert [x for x, _ in thinned] == sorted(x for x, _ in thinned)


def test_a_short_curve_is_left_as_it_is() -> None:
    points = [(1.0, 2.0), (2.0, 1.5)]
    assert plots.thin(points) == points
    assert plots.smooth(points) == points
    assert plots.smooth([]) == []


def test_smoothing_removes_jitter_without_delay() -> None:
    noise = random.Random(0)
    truth = [3 * math.exp(-step / 150) for step in range(600)]
    noisy = [(float(i), y + noise.gauss(0, 0.2)) for i, y in enumerate(truth)]
    smoothed = plots.smooth(noisy)
    before = sum(abs(y - t) for (_, y), t in zip(noisy, truth, strict=True))
    after = sum(abs(y - t) for (_, y), t in zip(smoothed, truth, strict=True))
    assert after < before / 2
    lag = sum(y - t for (_, y), t in zip(smoothed[50:-50], truth[50:-50], strict=True)) / 500
    assert abs(lag) < 0.02


def test_the_chart_of_a_run_that_has_not_begun_is_empty_and_says_so() -> None:
    chart = plots.loss_chart(Story("a"), "en")
    assert all(series["points"] == [] for series in chart["series"])
    assert chart["empty"] == "The loss curve begins with the first step."
    chart = plots.loss_chart(Story("a", state="failed"), "en")
    assert chart["empty"] == "This run ended before its first step."


def test_forgetting_is_drawn_with_its_interval_and_with_all_its_spikes() -> None:
    story = Story(
        "a", forgetting=[Forgetting(step=n, score=n / 1e4, low=0, high=1) for n in range(999)]
    )
    story.forgetting[500] = Forgetting(step=500, score=3.0, low=2.5, high=3.5)
    chart = plots.loss_chart(story, "en")
    drawn = next(series for series in chart["series"] if series["name"] == "forgetting")
    assert [500.0, 3.0, 2.5, 3.5] in drawn["points"]
    assert len(drawn["points"]) <= plots.MAX_POINTS
