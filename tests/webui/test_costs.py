"""What a run will take and the launch check, as somebody sees them beside Start."""

import html
import json
import re
import shutil
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Page, expect

from easytune import config_file, paths
from easytune import demo as bundled
from easytune.config import TrainConfig
from easytune.errors import ModelIncomplete
from easytune.estimate import Change, Estimate
from easytune.events import Failed, Notice, Trial
from easytune.job import CheckWishes
from easytune.services.advice import Advised
from easytune.services.checks import Checks, CheckStory
from easytune.shapes import Machine
from easytune.webui import check_view, estimate_view
from easytune.webui.drafts import demo
from tests.conftest import AppServer
from tests.webui.stand_in_check import SUGGESTED

STAND_IN = Path(__file__).with_name("stand_in_check.py")
BATCH = "#option-schedule-batch_size"
GB_PER_LAYER = 0.4
"""What a layer of the demo model remembers of all rows of the demo data at once."""
PARTS = {"weights": 3.0, "adapter": 0.1, "gradients": 0.1, "optimizer": 0.2, "activations": 6.5,
         "logits": 2.0, "overhead": 0.6}  # fmt: skip
CHANGES = [
    Change({"schedule.batch_size": 4, "schedule.gradient_accumulation": 2}, 9.1),
    Change({"memory.gradient_checkpointing": "on"}, 6.2),
]
MACHINE = Machine(
    device="cpu", name="x", free_gb=8.0, total_gb=16.0, has_bf16=True, cores=2, disk_free_gb=50.0,
    can_quantize=False,
)  # fmt: skip
LIGHTER = {"schedule.batch_size": 2, "schedule.gradient_accumulation": 4}


def _estimate(**known: Any) -> Estimate:
    whole: dict[str, Any] = {
        "parts": PARTS, "peak_gb": 12.5, "free_gb": 8.0, "device": "cpu", "verdict": "too_much",
        "seconds": 754.0, "tokens_per_second": 1234.5, "pace_source": "run", "pace_run": "r<1>",
        "disk_gb": 0.2, "disk_free_gb": 50.0, "total_steps": 1200,
        "checkpointing": False,
    }  # fmt: skip
    return Estimate(**(whole | known))


def _advised(estimate: Estimate | None = None, **known: Any) -> Advised:
    whole: dict[str, Any] = {
        "estimate": estimate, "model": None, "data": None, "machine": MACHINE, "changes": [],
        "problem": None, "is_measuring": False,
    }  # fmt: skip
    return Advised(**(whole | known))


def _offers(markup: str) -> list[dict[str, Any]]:
    """Return what the buttons of a card would put into the form."""
    found = re.findall(r'data-options="([^"]*)"', markup)
    return [json.loads(html.unescape(options)) for options in found]


def _trial(rung: int, outcome: Any = "fits", **known: Any) -> Trial:
    return Trial(rung=rung, outcome=outcome, **known)


def _story(**known: Any) -> CheckStory:
    whole: dict[str, Any] = {
        "id": "c1", "state": "finished", "given": TrainConfig(), "wishes": CheckWishes(),
    }  # fmt: skip
    return CheckStory(**(whole | known))


def _lighter_story() -> CheckStory:
    fits = _trial(
        1, changes=LIGHTER, peak_memory_gb=5.1, limit_gb=8.0, step_seconds=1.5, losses=[2.5, 2.4],
        grad_norms=[0.71, 0.7], tokens_per_second=900.0,
    )  # fmt: skip
    return _story(
        trials=[_trial(0, "out_of_memory", limit_gb=8.0), fits], fits=fits, total_seconds=7300.0,
        config=TrainConfig().changed(schedule__batch_size=2, schedule__gradient_accumulation=4),
    )  # fmt: skip


