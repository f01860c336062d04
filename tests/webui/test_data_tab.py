"""The Data tab as a person uses it: the real app in a real Chromium."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from easytune.data.versions.library import Library
from tests.conftest import AppServer, new_visitor
from tests.webui import data_page, dropdowns
from tests.webui.data_page import bring_in, drop, enter, panel, row, write

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that keeps the app's scripts from page to page."""
    context = new_visitor(browser)
    yield context
    context.close()


@pytest.fixture
def data(visitor: BrowserContext, shared_app: AppServer) -> Iterator[Page]:
    """The Data tab, as somebody new finds it."""
    page = enter(visitor.new_page(), shared_app)
    yield page
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    visitor.clear_cookies()
    page.close()
    library = Library(shared_app.home)
    for dataset in library.list():
        library.delete(dataset.id)


def test_a_newcomer_finds_a_drop_area_and_demos_to_look_at(data: Page) -> None:
    expect(data.locator("#data-files")).to_be_visible()
    data.click("[data-name='demo/style']")
    row(data, 1).click()

    expect(panel(data).locator(".data-assistant")).to_contain_text("Ahoy!")
    expect(panel(data).locator("[data-edit]")).to_have_count(0)
    data.click("[data-et-lang='zh']")
    expect(data.locator("#data-head")).to_contain_text("内置示例")
    expect(panel(data).locator(".data-assistant small")).to_have_text("助手")


def test_a_demo_becomes_a_dataset_of_ones_own(data: Page, shared_app: AppServer) -> None:
    data.click("[data-name='demo/knowledge']")
    data.click("#data-head [data-act='copy_demo']")

    expect(data.locator("#data-head")).to_contain_text("Version 1 of 1")
    facts = Library(shared_app.home).list()[0].current
    assert (facts.rows, facts.held_out) == (280, 40)


def test_broken_rows_are_downloaded_mended_and_dropped_into_one_new_version(
    data: Page, shared_app: AppServer, tmp_path: Path
) -> None:
    bring_in(data, data_page.sums(tmp_path))
    problems = data.locator("#data-problems")
    expect(problems).to_contain_text("2 of 30 rows cannot be used.")
    with data.expect_download() as download:
        problems.locator("[data-form='problems']").click()
    kept = Path(download.value.path()).read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["problem"] for line in kept] == ["bad_json", "empty"]
    problems.get_by_role("button", name=re.compile("^empty field")).click()
    expect(row(data, 1)).to_have_count(0)
    row(data, 0).click()
    expect(panel(data)).to_contain_text("Row 5 of sums.jsonl")
    write(data, "output", "10.")
    panel(data).locator("[data-keep]").click()
    expect(panel(data).locator(".data-assistant")).to_contain_text("10.")
    problems.get_by_role("button", name=re.compile("^not valid JSON")).click()
    expect(row(data, 0)).to_contain_text("this line ne")
    row(data, 0).click()
    panel(data).locator("[data-drop]").click()
    expect(data.locator("#data-save")).to_contain_text("1 row(s) changed, 1 row(s) dropped")
    data.click("#data-save-now")

    expect(data.locator("#data-head")).to_contain_text("Version 2 of 2")
    expect(problems).to_be_hidden()
    library = Library(shared_app.home)
    rows = library.open("sums", 2)
    assert (len(rows), rows.facts.problems) == (29, 0)
    assert rows.row(3).value["output"] == "10."
    assert library.version("sums", 1).problems == 2


def test_columns_nobody_knows_are_mapped_with_the_rows_in_sight(data: Page, tmp_path: Path) -> None:
    file = tmp_path / "faq.csv"
    drop(data, data_page.written(file, "Frage,Antwort\nWie geht es?,<b>Gut</b>\nWer da?,Ich\n"))
    for role, column in (("prompt", "Frage"), ("response", "Antwort")):
        dropdowns.choose(data, f"#data-column-{role}", column)
    expect(data.locator(".data-sample").first.locator(".data-user")).to_contain_text("Wie geht es?")
    # Markup in a file is text.
    expect(data.locator(".data-sample").first).to_contain_text("<b>Gut</b>")
    data.click("#data-import-start")

    expect(row(data, 1)).to_contain_text("Wer da?")
    expect(row(data, 0)).to_contain_text("<b>Gut</b>")


def test_pasted_rows_are_added_to_a_dataset(
    data: Page, shared_app: AppServer, tmp_path: Path
) -> None:
    bring_in(data, data_page.sums(tmp_path))
    data.click("#data-head [data-act='add_rows']")
    data.locator("#data-from").get_by_text("Paste", exact=True).click()
    more = json.dumps({"instruction": "And 50 + 50?", "input": "", "output": "100."})
    data.fill("#data-paste textarea", more)
    data.click("#data-paste-look")
    expect(data.locator("#data-mode input[value='append']")).to_be_checked()
    data.click("#data-import-start")

    expect(data.locator("#data-head")).to_contain_text("Version 2 of 2")
    data.fill("#data-search input, #data-search textarea", "50 + 50")
    expect(data.locator("#data-table mark")).to_have_text("50 + 50")
    assert len(Library(shared_app.home).open("sums")) == 31


def test_a_file_that_cannot_be_read_is_told_where_it_was_dropped(
    data: Page, tmp_path: Path
) -> None:
    with data.expect_file_chooser() as chooser:
        data.click("#data-files button")
    chooser.value.set_files(str(data_page.written(tmp_path / "empty.jsonl", "")))

    expect(data.locator("#data-import-said")).to_contain_text("empty.jsonl")
    expect(data.locator("#data-files")).to_be_visible()


def test_a_folder_is_chosen_whole_and_what_is_no_data_stays_out(data: Page, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    data_page.sums(folder, name="one.jsonl")
    data_page.sums(folder, name="two.jsonl")
    data_page.written(folder / "a.log", "no data")
    with data.expect_file_chooser() as chooser:
        data.click("#data-folder")
    chooser.value.set_files(str(folder))

    facts = data.locator("#data-import-facts")
    expect(facts).to_contain_text("folder/one.jsonl")
    expect(facts).to_contain_text("folder/two.jsonl")
    expect(facts.locator(".data-notices")).to_contain_text("folder/a.log")


def test_what_was_imported_is_trained_on_with_one_click(data: Page, tmp_path: Path) -> None:
    bring_in(data, data_page.sums(tmp_path))
    data.click("#data-jobs [data-act='train_on']")

    expect(data.locator("#train-start")).to_be_visible()
    expect(data.locator("#option-data-datasets")).to_contain_text("sums")
    expect(data.locator("#train-tokens .tok-trained").first).to_contain_text(".")


def test_an_import_goes_on_through_a_reload_and_is_cancelled(
    data: Page, shared_app: AppServer, tmp_path: Path
) -> None:
    row_text = json.dumps({"prompt": "a " * 200, "response": "b " * 200}) + "\n"
    file = data_page.written(tmp_path / "long.jsonl", row_text * 250_000)
    data.locator("#data-from").get_by_text("Path", exact=True).click()
    data.fill("#data-path input, #data-path textarea", str(file))
    data.click("#data-path-look")
    data.click("#data-import-start")
    card = data.locator("#data-jobs .data-job")
    expect(card.locator("[role='progressbar']")).to_be_visible()
    data.reload()
    expect(card).to_contain_text("Import: long")
    card.locator("[data-act='cancel']").click()

    expect(card).to_contain_text("nothing of it was kept")
    assert Library(shared_app.home).list() == []
