"""What the page says about forgetting: how much, how sure that is, and what can be done."""

from typing import Any

import pytest

from easytune.config import TrainConfig
from easytune.events import CategoryForgetting, Forgetting
from easytune.services.story import Story
from easytune.webui import forgetting_view
from easytune.webui.forgetting_view import Ways

CONFIG = TrainConfig()
MODELS = {40: "run@40", 80: "run@80", 120: "run@120"}


def measured(step: int, score: float, **more: Any) -> Forgetting:
    return Forgetting(step=step, score=score, low=score - 0.05, high=score + 0.05, **more)


def story(*scores: tuple[int, float]) -> Story:
    """Return a run with these scores, which learned nearly all it did by step 80."""
    forgetting = [measured(step, score) for step, score in scores]
    held_out = [(40, 2.0), (80, 1.05), (120, 1.0)]
    return Story(
        "run", "finished", step=120, held_out=held_out, forgetting=forgetting,
        final_forgetting=forgetting[-1],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lang", "note"),
    [
        ("en", "severe, 0.254 to 0.354, 74 % retained"),
        ("zh", "严重，0.254 至 0.354，保留 74 %"),
    ],
)
def test_the_tile_tells_band_interval_and_what_is_retained(lang: str, note: str) -> None:
    tile = forgetting_view.tile(story((120, 0.304)), CONFIG, lang)
    assert tile == ("0.304", note, "severe")


def test_a_model_better_than_its_base_has_forgotten_nothing() -> None:
    value, note, tone = forgetting_view.tile(story((120, -0.02)), CONFIG, "en")
    assert (value, tone) == ("−0.020", "none")
    assert note == "none measurable, −0.070 to 0.030, 100 % retained"


@pytest.mark.parametrize(
    ("run", "meter", "note"),
    [
        (Story("a", "queued"), True, "first measured before the first step"),
        (Story("a", "running", step=5), True, "not measured"),
        (Story("a", "finished", step=5), True, "not measured"),
        (Story("a", "running", step=5), False, "switched off for this run"),
    ],
    ids=["queued", "running", "old run", "off"],
)
def test_what_was_not_measured_is_said_to_be_so(run: Story, meter: bool, note: str) -> None:
    config = CONFIG.changed(monitor__forgetting=meter)
    assert forgetting_view.tile(run, config, "en") == ("–", note, "")
    assert forgetting_view.panel(run, config, Ways(), "en") is None


def test_severe_forgetting_points_to_the_checkpoint_with_the_better_bargain() -> None:
    severe = story((40, 0.05), (80, 0.2), (120, 0.6))
    warning = _panel(severe, MODELS)["warning"]
    assert [one["name"] for one in warning["remedies"]] == ["earlier", "replay", "rate", "strength"]
    earlier = warning["remedies"][0]
    assert "step 80 has 95 % of the learning and 33 % of the forgetting" in earlier["text"]
    assert "from the first measurement on held-out rows, at step 40" in earlier["text"]
    assert earlier["model"] == "run@80"
    assert warning["remedies"][1]["button"] == "Replay share: 0 → 0.25 (fills the form)"


def test_a_checkpoint_that_is_gone_is_not_proposed() -> None:
    severe = story((40, 0.05), (80, 0.2), (120, 0.6))
    remedies = _panel(severe, {120: "run@120"})["warning"]["remedies"]
    assert "earlier" not in [one["name"] for one in remedies]


def test_a_run_that_returned_to_a_mild_step_is_not_warned_of() -> None:
    returned = story((40, 0.05), (80, 0.1), (120, 0.6))
    returned.final_forgetting = returned.forgetting[1]
    assert _panel(returned, MODELS)["warning"] is None


def test_categories_are_told_with_bars_as_long_as_their_scores() -> None:
    run = story((120, 0.3))
    single = CategoryForgetting(score=0.1, low=0.1, high=0.1, sequences=1)
    code = CategoryForgetting(score=0.3, low=0.2, high=0.4, sequences=8)
    own = CategoryForgetting(score=-0.15, low=-0.2, high=0.1, sequences=4)
    run.final_forgetting = measured(
        120, 0.3, categories={"code": code, "<i>mine</i>": own, "zoo": single}
    )
    first, second, third = _panel(run, {})["categories"]
    assert (first["name"], first["tone"], first["width"]) == ("<i>mine</i>", "none", 0.5)
    assert (second["name"], second["interval"], second["width"]) == ("Code", "0.200 to 0.400", 1.0)
    assert third["interval"] == "one text only, so no interval"


def test_half_strength_is_offered_in_place_of_another_training_where_it_can_be_had() -> None:
    found = forgetting_view.panel(story((120, 0.6)), CONFIG, Ways({}, halves=True), "en")
    assert found
    assert [one["name"] for one in found["warning"]["remedies"]] == ["half", "replay", "rate"]


def _panel(run: Story, models: dict[int, str]) -> dict[str, Any]:
    found = forgetting_view.panel(run, CONFIG, Ways(models), "en")
    assert found is not None
    return found
