"""The Train tab as a person uses it: the real app in a real Chromium."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import BrowserContext, Page, expect

from easytune import config_file
from easytune.config import TrainConfig
from easytune.config_file import load_file
from easytune.webui.drafts import demo
from tests.conftest import AppServer, speak_english
from tests.webui import dropdowns

pytestmark = pytest.mark.browser
RANK = "#option-lora-rank input"


@pytest.fixture
def newcomer(visitor: BrowserContext, shared_app: AppServer) -> Iterator[Page]:
    """The Train tab with its first preview drawn, as somebody new finds it."""
    page = _open(visitor.new_page(), shared_app)
    yield page
    page.close()
    visitor.clear_cookies()


@pytest.fixture(scope="module")
def opened(visitor: BrowserContext, shared_app: AppServer) -> Page:
    """The Train tab, opened once: that takes long."""
    return _open(visitor.new_page(), shared_app)


@pytest.fixture
def tab(opened: Page, tmp_path: Path) -> Page:
    """The shared tab, its form and its preview those of the demo again."""
    speak_english(opened)
    file = tmp_path / "begin.yaml"
    # The name tells when the form holds this and nothing of the test before.
    name = f"begun-in-{tmp_path.name}"
    file.write_text(config_file.dump(demo().changed(output__name=name)), encoding="utf-8")
    _unfold(opened, "file")
    _open_yaml(opened, file)
    expect(opened.locator("#train-yaml")).to_contain_text(name)
    expect(opened.locator("#train-facts")).to_contain_text("M parameters")
    expect(opened.locator("#train-tokens .tok-trained").first).to_contain_text("Ahoy!")
    expect(opened.locator("#train-tokens .tok-truncated")).to_have_count(0)
    return opened


def _open(page: Page, app: AppServer) -> Page:
    page.goto(app.url)
    expect(page.locator("#train-tokens")).to_be_visible()
    expect(page.locator("#train-facts")).to_contain_text("M")
    return page


def _type(page: Page, control: str, text: str) -> None:
    page.fill(control, text)
    page.press(control, "Tab")


def _unfold(page: Page, section: str) -> None:
    head = page.locator(f"#section-{section} .label-wrap")
    if "open" not in (head.get_attribute("class") or "").split():
        head.click()
    expect(head).to_contain_class("open")


def _expect_toast(page: Page, *words: str) -> None:
    toast = page.get_by_test_id("toast-body")
    for word in words:
        toast = toast.filter(has_text=word)
    expect(toast.first).to_be_visible()


def _upload(page: Page, file: Path) -> None:
    # The button's own input is made when it is pressed.
    with page.expect_file_chooser() as chooser:
        page.click("#train-upload")
    chooser.value.set_files(file)


def _open_yaml(page: Page, file: Path) -> None:
    with page.expect_file_chooser() as chooser:
        page.click("#train-open")
    chooser.value.set_files(file)


def _save(page: Page, folder: Path) -> Path:
    with page.expect_download() as download:
        page.click("#train-save")
    target = folder / download.value.suggested_filename
    download.value.save_as(target)
    return target


def test_a_new_user_finds_the_demo_ready_to_start_and_what_of_it_is_learned(
    newcomer: Page,
) -> None:
    page = newcomer
    expect(page.locator("#option-model-base_model input")).to_have_value("Demo model (bundled)")
    expect(page.locator("#option-data-datasets")).to_contain_text("Demo: a house style")
    expect(page.locator("#option-data-max_length input")).to_have_value("256")
    expect(page.locator("#train-facts")).to_contain_text(re.compile(r"Llama · 2\.\d+ M parameters"))
    expect(page.locator("#train-start")).to_be_in_viewport()

    learned = page.locator("#train-tokens .tok-trained").all_inner_texts()
    read = page.locator("#train-tokens .tok-masked").all_inner_texts()
    assert learned[0].startswith("Ahoy!")
    assert "Ahoy" not in "".join(read)
    assert "user" in "".join(read)


def test_the_preview_goes_from_row_to_row(tab: Page) -> None:
    first = tab.inner_text("#train-tokens")

    tab.click("#preview-later")
    expect(tab.locator("#preview-row input")).to_have_value("2")
    expect(tab.locator("#train-tokens")).not_to_have_text(first)
    tab.click("#preview-earlier")

    expect(tab.locator("#train-tokens")).to_have_text(first)


def test_the_preview_follows_the_maximum_length(tab: Page) -> None:
    _type(tab, "#option-data-max_length input", "32")

    expect(tab.locator("#train-tokens .tok-truncated").first).to_be_visible()
    expect(tab.locator(".et-figures")).to_contain_text("cut at 32 tokens")


def test_what_was_changed_is_in_the_saved_file_and_comes_back(tab: Page, tmp_path: Path) -> None:
    _type(tab, RANK, "12")
    _unfold(tab, "file")
    expect(tab.locator("#train-yaml")).to_contain_text("rank: 12")
    saved = _save(tab, tmp_path)
    _type(tab, RANK, "20")
    expect(tab.locator("#train-command")).to_contain_text("--lora.rank 20")
    _open_yaml(tab, saved)

    assert load_file(saved).config.lora.rank == 12
    expect(tab.locator(RANK)).to_have_value("12")


def test_unknown_keys_of_a_file_are_named(tab: Page, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("lora: {rank: 24, rnak: 3}\n<b>x</b>: 1\n", encoding="utf-8")
    _unfold(tab, "file")
    _open_yaml(tab, file)

    notices = tab.locator("#train-notices")
    expect(notices).to_contain_text("no option lora.rnak; it was left out. Did you mean lora.rank?")
    expect(notices).to_contain_text("<b>x</b>")
    expect(tab.locator(RANK)).to_have_value("24")


def test_a_file_that_is_no_configuration_changes_nothing(tab: Page, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_text("lora: [", encoding="utf-8")
    _type(tab, RANK, "20")
    _unfold(tab, "file")
    _open_yaml(tab, file)

    _expect_toast(tab, "broken.yaml cannot be read as a configuration")
    expect(tab.locator(RANK)).to_have_value("20")


def test_a_ready_made_configuration_can_be_opened(tab: Page) -> None:
    dropdowns.choose(tab, "#train-open-saved", "demo-knowledge.yaml")

    expect(tab.locator("#option-data-datasets")).to_contain_text("Demo: facts about a company")
    expect(tab.locator("#train-tokens")).not_to_contain_text("Ahoy")


def test_a_bad_value_is_explained_at_its_control_until_it_is_mended(tab: Page) -> None:
    _type(tab, RANK, "0")
    expect(tab.locator("#option-lora-rank")).to_contain_text("Should be at least 1, not 0.")

    _type(tab, RANK, "8")

    expect(tab.locator("#option-lora-rank")).to_contain_text("Size of the adapter")


def test_start_refuses_a_bad_value_in_a_closed_section_and_opens_it(
    tab: Page, shared_app: AppServer
) -> None:
    _unfold(tab, "optim")
    head = tab.locator("#section-optim .label-wrap")
    bad = tab.locator("#option-optim-weight_decay")
    _type(tab, "#option-optim-weight_decay input", "7")
    # Once it has been looked at nothing opens the section by itself.
    expect(bad).to_contain_text("Should be at most 1, not 7.")
    head.click()
    expect(head).not_to_contain_class("open")
    tab.click("#train-start")

    expect(head).to_contain_class("open")
    expect(bad).to_contain_text("Should be at most 1, not 7.")
    _expect_toast(tab, "Weight decay")
    assert not list((shared_app.home / "runs").glob("*"))


def test_numbers_that_may_be_empty_stay_empty_when_their_section_opens(
    newcomer: Page, tmp_path: Path
) -> None:
    """Controls of a section that was never open are not there yet."""
    tab = newcomer
    for section in ("schedule", "monitor", "expert", "data", "file"):
        _unfold(tab, section)
    expect(tab.locator("#option-monitor-early_stopping")).to_be_visible()
    _type(tab, RANK, "20")
    expect(tab.locator("#train-command")).to_contain_text("--lora.rank 20")
    config = load_file(_save(tab, tmp_path)).config

    assert (config.schedule.max_steps, config.monitor.early_stopping) == (None, None)
    assert (config.data.max_rows, config.optim.neftune_alpha) == (None, None)


def test_the_method_decides_which_controls_are_there(tab: Page) -> None:
    tab.click("#option-model-method label:has-text('All weights')")
    expect(tab.locator("#option-lora-rank")).to_be_hidden()
    expect(tab.locator("#section-lora")).to_be_hidden()

    tab.click("#option-model-method label >> nth=0")

    expect(tab.locator("#option-lora-rank")).to_be_visible()


def test_a_model_that_is_not_there_is_explained(tab: Page) -> None:
    _type(tab, "#option-model-base_model input", "/no/such/folder")

    expect(tab.locator("#train-facts")).to_contain_text('no model "/no/such/folder"')
    expect(tab.locator("#train-preview")).to_contain_text('no model "/no/such/folder"')


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.jsonl", b"", "has no rows"),
        ("picture.jsonl", bytes(range(256)) * 9, "cannot be read"),
        ("half.json", b'[{"prompt": "a", "respo', "cannot be read"),
    ],
)
def test_a_file_without_rows_is_refused_and_the_form_stays(
    tab: Page, tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    file = tmp_path / name
    file.write_bytes(content)
    _type(tab, RANK, "20")
    _upload(tab, file)

    _expect_toast(tab, name, words)
    expect(tab.locator("#option-data-datasets")).to_contain_text("Demo: a house style")
    expect(tab.locator(RANK)).to_have_value("20")


def test_a_file_with_one_row_says_that_more_are_needed(tab: Page, tmp_path: Path) -> None:
    file = tmp_path / "one.jsonl"
    file.write_text(json.dumps({"prompt": "a", "response": "b"}), encoding="utf-8")
    _upload(tab, file)

    expect(tab.locator("#train-preview")).to_contain_text("at least 2")


def test_unknown_columns_are_mapped_by_hand(tab: Page, tmp_path: Path) -> None:
    file = tmp_path / "faq.csv"
    file.write_text("frage,antwort\n" + "wie heisst du,Eva\n" * 9, encoding="utf-8")
    _upload(tab, file)
    expect(tab.locator("#train-columns")).to_be_visible()

    for role, column in (("prompt", "frage"), ("response", "antwort")):
        tab.fill(f"#train-column-{role} input", column)
        tab.press(f"#train-column-{role} input", "Enter")
        # The rows are looked at anew; what is chosen stays.
        with tab.expect_response("**/run/predict"):
            tab.locator("#preview-row input").focus()
            tab.locator("#preview-row input").blur()
    for role, column in (("prompt", "frage"), ("response", "antwort")):
        expect(tab.locator(f"#train-column-{role} input")).to_have_value(column)
    tab.click("#train-columns-apply")

    expect(tab.locator("#train-tokens .tok-trained").first).to_contain_text("Eva")
    expect(tab.locator("#train-columns")).to_be_hidden()


def test_rows_that_cannot_be_used_are_named(tab: Page, tmp_path: Path) -> None:
    rows = [{"prompt": f"{n}?", "response": "<script>alert(1)</script>"} for n in range(9)]
    rows[3]["response"] = None  # type: ignore[assignment]
    file = tmp_path / "mixed.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    _upload(tab, file)

    expect(tab.locator("#train-preview details")).to_contain_text("4")
    expect(tab.locator("#train-tokens .tok-trained").first).to_contain_text("<script>alert(1)")


def test_edits_survive_a_reload(tab: Page) -> None:
    _type(tab, RANK, "28")
    _unfold(tab, "file")
    expect(tab.locator("#train-yaml")).to_contain_text("rank: 28")
    tab.reload()

    expect(tab.locator(RANK)).to_have_value("28")


def test_the_whole_form_speaks_chinese_at_once(tab: Page) -> None:
    _type(tab, RANK, "0")
    tab.click("[data-et-lang=zh]")

    expect(tab.locator("#train-start")).to_have_text("开始训练")
    expect(tab.locator("#option-lora-rank")).to_contain_text("LoRA 秩")
    expect(tab.locator(".et-figures")).to_contain_text("行用于学习")
    expect(tab.locator("#option-lora-rank")).not_to_contain_text("Should be")


def test_the_form_fits_a_narrow_screen(tab: Page) -> None:
    tab.set_viewport_size({"width": 400, "height": 800})

    assert tab.evaluate("document.documentElement.scrollWidth") <= 400
    expect(tab.locator("#train-start")).to_be_in_viewport()
    tab.set_viewport_size({"width": 1280, "height": 900})


def test_start_submits_what_the_form_holds_and_shows_the_run(page: Page, app: AppServer) -> None:
    tab = _open(page, app)
    _type(tab, RANK, "4")
    _unfold(tab, "schedule")
    _type(tab, "#option-schedule-max_steps textarea, #option-schedule-max_steps input", "3")
    tab.set_viewport_size({"width": 400, "height": 800})
    tab.click("#train-start")
    expect(tab.locator("#et-status")).to_contain_text("style")
    expect(tab.locator("#et-status")).to_be_in_viewport()

    run = next((app.home / "runs").glob("[!.]*"))
    config = TrainConfig.model_validate(yaml.safe_load((run / "job.yaml").read_text())["config"])
    assert (config.lora.rank, config.schedule.max_steps) == (4, 3)
    assert load_file(app.home / "last.yaml").config.lora.rank == 4

    expect(tab.locator("#train-stop")).to_be_visible()
    tab.click("#train-start")
    _expect_toast(tab, "waits its turn")
    expect(tab.locator("#et-status .et-chip")).to_have_attribute("data-state", "queued")