def test_a_run_that_is_too_large_offers_each_change_that_makes_it_fit() -> None:
    card = estimate_view.card(_advised(_estimate(), changes=CHANGES), "en")

    assert 'data-verdict="too_much"' in card
    assert "12.5 GB" in card
    assert "Activations 6.5 GB" in card
    assert "Batch size 4, Gradient accumulation 2" in card
    every = CHANGES[0].options | CHANGES[1].options
    assert _offers(card) == [CHANGES[0].options, CHANGES[1].options, every]
    assert "12 min 34 s" in card
    assert "r&lt;1&gt;" in card
    assert "放不下" in estimate_view.card(_advised(_estimate()), "zh")


def test_the_bar_marks_what_is_free_and_ends_at_the_larger_of_the_two() -> None:
    def drawn(peak: float, free: float) -> tuple[float, float]:
        scale = peak / sum(PARTS.values())
        parts = {name: value * scale for name, value in PARTS.items()}
        card = estimate_view.card(
            _advised(_estimate(parts=parts, peak_gb=peak, free_gb=free, verdict="fits")), "en"
        )
        widths = [float(width) for width in re.findall(r"width:([\d.]+)%", card)]
        return round(sum(widths)), float(re.findall(r"left:([\d.]+)%", card)[0])

    assert drawn(peak=5, free=20) == (25, 100.0)
    assert drawn(peak=20, free=5) == (100, 25.0)


def test_what_cannot_be_told_is_said_and_the_rest_stays() -> None:
    problem = ModelIncomplete(model="<m>", missing="config.json")
    broken = estimate_view.card(_advised(problem=problem), "en")
    unknown = _estimate(seconds=None, tokens_per_second=None, pace_source=None, total_steps=None)
    counting = estimate_view.card(_advised(unknown, is_measuring=True), "en")

    assert "config.json is missing" in broken
    assert "&lt;m&gt;" in broken
    assert "not known yet" in counting
    assert "Counting the tokens" in counting
    assert "12.5 GB" in counting


def test_a_lighter_rung_that_fits_can_be_taken_until_the_form_holds_it() -> None:
    story = _lighter_story()
    assert story.config is not None
    before = check_view.story(story, TrainConfig(), "en")
    after = check_view.story(story, story.config, "en")

    assert "out of memory" in before
    assert "5.1 GB of 8.0 GB free" in before
    assert "2 h 1 min" in before
    assert "0.71" in before
    assert _offers(before) == [LIGHTER]
    rate = story.config.changed(optim__learning_rate=3e-3)
    taken = check_view.story(replace(story, suggested_rate=3e-3), rate, "en")
    assert _offers(after) == []
    assert "check-stale" not in taken
    assert "check-stale" not in before + after


def test_a_check_of_other_settings_says_so() -> None:
    changed = TrainConfig().changed(data__max_length=4096)
    named = TrainConfig().changed(output__name="other", monitor__eval_steps=5)

    stale = check_view.story(_lighter_story(), changed, "en")
    assert 'id="check-stale"' in stale
    assert "Max length" in stale
    assert 'id="check-stale"' not in check_view.story(_lighter_story(), named, "en")


def test_a_failed_check_and_its_warnings_are_sentences_without_markup() -> None:
    notice = Notice(code="rows_truncated", values={"count": "<i>3</i>", "max_length": 64})
    failed = Failed(code="model_missing", values={"model": "<b>x</b>"})
    told = check_view.story(
        _story(state="failed", failure=failed, warnings=[notice]), TrainConfig(), "en"
    )

    assert "There is no model" in told
    assert "were longer than 64 tokens" in told
    assert "<b>x" not in told
    assert "<i>3" not in told


