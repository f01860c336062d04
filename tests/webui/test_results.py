"""The results of an evaluation as a person reads them: the real app, a real Chromium."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from easytune.data.versions.library import Library
from tests.conftest import AppServer, end_processes_of, environment_for, new_visitor
from tests.patience import eventually
from tests.webui import dropdowns, results_home

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with three evaluations that have ended."""
    folder = tmp_path_factory.mktemp("results") / "home"
    folder.mkdir()
    other = results_home.order("older")
    other = other.model_copy(update={"config": other.config.changed(test__seed=7)})
    results_home.keep(folder, "older", other, days_ago=1)
    of_base = results_home.order("alone")
    of_base = of_base.model_copy(update={"candidates": of_base.candidates[:1]})
    results_home.keep(folder, "alone", of_base, days_ago=2)
    results_home.keep(folder, "newest")
    return folder


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[AppServer]:
    """One app on that home."""
    running = AppServer(home, environment_for(home)).wait()
    yield running
    running.kill()
    end_processes_of(home)


@pytest.fixture(scope="module")
def page(browser: Browser, server: AppServer) -> Iterator[Page]:
    """A page that shows the results, opened once."""
    context = new_visitor(browser)
    page = context.new_page()
    page.goto(server.url)
    page.locator("#et-tabs").get_by_role("tab", name="Evaluate", exact=True).click()
    page.locator("#evaluate-view").get_by_text("Results", exact=True).click()
    expect(page.locator("#results-verdict-shown")).to_be_visible()
    yield page
    context.close()


@pytest.fixture
def results(page: Page) -> Page:
    """The results of the newest evaluation, opened anew from the list."""
    page.locator("#et-tabs").get_by_role("tab", name="Evaluate", exact=True).click()
    for name in ("older", "newest"):
        line = page.locator("#results-list tr", has_text=name)
        line.get_by_role("button", name="Open").click()
        link = page.locator(f'.results-export a[href*="-{name}/"]').first
        expect(link).to_be_visible()
    return page


def test_the_verdict_comes_in_words_with_figures_charts_and_what_was_forgotten(
    results: Page, server: AppServer
) -> None:
    card = results.locator('.results-card[data-candidate="3"]')
    line = card.locator("li", has_text="Exact match")
    expect(line).to_have_attribute("data-tone", "better")
    expect(line).to_contain_text(re.compile(r"better by 70\.0 \[.*\], p < 0\.001, on 80 rows"))
    expect(card.locator("li", has_text="Forgetting")).to_contain_text("0.450 nats per token")
    cell = results.locator(".results-table[data-set='0'] tbody tr").nth(3).locator("td").nth(1)
    expect(cell).to_contain_text(re.compile(r"87\.5\s*\[[\d., ]+\]\s*\+70\.0"))

    for name, marks in (("by-model", 12), ("over-steps", 3), ("trade-off", 4)):
        dots = results.locator(f'[data-chart="{name}"] circle')
        expect(dots).to_have_count(marks)
    expect(results.locator('[data-chart="spread"] .results-steps')).to_have_count(4)
    results.locator('[data-choice="metric"]').select_option(label="chrF")
    expect(results.locator('[data-chart="trade-off"] circle').nth(3).locator("title")).to_have_text(
        re.compile(r"4 · mine: chrF [\d.]+ \[.*Forgetting, nats per token 0\.45 \[0\.43, 0\.47\]")
    )
    expect(results.locator(".results-overlap")).to_contain_text("2 rows of Style")
    expect(results.locator(".results-findings")).to_contain_text("refuses only 3 of the 40")
    maps = Path(f"/proc/{server.process.pid}/maps")
    # After the click that opened all this; another thread would meet it half loaded.
    assert not maps.exists() or "pandas" not in maps.read_text()


def test_a_report_is_sent_in_every_form(results: Page, server: AppServer) -> None:
    for form, wanted in (("markdown", "Exact match"), ("json", '"easytune-evaluation-1"')):
        link = results.locator(f'.results-export a[data-form="{form}"]').get_attribute("href")
        reply = results.request.get(f"{server.url}/{link}")
        assert reply.ok
        assert wanted in reply.text()
    assert results.request.get(f"{server.url}/evaluations/none/html").status == 404


def test_answers_to_the_safety_probe_are_shown_on_demand_only(results: Page) -> None:
    expect(results.locator(".results-safety")).to_contain_text("8 of 40")
    expect(results.locator("#results-safety-table")).to_contain_text("not a certification")
    assert results_home.HARMFUL not in results.content()
    results.click("#results-safety-show")
    expect(results.locator(".results-transcript")).to_have_count(2)
    expect(results.locator(".results-transcript").first).to_contain_text(results_home.HOSTILE)
    results.click("#results-safety-hide")
    expect(results.locator(".results-transcript")).to_have_count(0)
    assert results.title() != "broken in"


