"""The page in a real browser: language, light and dark, the live run, reload, kill and restart."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from easytune import job, paths
from easytune.config import TrainConfig
from easytune.job import Job
from tests.patience import eventually
from tests.webui import dropdowns

StartRun = Callable[..., Any]
pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def opened(shared_app: Any, visitor: BrowserContext) -> Page:
    """A page of the shared app, opened once: that takes long."""
    page = visitor.new_page()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    _open(page, shared_app)
    return page


def test_language_and_colours_change_at_once_are_remembered_and_fetch_nothing_from_elsewhere(
    shared_app: Any, page: Page
) -> None:
    asked: list[str] = []
    faults: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda fault: faults.append(str(fault)))
    _open(page, shared_app)
    expect(page.get_by_role("tab", name="Train", exact=True)).to_be_visible()
    page.locator("[data-et-lang=zh]").click()
    expect(page.get_by_role("tab", name="训练", exact=True)).to_be_visible()
    expect(page.get_by_role("tab", name="训练记录")).to_be_visible()
    light = _background(page)
    page.locator("[data-et-theme]").click()
    dark = _background(page)
    assert sum(dark) < 120 < 600 < sum(light)

    page.reload()
    expect(page.get_by_role("tab", name="训练", exact=True)).to_be_visible()
    assert _background(page) == dark
    page.locator("[data-et-lang=en]").click()
    expect(page.get_by_role("tab", name="Runs", exact=True)).to_be_visible()
    page.wait_for_timeout(1500)
    own = ("data:", "blob:", shared_app.url)
    assert [url for url in asked if not url.startswith(own)] == []
    assert faults == []


def test_six_tabs_of_one_browser_all_stay_alive(
    shared_app: Any, opened: Page, start_run: StartRun
) -> None:
    folder = start_run(shared_app.home, steps=9000, pause=0.1, name="seen by six")
    _show_run(opened, "seen by six")
    further = [opened.context.new_page() for _ in range(5)]
    try:
        for each in further:
            _open(each, shared_app)
        for each in (opened, *further):
            each.bring_to_front()
            before = _step(each)
            expect(each.locator(".et-under")).not_to_contain_text(f"Step {before} of")
    finally:
        # They would go on drawing behind the tests that share the first one.
        for each in further:
            each.close()
    folder.stop.touch()
    eventually(folder.exit.exists)


def test_a_run_is_live_after_a_reload_and_after_kill_9_and_a_restart_and_stop_works(
    start_app: Callable[..., Any], home: Path, page: Page, start_run: StartRun
) -> None:
    first = start_app()
    _open(page, first)
    expect(page.locator("#et-empty")).to_contain_text("Start training")
    # Long enough for a machine that has much else to do.
    folder = start_run(home, steps=9000, pause=0.1, name="<b>bold</b> name")
    _expect_state(page, "running")
    expect(page.locator("#et-chart path.et-training").first).to_be_visible()
    expect(page.locator(".et-name")).to_have_text("<b>bold</b> name")
    expect(page.locator("#et-samples .et-answer").first).to_contain_text("Ahoy <b>friend</b>")
    expect(page.locator("[data-gauge=cpu]")).to_be_visible()
    expect(page.locator(".et-under")).to_contain_text(re.compile(r"about .* left"))
    before = _step(page)
    page.reload()
    _expect_state(page, "running")
    expect(page.locator("#et-chart path.et-training").first).to_be_visible()
    assert _step(page) >= before

    first.kill()
    expect(page.locator("#et-offline")).to_be_visible()
    _open(page, start_app())
    _expect_state(page, "running")
    page.locator("#et-stop").click()
    _expect_state(page, "stopped")
    expect(page.locator("#et-adapter-path")).to_have_text(str(folder.adapter))
    expect(page.locator("#et-stop")).to_be_hidden()
    with page.expect_download() as download:
        page.locator("#et-download").click()
    assert download.value.suggested_filename == f"{folder.id}.zip"


def test_a_failure_says_what_to_do_and_offers_the_fix(
    shared_app: Any, opened: Page, start_run: StartRun
) -> None:
    start_run(shared_app.home, steps=3, ending="out_of_memory", name="too big")
    _show_run(opened, "too big")
    _expect_state(opened, "failed")
    expect(opened.locator(".et-failure")).to_contain_text("Batch size: 8 → 4")
    expect(opened.locator("#et-log pre")).to_contain_text("a stand-in for what torch says")
    opened.locator("#et-report").click()
    opened.wait_for_function(
        "navigator.clipboard.readText().then((text) => text.includes('out_of'))"
    )
    _expect_toast(opened, "Copied")
    opened.locator("#et-fill").click()
    expect(opened.get_by_label("Batch size")).to_have_value("4")
    expect(opened.get_by_label("Gradient accumulation")).to_have_value("2")


def test_severe_forgetting_is_told_with_remedies_of_one_click(
    shared_app: Any, opened: Page, start_run: StartRun
) -> None:
    start_run(shared_app.home, steps=40, name="forgets")
    _show_run(opened, "forgets")
    _expect_state(opened, "finished")
    expect(opened.locator("#et-tile-forgetting")).to_contain_text("severe, 0.370 to 0.430")
    expect(opened.locator("#et-chart path.et-interval")).to_be_visible()
    opened.locator("#et-forgetting summary").click()
    expect(opened.locator(".et-categories")).to_contain_text("<b>own</b>")
    opened.locator("[data-remedy=replay] button").click()
    _expect_toast(opened, "holds the proposed settings")
    expect(opened.locator(".et-categories")).to_be_visible()
    earlier = opened.locator("[data-remedy=earlier]")
    expect(earlier).to_contain_text("step 32 has 97 % of the learning and 64 % of the forgetting")
    share = opened.get_by_label("Replay share")
    if not share.is_visible():
        opened.locator("#section-data .label-wrap").click()
    expect(share).to_have_value("0.25")
    earlier.get_by_role("button").click()
    expect(opened.locator("#chat-model input")).to_have_value(re.compile("forgets · step 32"))


def test_a_queued_run_can_be_taken_out_and_put_back_into_the_form(
    shared_app: Any, opened: Page, start_run: StartRun
) -> None:
    running = start_run(shared_app.home, steps=4000, pause=0.05, name="the first")
    config = TrainConfig().changed(output__name="the second", schedule__batch_size=3)
    waiting = job.create(paths.runs(shared_app.home), Job(config=config))
    _show_run(opened, "the first")
    dropdowns.choose(opened, "#et-picker", "the second")
    _expect_state(opened, "queued")
    expect(opened.locator("#et-stop")).to_have_text("Take out of the queue")
    opened.locator("[data-et-lang=zh]").click()
    expect(opened.locator("#train-stop")).to_have_text("移出队列")
    opened.locator("[data-et-lang=en]").click()
    opened.locator("#et-stop").click()
    _expect_state(opened, "stopped")
    expect(opened.locator("#et-status .et-head")).to_contain_text(
        "taken out of the queue before it began"
    )
    opened.locator("#et-resume-box > button").click()
    expect(opened.locator("#et-resume-nothing")).to_contain_text("no valid checkpoint")
    opened.locator("#et-resume").click()
    expect(opened.get_by_label("Run name")).to_have_value("the second")
    expect(opened.get_by_label("Batch size")).to_have_value("3")
    assert not waiting.process.exists()
    running.stop.touch()
    eventually(running.exit.exists)


def test_runs_are_listed_opened_and_deleted_after_asking(
    shared_app: Any, opened: Page, start_run: StartRun
) -> None:
    older = start_run(shared_app.home, steps=2, name="older run")
    eventually(older.exit.exists)
    start_run(shared_app.home, steps=2, name="newer run")
    opened.get_by_role("tab", name="Runs", exact=True).click()
    row = opened.locator("#et-runs tr", has_text="older run")
    expect(row.locator(".et-chip")).to_have_text("Finished")
    row.get_by_role("button", name="Open").click()
    expect(opened.locator(".et-name")).to_have_text("older run")
    opened.get_by_role("tab", name="Runs", exact=True).click()
    row.get_by_role("button", name="Delete").click()
    expect(opened.locator("#et-delete-question")).to_contain_text("older run")
    assert older.path.is_dir()
    opened.locator("#et-delete").click()
    expect(row).to_have_count(0)
    _expect_toast(opened, f"Deleted {older.id}")
    assert not older.path.exists()
    expect(opened.locator("#et-runs tr", has_text="newer run")).to_have_count(1)


def _open(page: Page, server: Any) -> None:
    page.goto(server.url)
    page.locator("#et-status, #et-empty").first.wait_for()


def _show_run(page: Page, name: str) -> None:
    """Open a run from the list, whatever the page showed before."""
    page.get_by_role("tab", name="Runs", exact=True).click()
    row = page.locator("#et-runs tr", has_text=name)
    row.get_by_role("button", name="Open").click()
    expect(page.locator(".et-name")).to_have_text(name)


def _expect_toast(page: Page, words: str) -> None:
    expect(page.locator(".toast-body").filter(has_text=words).first).to_be_visible()


def _expect_state(page: Page, state: str) -> None:
    expect(page.locator(f"#et-status .et-chip[data-state={state}]")).to_be_visible()


def _step(page: Page) -> int:
    text = page.locator(".et-under").inner_text()
    found = re.search(r"Step (\d+)", text)
    return int(found.group(1)) if found else 0


def _background(page: Page) -> list[int]:
    page.wait_for_timeout(300)
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return [int(part) for part in re.findall(r"\d+", colour)[:3]]
