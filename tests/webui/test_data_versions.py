"""The versions of a dataset as a person handles them: the real app in a real Chromium."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from easytune.data.versions.library import Library
from tests.conftest import AppServer, end_processes_of, environment_for
from tests.webui import data_versions_home as seeded

pytestmark = pytest.mark.browser
expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """One app for the tests of this file, which go on from one another's versions."""
    home = tmp_path_factory.mktemp("versions") / "home"
    home.mkdir()
    seeded.seed(home)
    running = AppServer(home, environment_for(home)).wait()
    yield running
    running.kill()
    end_processes_of(home)


@pytest.fixture
def library(server: AppServer) -> Library:
    """What the page works on."""
    return Library(server.home)


@pytest.fixture(scope="module")
def versions(browser: Browser, server: AppServer) -> Iterator[Page]:
    """The view with the versions, opened once."""
    yield from seeded.opened(browser, server, "versions")


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

    changed = versions.locator(".work-change-changed")
    expect(changed.locator("del")).to_have_text("50")
    expect(changed.locator("ins")).to_have_text("ninety")
    expect(versions.locator(".work-change-removed")).to_contain_text("How is tea number 10 made?")
    expect(versions.locator('[data-kind="changed"]')).to_have_text("Changed 1")
    versions.click('[data-kind="removed"]')
    expect(changed).to_have_count(0)


def test_a_note_and_tags_stay_with_their_version(versions: Page, library: Library) -> None:
    _press(versions, 1, "describe")
    versions.fill("#version-note textarea", "The rows of <i>spring</i>")
    versions.fill("#version-tags input", "spring")
    versions.press("#version-tags input", "Enter")
    versions.click("#version-save")

    expect(_card(versions, 1).locator(".work-note")).to_have_text("The rows of <i>spring</i>")
    expect(_card(versions, 1).locator(".work-tag")).to_have_text("spring")
    assert library.version(seeded.DATASET, 1).tags == ("spring",)


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
    found = library.versions(seeded.DATASET)
    assert [one.number for one in found] == [3, 2, 1]
    assert found[0].fingerprint == found[2].fingerprint


def test_deleting_a_version_names_the_run_that_used_it(versions: Page, library: Library) -> None:
    _press(versions, 1, "delete")
    expect(versions.locator("#version-delete-question")).to_contain_text(seeded.RUN)
    versions.click("#version-keep")
    expect(versions.locator("#version-delete-question")).to_be_hidden()
    assert library.version(seeded.DATASET, 1).number == 1

    _press(versions, 1, "delete")
    versions.click("#version-delete")

    expect(_card(versions, 1)).to_have_count(0)
    expect(_card(versions, 2)).to_be_visible()
    assert 1 not in [one.number for one in library.versions(seeded.DATASET)]


def test_switching_makes_another_version_the_current_one(versions: Page, library: Library) -> None:
    _press(versions, 2, "switch")

    expect(_card(versions, 2)).to_contain_text("current")
    expect(_card(versions, 2).locator('[data-work="rollback"]')).to_have_count(0)
    assert library.version(seeded.DATASET).number == 2
