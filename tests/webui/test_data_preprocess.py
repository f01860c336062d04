"""Steps put together, tried and taken, as a person does it: the real app in a real Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from easytune.data.steps import pipeline
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Preprocessed
from tests.conftest import AppServer, end_processes_of, environment_for
from tests.webui import data_versions_home as seeded

pytestmark = pytest.mark.browser
expect.set_options(timeout=40_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """One app for the tests of this file."""
    home = tmp_path_factory.mktemp("preprocess") / "home"
    home.mkdir()
    seeded.seed(home)
    running = AppServer(home, environment_for(home)).wait()
    yield running
    running.kill()
    end_processes_of(home)


@pytest.fixture(scope="module")
def bench(browser: Browser, server: AppServer) -> Iterator[Page]:
    """The view where steps are put together, opened once."""
    yield from seeded.opened(browser, server, "preprocess")


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

    assert len(Library(server.home).versions(seeded.DATASET)) == 2


def test_an_option_that_cannot_be_used_is_marked_and_nothing_is_made(bench: Page) -> None:
    _add(bench, "Filter")
    bench.fill("#step-option-filter-matching textarea", "(broken")
    bench.press("#step-option-filter-matching textarea", "Tab")

    expect(bench.locator("#step-option-filter-matching.et-problem")).to_be_visible()
    expect(bench.locator("#preprocess-part")).to_contain_text("Correct the marked one first")
    bench.locator('#data-steps [data-step="filter"] [data-work="remove"]').click()
    expect(bench.locator("#data-previewed")).to_be_visible()


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
    facts = Library(server.home).version(seeded.DATASET)
    assert (facts.number, facts.note) == (3, "Tidied")
    assert isinstance(facts.origin, Preprocessed)
    assert [name for step in facts.origin.steps for name in step] == ["clean", "personal_data"]
    texts = " ".join(row.text for row in Library(server.home).open(seeded.DATASET).page(0, 59))
    assert "<b>" not in texts
    assert "[EMAIL]" in texts


def test_the_leak_check_shows_rows_that_two_versions_share(bench: Page) -> None:
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
