"""The guide and what an intent suggests, as a newcomer uses them: the real app in Chromium."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from easytune.config import TrainConfig
from easytune.services.advice import Advice
from easytune.webui import guide_view, suggestion_panel
from easytune.webui.suggestions import Suggestions
from tests.conftest import AppServer
from tests.webui import dropdowns

pytestmark = pytest.mark.browser
RANK, DROPOUT = "#option-lora-rank", "#option-lora-dropout"
INTENT, WISH = "#option-goal-intent input", "#guide-wish textarea, #guide-wish input"


@pytest.fixture(scope="module")
def guided(shared_app: AppServer) -> AppServer:
    """The app of this file, with one intent of the user's own and one that is broken."""
    folder = shared_app.home / "intents"
    folder.mkdir()
    (folder / "legal.yaml").write_text(
        "title: {en: Legal <b>answers</b>, zh: 法律回答}\nsummary: {en: Strict wording.}\n"
        "rank: [4, 8]\nconfig: {optim: {weight_decay: 0.05}}\n"
        "because: {optim.weight_decay: {en: Our lawyers insist.}}\n",
        encoding="utf-8",
    )
    (folder / "broken.yaml").write_text("title: Mine\nsummary: x\nrnk: [4, 8]\n", encoding="utf-8")
    return shared_app


@pytest.fixture(scope="module")
def tab(visitor: BrowserContext, guided: AppServer) -> Iterator[Page]:
    """The Train tab as somebody new finds it. The tests share it, and each begins with a choice."""
    page = visitor.new_page()
    page.goto(guided.url)
    expect(page.locator("#train-tokens")).to_be_visible()
    yield page
    page.close()


def _pick(page: Page, intent: str) -> None:
    """Choose an intent other than the one chosen, and wait until the form holds it."""
    page.click("#guide-go-2")
    page.click(f"#guide-intents [data-intent={intent}]")
    expect(page.locator(f"#guide-intents [data-intent={intent}]")).to_have_attribute(
        "aria-pressed", "true"
    )


def _type(page: Page, control: str, text: str) -> None:
    page.fill(f"{control} input", text)
    page.press(f"{control} input", "Tab")


def _why(page: Page, control: str) -> Locator:
    return page.locator(f"{control} > .et-why")


def test_the_four_steps_fill_the_form_that_experts_see(tab: Page) -> None:
    dropdowns.choose(tab, "#guide-datasets", "Demo: facts about a company")
    expect(tab.locator("#option-data-datasets")).to_contain_text("facts about a company")
    tab.click("#guide-next")
    tab.click("#guide-intents [data-intent=style]")
    expect(tab.locator(INTENT)).to_have_value("A style of answering")
    tab.click("#guide-next")
    expect(tab.locator("#guide-model-facts")).to_contain_text("M parameters")
    tab.click("#guide-next")

    expect(tab.locator("#guide-summary")).to_contain_text("A style of answering")
    expect(tab.locator("#guide-summary")).to_contain_text("Demo: facts about a company")
    expect(tab.locator("#guide-start")).to_be_visible()
    expect(tab.locator("#guide-next")).to_be_hidden()


