"""Preprocessing, versions and figures as a person handles them: the real app in a real Chromium.

An app and a page take long to get ready, so all tests here share one of each; every part has a
dataset of its own, whose tests go on from one another.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from easytune.data.steps import pipeline
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Preprocessed
from tests.conftest import AppServer
from tests.webui import data_versions_home as seeded

TRIED = "tea-house"
KEPT = "tea-room"
SEEN = "tea-garden"
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app on a home with a dataset for each part."""
    home = tmp_path_factory.mktemp("tea") / "home"
    home.mkdir()
    yield from seeded.served(home)


@pytest.fixture(scope="module")
def page(browser: Browser, server: AppServer) -> Iterator[Page]:
    """The Data tab, opened once."""
    yield from seeded.entered(browser, server)


# --- what the model sees, and statistics ----------------------------------------


@pytest.fixture(scope="module")
def xray(page: Page) -> Page:
    """The X-ray, opened once."""
    return seeded.opened(page, SEEN, "xray")


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


# --- preprocessing ----------------------------------------


@pytest.fixture(scope="module")
def bench(page: Page) -> Page:
    """The view where steps are put together, opened once."""
    return seeded.opened(page, TRIED, "preprocess")


def _add(page: Page, name: str) -> None:
    page.click("#step-add input")
    page.locator("#step-add [role=option]", has_text=name).first.click()
    expect(page.locator("#data-steps li[aria-current]")).to_contain_text(name)


def _make(page: Page, note: str) -> None:
    page.fill("#preprocess-note textarea", note)
    page.press("#preprocess-note textarea", "Tab")
    page.click("#preprocess-make")


def test_steps_are_tried_before_anything_is_made(bench: Page, server: AppServer) -> None:
    _add(bench, "Clean text")
    bench.click("#step-option-clean-html input")
    first = bench.locator("#data-previewed .work-change").first
    expect(first.locator("del").first).to_have_text("<b>")

    _add(bench, "Mask personal data")
    expect(bench.locator("#data-previewed")).to_contain_text("[EMAIL]")

    assert len(Library(server.home).versions(TRIED)) == 2


def test_an_option_that_cannot_be_used_is_marked_and_nothing_is_made(bench: Page) -> None:
    _add(bench, "Filter")
    bench.fill("#step-option-filter-matching textarea", "(broken")
    bench.press("#step-option-filter-matching textarea", "Tab")

    expect(bench.locator("#step-option-filter-matching.et-problem")).to_be_visible()
    expect(bench.locator("#preprocess-part")).to_contain_text("Correct the marked one first")
    bench.locator('#data-steps [data-step="filter"] [data-work="remove"]').click()
    expect(bench.locator("#data-steps li")).to_have_count(2)


def test_a_pipeline_is_the_same_after_saving_and_opening_it(bench: Page, tmp_path: Path) -> None:
    bench.click("#section-pipeline .label-wrap")
    with bench.expect_download() as download:
        bench.click("#pipeline-save")
    file = tmp_path / "mine.yaml"
    download.value.save_as(file)
    saved = pipeline.load(file)
    assert [spec.name for spec in saved.steps] == ["clean", "personal_data"]

    file.write_text(pipeline.dump(saved) + "- shuffle\n", encoding="utf-8")
    with bench.expect_file_chooser() as chooser:
        bench.click("#pipeline-open")
    chooser.value.set_files(file)

    expect(bench.locator("#data-steps li")).to_have_count(3)
    bench.locator('#data-steps [data-step="shuffle"] [data-work="remove"]').click()
    expect(bench.locator("#data-steps li")).to_have_count(2)


def test_the_steps_become_a_version_that_tells_of_them(bench: Page, server: AppServer) -> None:
    _make(bench, "Tidied")

    expect(bench.locator("#data-made")).to_contain_text("Version 3 of Tea house was made: 59 rows.")
    facts = Library(server.home).version(TRIED)
    assert (facts.number, facts.note) == (3, "Tidied")
    assert isinstance(facts.origin, Preprocessed)
    assert [name for step in facts.origin.steps for name in step] == ["clean", "personal_data"]
    texts = " ".join(row.text for row in Library(server.home).open(TRIED).page(0, 59))
    assert "<b>" not in texts
    assert "[EMAIL]" in texts