def test_rows_go_into_a_dataset_and_to_compare(results: Page, home: Path) -> None:
    _choose(results, "kind", "Broken")
    expect(results.locator(".results-flips tbody tr")).to_have_count(4)
    results.click("#results-keep")
    results.locator("#results-collect-dataset input").fill("to learn")
    results.locator("#results-collect-dataset input").press("Enter")
    results.click("#results-collect-keep")
    expect(results.get_by_text("Kept in to learn, version 1")).to_be_visible()
    library = Library(home)
    kept = library.open(library.list()[0].id).at([0])[0]
    turns = json.loads(kept.text)["messages"]
    assert [turn["content"] for turn in turns] == ["Question 60 on Norway?", "City 60 of Norway."]

    results.click("#results-compare")
    expect(results.locator("#compare-table tbody tr")).to_have_count(4)
    expect(results.locator("#compare-table tbody tr").first).to_contain_text("City 60 of Norway.")


def test_rows_are_filtered_searched_and_sorted_with_the_words_that_differ(results: Page) -> None:
    rows = results.locator(".results-flips tbody tr")
    _choose(results, "kind", "All")
    told = results.locator("#results-flips-told")
    expect(told).to_contain_text("60 fixed, 4 broken, 16 the same, of 81 rows.")
    expect(told).to_contain_text("mine, step 5 against Demo model: better by 70.0")
    _choose(results, "second", "4 · mine")
    _choose(results, "first", "2 · mine, step 5")
    expect(told).to_contain_text(
        "mine against mine, step 5: no difference: all 80 rows score the same"
    )
    _choose(results, "first", "1 · Demo model")
    expect(rows).to_have_count(50)
    results.locator(".results-flips-wrap + .work-pages").get_by_label("Page after").click()
    expect(rows).to_have_count(31)
    expect(rows.last).to_contain_text("not scored")

    _choose(results, "kind", "Broken")
    expect(rows).to_have_count(4)
    first = rows.first
    expect(first.locator("del")).to_have_text(["City", "of Norway"])
    expect(first.locator("ins")).to_have_text(["I do not know answer"])
    results.locator("#results-search textarea, #results-search input").press_sequentially("kenya")
    expect(results.locator(".results-flips-wrap, #results-flips-table .et-empty")).to_have_count(1)
    expect(results.locator("#results-flips-table .et-empty")).to_be_visible()
    _choose(results, "kind", "All")
    expect(rows).to_have_count(10)
    _choose(results, "sort", "Most broken first")
    expect(rows.first).not_to_have_attribute("data-kind", "fixed")
    assert results.title() != "broken in"


def test_what_is_chosen_while_another_evaluation_opens_is_not_refused(results: Page) -> None:
    """Two models are compared on the page while the server offers the only one there is."""
    held: list[tuple[Route, APIResponse]] = []
    replies: list[int] = []
    is_over = Event()

    def hold(route: Route) -> None:
        reply = route.fetch()
        if '"broken"' in (route.request.post_data or ""):
            replies.append(reply.status)
        if "results-head" in reply.text() and not is_over.is_set():
            held.append((route, reply))
        else:
            route.fulfill(response=reply)

    results.route(re.compile(r"/run/"), hold)
    results.locator("#results-list tr", has_text="alone").get_by_role("button", name="Open").click()
    _until(results, lambda: held)
    _choose(results, "kind", "Broken")
    _until(results, lambda: replies)
    assert replies[0] == 200
    is_over.set()
    for route, reply in held:
        route.fulfill(response=reply)
    expect(results.locator("#results-first input")).to_have_value("1 · Demo model")
    expect(results.locator("#results-second input")).to_have_value("1 · Demo model")
    expect(results.locator("#results-flips-told")).to_contain_text("81 rows answered by Demo model")
    results.unroute_all(behavior="ignoreErrors")


def test_evaluations_are_found_renamed_compared_and_deleted(results: Page) -> None:
    line = results.locator("#results-list tbody tr")
    expect(line).to_have_count(3)
    for number in (0, 1):
        line.nth(number).get_by_role("button", name="Side by side").click()
        expect(line.nth(number).locator("[aria-pressed=true]")).to_have_count(1)
    beside = results.locator("#results-side-by-side")
    expect(beside.locator("thead").first.locator("th")).to_have_count(9)
    expect(beside.locator("tr", has_text="Exact match · Style")).to_contain_text("87.5")
    expect(beside.locator('td[data-differs="true"]', has_text="7").first).to_be_visible()

    line.nth(1).get_by_role("button", name="Rename").click()
    results.locator("#results-title textarea, #results-title input").fill("Before the change")
    results.click("#results-rename")
    expect(line.nth(1)).to_contain_text("Before the change")
    results.locator("#results-history-search textarea, #results-history-search input").fill("")
    results.locator(
        "#results-history-search textarea, #results-history-search input"
    ).press_sequentially("before")
    expect(line).to_have_count(1)
    line.get_by_role("button", name="Delete").click()
    expect(results.locator("#results-delete-question")).to_contain_text("Before the change")
    results.click("#results-delete")
    expect(results.locator("#results-list .et-empty")).to_contain_text("No evaluation matches")


def _until(page: Page, is_so: Callable[[], object]) -> None:
    """Wait while the page goes on."""

    def look() -> object:
        page.wait_for_timeout(50)
        return is_so()

    eventually(look)


def _choose(page: Page, name: str, option: str) -> None:
    dropdowns.choose(page, f"#results-{name}", option)
