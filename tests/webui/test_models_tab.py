"""The Models tab as a person uses it: the real app, a real Chromium, small real folders."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from easytune.job import JobFolder
from tests.conftest import AppServer, end_processes_of, environment_for, new_visitor, speak_english
from tests.services.registry_home import checkpoint, export, registry, run

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> JobFolder:
    """A home with three runs, a checkpoint and an export; the first run is returned."""
    home = tmp_path_factory.mktemp("models") / "home"
    home.mkdir()
    first = run(home)
    checkpoint(first)
    export(home, first, "tone")
    run(home, number=2, optim__learning_rate=5e-5)
    run(home, name="facts", number=3)
    registry(home).tag("facts:v1", [HOSTILE])
    return first


@pytest.fixture(scope="module")
def home(made: JobFolder) -> Path:
    """The home of that run."""
    return made.path.parent.parent


@pytest.fixture(scope="module")
def page(browser: Browser, home: Path) -> Iterator[Page]:
    """A page with the tab open, for all tests of the file."""
    server = AppServer(home, environment_for(home)).wait()
    context = new_visitor(browser)
    page = context.new_page()
    page.goto(server.url)
    page.locator("#et-tabs").get_by_role("tab", name="Models", exact=True).click()
    expect(page.locator(".models-list tbody tr")).to_have_count(4)
    yield page
    context.close()
    server.kill()
    end_processes_of(home)


def _row(page: Page, ref: str) -> Locator:
    return page.locator("tr[data-entry]", has_text=ref)


def _open(page: Page, ref: str) -> Locator:
    """Open the sheet of a version."""
    _row(page, ref).locator(".models-open").click()
    sheet = page.locator("#models-sheet")
    expect(sheet.locator("h3").first).to_have_text(ref)
    return sheet


def test_versions_are_found_by_words_filters_and_order(page: Page) -> None:
    rows = page.locator(".models-list tbody tr")
    page.locator("#models-search textarea, #models-search input").fill("HOUSE")
    expect(rows).to_have_count(2)
    page.locator("#models-search textarea, #models-search input").fill("")
    expect(rows).to_have_count(4)
    page.locator('[data-filter="kind"]').select_option("export")
    expect(rows).to_have_count(1)
    page.locator('[data-filter="kind"]').select_option("")
    page.locator('[data-filter="sort"]').select_option("loss")
    expect(rows.first).to_contain_text("facts:v1")
    # What people write is text, wherever it is shown.
    expect(rows.first).to_contain_text(HOSTILE[:30])
    assert page.title() != "broken in"


def test_a_sheet_has_figures_chain_and_files_and_what_is_saved_stays(
    page: Page, home: Path
) -> None:
    sheet = _open(page, "house-style:v1")
    expect(sheet.locator('[data-card="trace"] li')).to_have_count(3)
    expect(sheet.locator('[data-card="needed_by"]')).to_contain_text("Export tone")
    expect(page.locator("#models-files code").first).to_have_text("f41ce25377ca")
    sheet.locator("[name=stage]").select_option("approved")
    sheet.locator("[name=tags]").fill("best, For Ann")
    sheet.locator("[name=notes]").fill(f"Better. {HOSTILE}")
    sheet.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    expect(_row(page, "house-style:v1")).to_contain_text("Approved")
    kept = registry(home).get("house-style:v1")
    assert (kept.tags, kept.notes) == (("best", "for ann"), f"Better. {HOSTILE}")
    expect(page.locator("#models-files")).to_contain_text("stage from Candidate to Approved")
    assert page.title() != "broken in"


def test_a_change_by_somebody_else_is_not_overwritten(page: Page, home: Path) -> None:
    sheet = _open(page, "facts:v1")
    registry(home).tag("facts:v1", ["mine"])
    sheet.locator("[name=notes]").fill("too late")
    sheet.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Somebody else has changed facts:v1 meanwhile")).to_be_visible()
    assert registry(home).get("facts:v1").notes == ""


def test_the_current_version_is_set_and_rolled_back(page: Page) -> None:
    for ref in ("house-style:v1", "house-style:v2"):
        _open(page, ref).get_by_role("button", name="Set as current").click()
        expect(_row(page, ref).locator(".models-current")).to_be_visible()
    page.locator("#models-sheet").get_by_role("button", name="Roll back").click()
    expect(_row(page, "house-style:v1").locator(".models-current")).to_be_visible()
    expect(_row(page, "house-style:v2").locator(".models-current")).to_have_count(0)


def test_two_versions_are_put_side_by_side_with_what_differs(page: Page) -> None:
    for ref in ("house-style:v1", "house-style:v2"):
        _row(page, ref).get_by_role("button", name="Compare").click()
    compared = page.locator(".models-compared")
    line = compared.locator("tr", has_text="Learning rate")
    expect(line.locator('[data-differs="true"]')).to_have_text(["0.0002", "5e-05"])
    expect(compared.locator("tr", has_text="LoRA rank")).to_have_count(0)
    compared.get_by_role("button", name="Show what is the same too").click()
    expect(compared.locator("tr", has_text="LoRA rank")).to_have_count(1)
    compared.get_by_role("button", name="Close").click()
    expect(compared).to_have_count(0)


def test_a_version_is_taken_to_where_it_is_served(page: Page) -> None:
    _open(page, "facts:v1").get_by_role("button", name="Deploy").click()
    expect(page.locator("#deploy-start")).to_be_visible()
    expect(page.locator("#deploy-model input")).to_have_value(re.compile("^facts"))
    page.locator("#et-tabs").get_by_role("tab", name="Models", exact=True).click()
    expect(page.locator(".models-list tbody tr")).to_have_count(4)


def test_a_version_is_deleted_after_a_look_at_what_needs_it_and_comes_back(
    page: Page, made: JobFolder
) -> None:
    sheet = _open(page, "house-style:v1")
    sheet.get_by_role("button", name="Delete…").click()
    question = page.locator(".models-question")
    expect(question).to_contain_text("Export tone")
    assert made.adapter.is_dir()
    question.get_by_role("button", name="Move to trash").click()
    expect(_row(page, "house-style:v1")).to_have_count(0)
    assert not made.path.exists()

    page.locator("#models-view").get_by_text("Trash", exact=True).click()
    page.locator("#models-trash").get_by_role("button", name="Restore").click()
    expect(page.locator("#models-trash")).to_contain_text("The trash is empty")
    page.locator("#models-view").get_by_text("Versions", exact=True).click()
    expect(_row(page, "house-style:v1")).to_be_visible()
    assert made.adapter.is_dir()


def test_a_checkpoint_becomes_a_version_and_the_run_opens(page: Page, made: JobFolder) -> None:
    sheet = _open(page, "house-style:v1")
    sheet.get_by_role("button", name="Keep step 2").click()
    expect(_row(page, "house-style:v3")).to_contain_text("Checkpoint")
    sheet.locator('[data-work="to-run"]').click()
    expect(page.locator("#et-run-id input, #et-run-id textarea")).to_have_value(made.id)
    page.locator("#et-tabs").get_by_role("tab", name="Models", exact=True).click()


def test_the_tab_speaks_chinese_and_fits_a_narrow_screen(page: Page) -> None:
    page.locator("[data-et-lang=zh]").click()
    expect(page.locator(".models-list thead")).to_contain_text("留出损失")
    expect(page.locator("#models-sheet")).to_contain_text("来源")
    page.set_viewport_size({"width": 400, "height": 900})
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 400
    page.set_viewport_size({"width": 1280, "height": 900})
    speak_english(page)


def test_what_comes_from_elsewhere_is_checked_in_the_tab(page: Page) -> None:
    page.locator("#models-view").get_by_text("Import", exact=True).click()
    expect(page.locator("#import-panel")).to_be_visible()
    expect(page.locator("#models-columns")).to_be_hidden()
    page.locator("#models-view").get_by_text("Versions", exact=True).click()
    expect(page.locator("#models-columns")).to_be_visible()
    expect(page.locator("#import-panel")).to_be_hidden()