def test_each_suggested_value_has_its_reason_with_numbers_of_the_user(tab: Page) -> None:
    _pick(tab, "style")
    tab.click("#section-lora .label-wrap")

    expect(_why(tab, RANK)).to_contain_text(re.compile(r"\d"))
    expect(_why(tab, DROPOUT)).to_contain_text(re.compile(r"\d"))
    assert 4 <= int(tab.input_value(f"{RANK} input")) <= 8
    tab.set_viewport_size({"width": 400, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    tab.set_viewport_size({"width": 1280, "height": 900})


def test_a_changed_value_is_marked_and_goes_back_alone_or_with_all(tab: Page) -> None:
    _pick(tab, "instructions")
    expect(_why(tab, RANK)).to_be_visible()
    suggested = tab.input_value(f"{RANK} input")
    _type(tab, RANK, "24")
    _type(tab, "#option-schedule-epochs", "9")
    expect(_why(tab, RANK)).to_contain_text("Changed.")
    expect(tab.locator("#train-suggestion")).to_contain_text("changed by you: 2")
    tab.locator("#train-suggestion summary").click()
    expect(tab.locator("[data-path='lora.rank'] .guide-own")).to_have_text("yours")

    _why(tab, RANK).get_by_role("button", name=f"Back to {suggested}").click()
    expect(tab.locator(f"{RANK} input")).to_have_value(suggested)
    expect(tab.locator("#train-suggestion")).to_contain_text("changed by you: 1")
    tab.get_by_role("button", name="Back to the suggestion for all").click()

    expect(tab.locator("#option-schedule-epochs input")).not_to_have_value("9")
    expect(tab.locator("#train-suggestion")).not_to_contain_text("changed by you")


@pytest.mark.flaky(reruns=0)
def test_of_quick_clicks_the_last_counts(tab: Page) -> None:
    _pick(tab, "knowledge")
    for intent in ("style", "instructions", "knowledge", "instructions"):
        tab.click(f"#guide-intents [data-intent={intent}]")

    expect(tab.locator(INTENT)).to_have_value("Complex instructions")
    tab.click("#guide-go-4")
    expect(tab.locator("#guide-summary")).to_contain_text("Complex instructions")


def test_the_form_offers_the_same_intents_and_the_expert_keeps_all_settings(tab: Page) -> None:
    dropdowns.choose(tab, "#option-goal-intent", "Knowledge of a field")
    expect(tab.locator("#guide-intents [data-intent=knowledge]")).to_have_attribute(
        "aria-pressed", "true"
    )
    assert 8 <= int(tab.input_value(f"{RANK} input")) <= 16
    _type(tab, RANK, "28")
    _pick(tab, "expert")

    expect(tab.locator(f"{RANK} input")).to_have_value("28")
    expect(tab.locator(".et-why")).to_have_count(0)


def test_a_wish_gets_a_proposal_that_is_only_taken_on_request(tab: Page) -> None:
    _pick(tab, "expert")
    tab.fill(WISH, "Ég vil fá það hraðar <b>x</b>")
    tab.press(WISH, "Enter")
    expect(tab.locator("#guide-proposal")).to_contain_text("Choose one of the cards")
    tab.fill(WISH, "Bitte antworte höflich im Stil des Teams")
    tab.click("#guide-propose")
    expect(tab.locator("#guide-proposal")).to_contain_text("only a proposal")
    expect(tab.locator("[data-intent=style] .guide-proposed")).to_be_visible()
    expect(tab.locator(INTENT)).to_have_value("Expert: leave my settings")

    tab.click("#guide-proposal [data-intent=style]")

    expect(tab.locator(INTENT)).to_have_value("A style of answering")


def test_a_file_of_ones_own_is_a_card_and_a_broken_one_is_named_with_its_line(tab: Page) -> None:
    tab.click("#guide-go-2")
    expect(tab.locator("#guide-intents")).to_contain_text("broken.yaml, line 3")

    _pick(tab, "legal")

    expect(tab.locator(INTENT)).to_have_value("Legal <b>answers</b>")
    tab.click("#section-optim .label-wrap")
    expect(tab.locator("#option-optim-weight_decay input")).to_have_value("0.05")
    expect(_why(tab, "#option-optim-weight_decay")).to_have_text("Our lawyers insist.")


def test_a_typed_path_counts_once_it_is_left(tab: Page, tmp_path: Path) -> None:
    datasets, file = "#option-data-datasets", tmp_path / "ten.jsonl"
    rows = [f'{{"instruction": "what {n}", "output": "answer {n}"}}\n' for n in range(10)]
    file.write_text("".join(rows), encoding="utf-8")
    tab.click(f"{datasets} .token-remove >> nth=0")
    tab.fill(f"{datasets} input", str(file))
    tab.press(f"{datasets} input", "Enter")
    tab.press(f"{datasets} input", "Tab")
    tab.click("#guide-go-1")
    expect(tab.locator("#guide-data-facts")).to_contain_text("9 rows to learn from")


def test_the_guide_stays_away_for_good_and_what_was_chosen_stays(tab: Page) -> None:
    _pick(tab, "style")
    _type(tab, RANK, "24")
    expect(_why(tab, RANK)).to_contain_text("Changed.")
    tab.click("[data-et-lang=zh]")
    expect(_why(tab, RANK)).to_contain_text("已改动")
    tab.click("#guide-never")
    tab.evaluate("sessionStorage.clear()")
    tab.reload()

    expect(_why(tab, RANK)).to_contain_text("已改动")
    expect(tab.locator("#train-guide")).to_be_hidden()
    tab.click("#guide-show")
    tab.click("#guide-go-2")
    expect(tab.locator("#guide-intents [data-intent=style]")).to_contain_text("风格")


@pytest.fixture(scope="module")
def suggestions(tmp_path_factory: pytest.TempPathFactory) -> Suggestions:
    """The suggestions for an empty home, which the tests share."""
    home = tmp_path_factory.mktemp("home")
    return Suggestions(home, Advice(home))


def _counted(suggestions: Suggestions, config: TrainConfig) -> TrainConfig:
    """Return the config once its rows have been counted."""
    deadline = time.monotonic() + 60
    while suggestions.is_measuring(config):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return config


def test_untouched_values_follow_the_data_and_touched_ones_do_not(
    suggestions: Suggestions, tmp_path: Path
) -> None:
    file = tmp_path / "many.jsonl"
    rows = (f'{{"prompt": "{n}", "response": "b"}}\n' for n in range(2300))
    file.write_text("".join(rows), encoding="utf-8")
    few = _counted(suggestions, TrainConfig().changed(goal__intent="style"))
    many = _counted(suggestions, few.changed(data__datasets=(str(file),)))
    chosen = suggestions.chosen(few)
    edited = chosen.config.changed(lora__dropout=0.33, data__datasets=many.data.datasets)

    found = suggestions.look(_counted(suggestions, edited), chosen.held)

    # 16 rows a step from 2,000 rows on.
    assert chosen.config.effective_batch_size == 8
    assert found.config.effective_batch_size == 16
    assert found.config.lora.dropout == 0.33
    assert found.changed == ("lora.dropout",)


def test_values_wait_while_rows_are_being_counted_again(suggestions: Suggestions) -> None:
    """General rows are mixed in by the suggestion itself, and must be counted first."""
    config = _counted(suggestions, TrainConfig().changed(goal__intent="instructions"))
    chosen = suggestions.chosen(config)

    found = suggestions.look(chosen.config, chosen.held)

    assert chosen.config.data.replay_share > 0
    assert (found.advised.is_measuring, found.followed, found.changed) == (True, (), ())
    assert found.held == chosen.held


def test_nothing_follows_in_a_config_that_came_from_a_file(suggestions: Suggestions) -> None:
    config = _counted(suggestions, TrainConfig().changed(goal__intent="style", lora__rank=24))

    found = suggestions.look(config, None)

    assert found.config == config
    assert "lora.rank" in found.changed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model__base_model": "/no/such/folder"}, "/no/such/folder"),
        ({"data__datasets": ("/no/such/rows.jsonl",)}, "/no/such/rows.jsonl"),
        ({"goal__intent": "from-a-colleague"}, "from-a-colleague"),
    ],
)
def test_what_is_missing_is_said_and_stops_nothing(
    suggestions: Suggestions, changes: dict[str, Any], words: str
) -> None:
    config = TrainConfig().changed(**{"goal__intent": "knowledge", **changes})

    found = suggestions.chosen(_counted(suggestions, config))

    assert words in guide_view.strip(found, "en")
    assert found.config.goal == config.goal
    assert found.config.data.datasets == config.data.datasets


def test_a_proposal_with_other_data_alone_keeps_what_follows() -> None:
    before = TrainConfig().changed(goal__intent="style", lora__rank=8)
    held = {"intent": "style", "values": {"lora.rank": 8}}
    other_data = before.changed(data__datasets=("mine.jsonl",))

    assert suggestion_panel.kept(held, before, other_data) == held
    assert suggestion_panel.kept(held, before, before.changed(lora__rank=4)) is None
    assert suggestion_panel.kept(None, before, other_data) is None