def test_a_range_test_is_drawn_with_the_suggested_rate_and_one_click() -> None:
    curve = [(10.0 ** (-6 + n / 8), 3.0 - n / 20) for n in range(40)] + [(0.5, float("nan"))]
    found = replace(_lighter_story(), range_curve=curve, suggested_rate=3.2e-4)
    drawn = check_view.story(found, TrainConfig(), "en")

    points = re.findall(r'points="([^"]*)"', drawn)
    assert [len(line.split()) for line in points] == [40]
    places = [float(point.split(",")[0]) for point in points[0].split()]
    steps = {round(b - a, 1) for a, b in pairwise(places)}
    assert max(steps) - min(steps) <= 0.2, "the rates stand evenly, by their logarithm"
    (mark,) = re.findall(r'costs-mark" x1="([\d.]+)"', drawn)
    nearest = min(range(40), key=lambda n: abs(curve[n][0] - 3.2e-4))
    assert abs(float(mark) - places[nearest]) < max(steps)
    assert {"optim.learning_rate": 3.2e-4} in _offers(drawn)


@pytest.mark.browser
def test_the_estimate_follows_every_key_and_fits_again_with_a_click(
    page: Page, shared_app: AppServer
) -> None:
    last = shared_app.home / "last.yaml"
    last.write_text(config_file.dump(_deep_run(shared_app.home)), encoding="utf-8")
    page.goto(shared_app.url)
    expect(page.locator("#option-model-base_model input")).to_have_value("deep")
    last.unlink()
    expect(page.locator("#costs-line [data-verdict]")).to_have_attribute("data-verdict", "fits")
    expect(page.locator("#costs-time")).to_contain_text("378 steps")

    # Nobody has left the number yet.
    page.fill(f"{BATCH} input", "512")
    expect(page.locator("#costs-line [data-verdict]")).to_have_attribute("data-verdict", "too_much")
    page.locator("#costs-estimate .costs-changes button").last.click()

    expect(page.locator("#costs-estimate .costs-changes")).to_have_count(0)
    expect(page.locator("#costs-line [data-verdict]")).not_to_have_attribute(
        "data-verdict", "too_much"
    )


def _deep_run(home: Path) -> TrainConfig:
    """Return a run of the demo data on a model so deep that all rows at once fit nowhere."""
    folder = shutil.copytree(bundled.MODEL, paths.models(home) / "deep")
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    layers = round(1.5 * psutil.virtual_memory().total / 1e9 / GB_PER_LAYER)
    (folder / "config.json").write_text(
        json.dumps(config | {"num_hidden_layers": layers}), encoding="utf-8"
    )
    # Without headers to read, its shape is that of its config.
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    return demo().changed(
        model__base_model="deep", model__allow_pickle=True,
        data__packing=False, memory__gradient_checkpointing="off",
    )  # fmt: skip


@pytest.mark.browser
def test_a_check_that_goes_on_is_found_followed_and_what_fits_is_taken(
    page: Page, shared_app: AppServer
) -> None:
    checks = Checks(shared_app.home, [sys.executable, str(STAND_IN)])
    check = checks.start(demo(), CheckWishes(range_test=True))
    folder = paths.checks(shared_app.home) / check
    page.goto(shared_app.url)
    expect(page.locator("#check-story [data-outcome=out_of_memory]")).to_be_visible()
    expect(page.locator("#check-start")).to_be_hidden()

    (folder / "lighter").touch()
    expect(page.locator("#check-story [data-outcome=fits]")).to_contain_text("3.1 GB of 4.0 GB")
    (folder / "end").touch()
    expect(page.locator("#check-story [data-figure=total]")).to_contain_text("12 min 34 s")
    expect(page.locator("#check-story")).to_contain_text("longer than 256 tokens")
    expect(page.locator("#check-start")).to_have_text("Launch check")

    page.click("#check-story button:has-text('Take this rate')")
    expect(page.locator("#option-optim-learning_rate input")).to_have_value(str(SUGGESTED))
    page.click("#check-story button:has-text('Take these settings')")
    expect(page.locator(f"{BATCH} input")).to_have_value("2")
    expect(page.locator("#option-schedule-gradient_accumulation input")).to_have_value("4")

    # The guide's button presses that of the panel.
    page.click("#guide-go-4")
    page.click("#guide-check")
    page.click("#check-cancel")
    expect(page.locator("#check-story .costs-check")).to_have_attribute("data-state", "stopped")
    expect(page.locator("#check-start")).to_be_visible()
