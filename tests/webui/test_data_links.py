"""From runs, chats and votes to datasets, and back: what a visitor does in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from easytune import job, paths, records
from easytune.config import TrainConfig
from easytune.data.stored import row_text
from easytune.data.versions.edits import Replace
from easytune.data.versions.library import Library
from easytune.job import Job, JobFolder
from easytune.services.conversations import Conversations, Message
from easytune.services.datasets import Datasets
from easytune.services.runs import Runs
from easytune.services.store import Store
from easytune.services.votes import Votes
from tests.conftest import AppServer, end_processes_of, environment_for
from tests.services.made_datasets import make_dataset
from tests.webui import compare_page, dropdowns

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a run that has ended, on version 1 of a dataset."""
    folder = tmp_path_factory.mktemp("links") / "home"
    folder.mkdir()
    made = make_dataset(Datasets(folder, Runs(folder)), "the old answer", "another")
    finished_run(folder, f"dataset:{made}@1")
    return folder


@pytest.fixture(scope="module")
def page(visitor: BrowserContext, home: Path) -> Iterator[Page]:
    """The app on that home, opened once: the tests look at different tabs."""
    app = AppServer(home, environment_for(home)).wait()
    opened = visitor.new_page()
    opened.goto(app.url)
    yield opened
    app.kill()
    end_processes_of(home)


def finished_run(home: Path, *datasets: str) -> JobFolder:
    """Put a run into a home that ended long ago."""
    config = TrainConfig().changed(data__datasets=datasets, output__name="mine")
    folder = job.create(paths.runs(home), Job(config=config))
    records.write(folder.exit, {"returncode": 0})
    return folder


def open_tab(page: Page, name: str) -> None:
    """Open one of the main tabs."""
    page.locator("#et-tabs").get_by_role("tab", name=name, exact=True).click()


def test_what_changed_since_a_run_is_one_click_away(page: Page, home: Path) -> None:
    open_tab(page, "Train")
    card = page.locator("#et-run-data")
    expect(card).to_contain_text("House style, version 1")
    expect(card).to_contain_text("unchanged since")
    text = row_text({"prompt": "q the old answer", "completion": "the new answer"})
    Library(home).edit("house-style", [Replace(0, text)])
    expect(card).to_contain_text("version 2 is current now")
    card.get_by_role("button", name="What changed since").click()

    shown = page.locator("#diff-part")
    expect(shown.locator("ins").first).to_contain_text("new")
    expect(page.locator("#data-head")).to_contain_text("House style")

    open_tab(page, "Runs")
    expect(page.locator("#et-runs")).to_contain_text("House style, version 1")


def test_a_dataset_made_meanwhile_can_be_chosen_to_train_on(page: Page, home: Path) -> None:
    open_tab(page, "Train")
    expect(page.locator("#train-facts")).to_contain_text("parameters")
    make_dataset(Datasets(home, Runs(home)), "one", "two", "three", title="Made meanwhile")

    open_tab(page, "Runs")
    open_tab(page, "Train")
    for option in ("datasets", "held_out_file"):
        box = f"#option-data-{option}"
        if not page.locator(f"{box} input").is_visible():
            page.locator("#section-data .label-wrap").click()
        dropdowns.choose(page, box, "Made meanwhile · 3 rows")
    page.locator("#section-file .label-wrap").click()

    yaml = page.locator("#train-yaml")
    expect(yaml).to_contain_text("dataset:made-meanwhile")
    expect(yaml).to_contain_text("held_out_file: dataset:made-meanwhile")


def test_a_corrected_answer_a_conversation_and_votes_become_rows(page: Page, home: Path) -> None:
    kept = Conversations(Store(home))
    talk = kept.create("demo", "Be brief.", title="Colours")
    said = [Message("user", "Which colour?"), Message("assistant", "Bleu", model="demo")]
    kept.append(talk.id, *said)
    asked = compare_page.store(home, ("Which is best?",), lambda q: f"{q.model} is")
    Votes(Store(home)).cast(asked.id, asked.entries[0].position, 0, 1, "left")

    open_tab(page, "Chat")
    page.locator(f'[data-conversation="{talk.id}"] .et-pick').click()
    page.locator("#chat-messages").get_by_role("button", name="Keep as training row").click()
    page.locator("#chat-collect-answer textarea").fill("Blue")
    _name_dataset(page, "chat-collect", "Better answers")
    expect(page.locator("#chat-collect-keep")).to_be_hidden()
    page.locator(f'[data-conversation="{talk.id}"] .et-menu summary').click()
    page.locator(f'[data-conversation="{talk.id}"] [data-act="keep"]').click()
    expect(page.locator("#chat-collect-answer")).to_be_hidden()
    page.locator("#chat-collect-keep").click()
    expect(page.locator("#chat-collect-keep")).to_be_hidden()

    compare_page.enter(page)
    compare_page.show(page, "Blind vote")
    page.locator("#compare-collect").click()
    _name_dataset(page, "compare-collecting", "Votes")
    expect(page.locator("#compare-collecting-keep")).to_be_hidden()

    library = Library(home)
    answers = [row.value["messages"] for row in library.open("better-answers").page(0, 9)]
    assert [messages[-1]["content"] for messages in answers] == ["Blue", "Bleu"]
    assert [message["role"] for message in answers[0]] == ["system", "user", "assistant"]
    (vote,) = library.open("votes").page(0, 9)
    assert (vote.value["chosen"], vote.value["rejected"]) == ("first is", "second is")


def _name_dataset(page: Page, panel: str, title: str) -> None:
    """Type the name of a new dataset into the form, and keep."""
    field = page.locator(f"#{panel}-dataset input")
    field.fill(title)
    field.press("Enter")
    page.locator(f"#{panel}-keep").click()