def test_the_leak_check_shows_rows_that_two_versions_share(bench: Page) -> None:
    if not bench.locator("#leaks-a input").is_visible():
        bench.click("#section-leaks .label-wrap")
    for name, version in (("a", "Version 1"), ("b", "Version 2")):
        bench.click(f"#leaks-{name} input")
        bench.locator(f"#leaks-{name} [role=option]", has_text=version).first.click()
    bench.click("#leaks-check")

    shown = bench.locator("#data-leaks-shown")
    expect(shown.locator(".work-bad").first).to_contain_text(
        re.compile("rows of the second set .* are in the first one too")
    )
    expect(shown.locator('[data-figure="exact"] b')).to_have_text("58")


# --- versions ----------------------------------------


@pytest.fixture
def library(server: AppServer) -> Library:
    """What the page works on."""
    return Library(server.home)


@pytest.fixture(scope="module")
def versions(page: Page) -> Page:
    """The view with the versions, opened once."""
    return seeded.opened(page, KEPT, "versions")


def _card(page: Page, number: int) -> Locator:
    return page.locator(f'.work-version[data-number="{number}"]')


def _press(page: Page, number: int, act: str) -> None:
    _card(page, number).locator(f'[data-work="{act}"]').click()


def test_each_version_tells_how_it_came_to_be_and_which_runs_used_it(versions: Page) -> None:
    expect(_card(versions, 2)).to_contain_text("Changed by hand: 1 mended, 1 dropped")
    expect(_card(versions, 2)).to_contain_text("Mira")
    expect(_card(versions, 2)).to_contain_text("current")
    expect(_card(versions, 1)).to_contain_text("60 rows")
    expect(_card(versions, 1)).to_contain_text(seeded.RUN)


def test_the_words_that_changed_are_marked(versions: Page) -> None:
    _press(versions, 1, "compare")

    shown = versions.locator("#data-diff-shown")
    changed = shown.locator(".work-change-changed")
    expect(changed.locator("del")).to_have_text("50")
    expect(changed.locator("ins")).to_have_text("ninety")
    expect(shown.locator(".work-change-removed")).to_contain_text("How is tea number 10 made?")
    expect(shown.locator('[data-kind="changed"]')).to_have_text("Changed 1")
    shown.locator('[data-kind="removed"]').click()
    expect(changed).to_have_count(0)


def test_a_note_and_tags_stay_with_their_version(versions: Page, library: Library) -> None:
    _press(versions, 1, "describe")
    versions.fill("#version-note textarea", "The rows of <i>spring</i>")
    versions.fill("#version-tags input", "spring")
    versions.press("#version-tags input", "Enter")
    versions.click("#version-save")

    expect(_card(versions, 1).locator(".work-note")).to_have_text("The rows of <i>spring</i>")
    expect(_card(versions, 1).locator(".work-tag")).to_have_text("spring")
    assert library.version(KEPT, 1).tags == ("spring",)


def test_a_version_is_downloaded_whole(versions: Page, tmp_path: Path) -> None:
    _card(versions, 1).locator(".data-menu summary").click()
    with versions.expect_download() as download:
        _card(versions, 1).locator('[data-form="jsonl"]').click()
    target = tmp_path / "rows.jsonl"
    download.value.save_as(target)

    lines = target.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == seeded.rows()


def test_rolling_back_makes_a_new_version_and_loses_nothing(
    versions: Page, library: Library
) -> None:
    _press(versions, 1, "rollback")

    expect(_card(versions, 3)).to_contain_text("Rolled back to version 1")
    expect(_card(versions, 3)).to_contain_text("current")
    found = library.versions(KEPT)
    assert [one.number for one in found] == [3, 2, 1]
    assert found[0].fingerprint == found[2].fingerprint


def test_deleting_a_version_names_the_run_that_used_it(versions: Page, library: Library) -> None:
    _press(versions, 1, "delete")
    expect(versions.locator("#version-delete-question")).to_contain_text(seeded.RUN)
    versions.click("#version-keep")
    expect(versions.locator("#version-delete-question")).to_be_hidden()
    assert library.version(KEPT, 1).number == 1

    _press(versions, 1, "delete")
    versions.click("#version-delete")

    expect(_card(versions, 1)).to_have_count(0)
    expect(_card(versions, 2)).to_be_visible()
    assert 1 not in [one.number for one in library.versions(KEPT)]


def test_switching_makes_another_version_the_current_one(versions: Page, library: Library) -> None:
    _press(versions, 2, "switch")

    expect(_card(versions, 2)).to_contain_text("current")
    expect(_card(versions, 2).locator('[data-work="rollback"]')).to_have_count(0)
    assert library.version(KEPT).number == 2
