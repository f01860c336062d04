"""What the model sees of a dataset, and its statistics: the real app in a real Chromium."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import AppServer, end_processes_of, environment_for
from tests.webui import data_versions_home as seeded

pytestmark = pytest.mark.browser
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """One app for the tests of this file."""
    home = tmp_path_factory.mktemp("xray") / "home"
    home.mkdir()
    seeded.seed(home)
    running = AppServer(home, environment_for(home)).wait()
    yield running
    running.kill()
    end_processes_of(home)


@pytest.fixture(scope="module")
def xray(browser: Browser, server: AppServer) -> Iterator[Page]:
    """The X-ray, opened once."""
    yield from seeded.opened(browser, server, "xray")


def test_a_row_is_shown_with_its_answer_alone_as_learned(xray: Page) -> None:
    expect(xray.locator("#xray-tokens")).to_be_visible()

    learned = "".join(xray.locator("#xray-tokens .tok-trained").all_inner_texts())
    read = "".join(xray.locator("#xray-tokens .tok-masked").all_inner_texts())
    assert "Pour water of ninety degrees" in learned
    assert "How is tea number 0 made?" in read
    assert "Pour" not in read


def test_one_goes_from_row_to_row(xray: Page) -> None:
    xray.click("#xray-later")
    expect(xray.locator("#xray-tokens")).to_contain_text("How is tea number 1 made?")
    xray.fill("#xray-row input", "59")
    xray.press("#xray-row input", "Enter")

    expect(xray.locator("#xray-place")).to_contain_text("Row 59 of 59")


def test_all_rows_are_measured_with_the_settings_of_the_train_tab(xray: Page) -> None:
    figure = xray.locator("#xray-measured [data-figure='used']")
    expect(figure).to_contain_text("of 59 rows")
    expect(xray.locator("#xray-measured [data-figure='truncated'] b")).to_have_text("0")

    xray.click('#data-xray [data-work="train"]')
    xray.fill("#option-data-max_length input", "32")
    xray.press("#option-data-max_length input", "Tab")
    xray.locator("button[role=tab]", has_text="Data").first.click()
    seeded.open_view(xray, "rows")
    seeded.open_view(xray, "xray")

    expect(xray.locator("#xray-settings")).to_contain_text("At most 32 tokens a row")
    expect(xray.locator("#xray-tokens .tok-truncated").first).to_be_visible()
    expect(xray.locator("#xray-measured [data-figure='truncated'] b")).not_to_have_text("0")


def test_statistics_lead_to_the_rows_they_speak_of(xray: Page) -> None:
    seeded.open_view(xray, "statistics")
    short = xray.locator("[data-figure='short_answers']")
    expect(short.locator("b")).to_have_text("1")
    expect(xray.locator("[data-figure='duplicates'] b")).to_have_text("1")
    expect(xray.locator("[data-card='openings']")).to_contain_text("how is tea")

    short.locator("[data-work='row']").click()

    expect(xray.locator("#xray-place")).to_contain_text("Row 5 of 59")
    expect(xray.locator("#xray-tokens")).to_contain_text("How is tea number 4 made?")
