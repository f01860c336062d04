"""The Compare tab as a person uses it: real models, the real app, a real Chromium."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from easytune.services.questions import Question
from tests.conftest import AppServer, end_processes_of, environment_for
from tests.webui import chat_page, compare_page, dropdowns
from tests.webui.compare_page import answers, ask, choose, enter, show, wait_for_end

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=\"document.title='broken in'\"><b>bold</b>"
LONG = 100_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """One app with two adapters and a model that never ends by itself."""
    home = tmp_path_factory.mktemp("compare") / "home"
    home.mkdir()
    compare_page.save_adapter(home, "tuned-a", 1)
    compare_page.save_adapter(home, "tuned-b", 2)
    chat_page.keep_rambler(home)
    running = AppServer(home, environment_for(home)).wait()
    yield running
    running.kill()
    end_processes_of(home)


@pytest.fixture
def tab(visitor: BrowserContext, server: AppServer) -> Iterator[Page]:
    """The Compare tab as somebody new finds it."""
    page = visitor.new_page()
    compare_page.open_compare(page, server)
    yield page
    page.evaluate("localStorage.clear()")
    page.close()


@pytest.fixture(scope="module")
def opened(visitor: BrowserContext, server: AppServer) -> Page:
    """The Compare tab, opened once for those who look at what is stored: that takes long."""
    page = visitor.new_page()
    compare_page.open_compare(page, server)
    return page


@pytest.fixture
def stored(opened: Page) -> Iterator[Page]:
    """The shared tab on its first view: a view shows what is new when it is entered."""
    show(opened, "Live")
    yield opened
    # The browser would show it to those who open a tab of their own.
    opened.evaluate("localStorage.clear()")


def test_a_base_and_two_adapters_answer_together_and_a_reload_keeps_it(tab: Page) -> None:
    choose(tab, 2, "tuned-a")
    choose(tab, 3, "tuned-b")
    ask(tab, "What is the capital of France?")
    wait_for_end(tab, 1)
    ask(tab, "And what colour is the sky?")
    wait_for_end(tab, 2)

    expect(tab.locator(".compare-line").last).to_have_text("Together as one batch: 1, 2, 3.")
    said = tab.locator(".compare-text").all_inner_texts()
    assert said[0] == "The capital of France is Paris."
    assert said[1] != said[0]
    for facts in tab.locator(".compare-facts").all_inner_texts():
        assert re.search(r"[\d.]+ s\s+time\s+[\d.]+ s\s+first token\s+[\d.]+\s+tokens/s", facts)

    tab.reload()
    enter(tab)
    expect(tab.locator(".compare-text")).to_have_text(said)
    expect(tab.locator(".compare-head")).to_have_count(3)
    expect(tab.locator("#compare-model-3 input")).to_have_value(re.compile("tuned-b"))
    tab.get_by_role("button", name="Remove this column").nth(1).click()
    expect(tab.locator("#compare-model-3 input")).to_be_hidden()
    expect(tab.locator("#compare-model-2 input")).to_have_value(re.compile("tuned-b"))
    expect(tab.get_by_role("button", name="Remove this column")).to_have_count(0)


def test_words_that_differ_from_the_chosen_column_are_marked(tab: Page) -> None:
    choose(tab, 2, "tuned-a")
    ask(tab, "What is the capital of France?")
    wait_for_end(tab, 1)
    first, second = (answers(tab, 0).nth(column).locator("mark") for column in (0, 1))
    expect(tab.locator("mark")).to_have_count(0)

    tab.check("#compare-marking input")
    expect(second.first).to_be_visible()
    expect(first).to_have_count(0)
    dropdowns.choose(tab, "#compare-reference", "tuned-a")
    expect(first.first).to_be_visible()
    expect(second).to_have_count(0)
    tab.uncheck("#compare-marking input")
    expect(tab.locator("mark")).to_have_count(0)


def test_one_column_is_stopped_and_the_other_goes_on_until_all_are(tab: Page) -> None:
    choose(tab, 1, "rambler")
    choose(tab, 2, "rambler")
    compare_page.longest(tab, LONG)
    ask(tab, "Go on and on.")
    left, right = answers(tab, 0).nth(0), answers(tab, 0).nth(1)
    expect(right.locator(".compare-chip")).to_have_text("Answering")

    left.locator(".compare-stop").click()
    expect(left.locator(".compare-chip")).to_have_text("Stopped")
    expect(right.locator(".compare-chip")).to_have_text("Answering")
    before = len(right.locator(".compare-text").inner_text())
    tab.wait_for_function(
        "n => document.querySelectorAll('.compare-text')[1].textContent.length > n", arg=before
    )
    tab.click("#compare-stop")
    wait_for_end(tab, 1)
    expect(right.locator(".compare-chip")).to_have_text("Stopped")
    assert len(right.locator(".compare-text").inner_text()) > before


def test_a_page_that_goes_away_ends_its_answers_and_keeps_what_they_said(tab: Page) -> None:
    choose(tab, 1, "rambler")
    choose(tab, 2, "rambler")
    compare_page.longest(tab, LONG)
    ask(tab, "Go on and on.")
    chip = answers(tab, 0).nth(0).locator(".compare-chip")
    expect(chip).to_have_text("Answering")

    tab.reload()
    enter(tab)
    expect(chip).to_have_text("Stopped")
    expect(answers(tab, 0).nth(0).locator(".compare-text")).not_to_be_empty()


def test_a_dead_host_is_a_sentence_in_its_column_and_the_others_keep_their_answer(
    tab: Page, server: AppServer
) -> None:
    choose(tab, 2, "rambler")
    compare_page.longest(tab, LONG)
    ask(tab, "What is the capital of France?")
    good, bad = answers(tab, 0).nth(0), answers(tab, 0).nth(1)
    expect(good.locator(".compare-chip")).to_have_text("Finished")
    expect(bad.locator(".compare-chip")).to_have_text("Answering")
    for process in chat_page.hosts(server.home):
        process.kill()

    expect(bad.locator(".compare-problem")).to_contain_text("was ended from outside")
    wait_for_end(tab, 1)
    expect(bad.locator(".compare-problem")).to_contain_text("was ended from outside")
    expect(good.locator(".compare-text")).to_have_text("The capital of France is Paris.")
    expect(tab.locator(".compare-line")).to_contain_text("another base model: 2.")


def test_a_batch_goes_on_while_its_page_is_reloaded(tab: Page) -> None:
    choose(tab, 2, "tuned-a")
    show(tab, "Batch")
    prompts = [f"What is {number} plus {number}?" for number in range(30)]
    tab.fill("#compare-typed textarea", "\n".join(prompts))
    tab.click("#compare-start")
    expect(tab.locator("#compare-progress")).to_contain_text("of 30 prompts")

    tab.reload()
    enter(tab)
    progress = tab.locator("#compare-progress")
    expect(progress).to_contain_text("30 of 30 prompts")
    expect(progress).to_contain_text("Finished")
    expect(tab.locator(".compare-table tbody tr")).to_have_count(20)
    tab.click("#compare-pages [data-page='2']")
    expect(tab.locator(".compare-table tbody tr")).to_have_count(10)
    expect(tab.locator("#compare-scores tbody tr")).to_have_count(2)


def test_rows_of_a_dataset_bring_references_and_scores(tab: Page) -> None:
    show(tab, "Batch")
    tab.locator("#compare-source").get_by_text("Dataset", exact=True).click()
    tab.fill("#compare-rows input", "3")
    tab.press("#compare-rows input", "Tab")
    expect(tab.locator("#compare-facts")).to_have_text("3 prompts, 3 with a reference answer.")
    tab.click("#compare-start")

    expect(tab.locator("#compare-progress")).to_contain_text("3 of 3 prompts")
    expect(tab.locator("#compare-scores th")).to_contain_text(["Exact match", "BLEU", "ROUGE-L"])
    expect(tab.locator(".compare-marks")).to_have_count(6)
    tab.check("#compare-only input")
    expect(tab.locator("#compare-table")).to_contain_text("No prompt has different answers")
    show(tab, "Blind vote")
    expect(tab.locator("#compare-tally")).to_have_text("0 of 0 pairs voted on.")


def test_a_vote_reveals_whose_answers_they_were_and_counts(stored: Page, server: AppServer) -> None:
    def reply(question: Question) -> str:
        return f"{question.model} it is"

    compare_page.store(server.home, ("Who wins?",), reply)
    show(stored, "Blind vote")
    ballot = stored.locator("#compare-ballot")
    expect(stored.locator("#compare-tally")).to_have_text("0 of 1 pairs voted on.")
    heads = ballot.locator("header")
    expect(heads).to_have_text(["A", "B"])
    chosen = ballot.locator(".compare-side").first.inner_text().split()[1]

    stored.locator("#compare-tally").click()
    stored.keyboard.press("1")
    expect(heads.first).to_have_text(f"A · Model {chosen}")
    expect(stored.locator("#compare-tally")).to_have_text("1 of 1 pairs voted on.")
    rate = "100%" if chosen == "first" else "0%"
    expect(stored.locator("#compare-results td").nth(1)).to_have_text(rate)
    with stored.expect_download() as download:
        stored.click("#compare-preferences a")
    row = json.loads(Path(download.value.path()).read_text(encoding="utf-8"))
    assert row["chosen"] != row["rejected"]
    assert chosen in json.dumps(row["chosen"])
    stored.locator("#compare-tally").click()
    stored.keyboard.press("Enter")
    expect(ballot).to_contain_text("All pairs of different answers are voted on.")

    stored.click("#compare-clear")
    expect(stored.locator("#compare-clear-question")).to_contain_text("1 vote(s) on “Who wins?”")
    stored.click("#compare-forget")
    expect(stored.locator("#compare-tally")).to_have_text("0 of 1 pairs voted on.")
    expect(stored.locator("#compare-clear")).to_be_hidden()
    expect(heads).to_have_text(["A", "B"])


def test_what_a_model_writes_never_becomes_markup(stored: Page, server: AppServer) -> None:
    def reply(question: Question) -> str:
        return HOSTILE if question.model == "first" else f"{HOSTILE} too"

    compare_page.store(server.home, (HOSTILE,), reply)
    show(stored, "History")
    stored.locator("#compare-list tbody tr").first.get_by_text("Open").click()
    texts = stored.locator(".compare-text")
    expect(texts.first).to_contain_text("<b>bold</b>")
    stored.check("#compare-marking input")
    expect(texts.nth(1).locator("mark")).to_have_text("too")
    expect(texts.nth(1)).to_contain_text("<b>bold</b>")
    show(stored, "Blind vote")
    expect(stored.locator("#compare-ballot .compare-side").first).to_contain_text("<b>bold</b>")

    assert stored.locator("#et-compare img, #et-compare .compare-text b").count() == 0
    assert stored.title() == "EasyTune"


def test_the_history_finds_renames_exports_and_deletes(stored: Page, server: AppServer) -> None:
    compare_page.store(server.home, ("About zebras",), lambda question: "striped")
    show(stored, "History")
    rows = stored.locator("#compare-list tbody tr")
    stored.fill("#compare-search input, #compare-search textarea", "zebras")
    expect(rows).to_have_count(1)
    rows.get_by_text("Rename").click()
    stored.fill("#compare-title input, #compare-title textarea", "Stripes")
    stored.click("#compare-rename")
    expect(rows.first).to_contain_text("Stripes")

    rows.get_by_text("Open").click()
    expect(stored.locator("#compare-grid .compare-prompt")).to_have_text("About zebras")
    for form, expected in (("html", "striped"), ("csv", "striped"), ("json", '"striped"')):
        with stored.expect_download() as download:
            stored.click(f"#compare-links [data-form={form}]")
        assert expected in Path(download.value.path()).read_text(encoding="utf-8")

    show(stored, "History")
    rows.get_by_text("Delete").click()
    stored.click("#compare-delete")
    expect(stored.locator("#compare-list")).to_contain_text("No comparison has that")


def test_a_column_has_its_own_settings_and_changed_columns_begin_anew(tab: Page) -> None:
    choose(tab, 2, "demo")
    tab.click("#compare-settings .label-wrap")
    tab.locator("#compare-scope label").nth(2).click()
    tab.check("#compare-own input")
    field = tab.locator("#compare-option-sampling-max_new_tokens input")
    field.fill("2")
    field.press("Tab")
    tab.locator("#compare-scope label").first.click()
    expect(field).to_have_value("128")
    ask(tab, "What is the capital of France?")
    wait_for_end(tab, 1)
    chips = tab.locator(".compare-chip")
    expect(chips).to_have_text(["Finished", "Length reached"])
    expect(tab.locator(".compare-head small").nth(1)).to_contain_text("2")

    field.fill("3")
    field.press("Tab")
    expect(tab.locator("#compare-hint")).to_contain_text("begins a new comparison")
    ask(tab, "What is the capital of Italy?")
    expect(tab.locator("#compare-grid .compare-prompt")).to_have_text(
        "What is the capital of Italy?"
    )
    wait_for_end(tab, 1)
    expect(chips).to_have_text(["Length reached", "Length reached"])
