"""Datasets of two versions each, made without any page, and a page that shows them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect

from easytune import job, paths
from easytune.config import TrainConfig
from easytune.data.formats import Layout
from easytune.data.stored import Batch, row_id, row_text
from easytune.data.versions.edits import Drop, Replace
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Imported
from easytune.job import Job
from tests.conftest import AppServer, end_processes_of, environment_for, new_visitor

TITLES = ("Tea house", "Tea room", "Tea garden")
SOURCE = "tea.jsonl"
VIEWS = ("rows", "xray", "statistics", "preprocess", "versions")
RUN = "the-tea-run"


def rows() -> list[dict[str, Any]]:
    """Return sixty rows: some with tags, an e-mail address or a very short answer, one twice."""
    made: list[dict[str, Any]] = [
        {
            "instruction": f"How is tea number {place} made?",
            "output": f"Pour water of {50 + place} degrees on <b>two spoons</b> of tea {place}.",
        }
        for place in range(59)
    ]
    made[3]["output"] = "Ask mira@example.org about the third tea, she knows it best."
    made[4]["output"] = "No."
    return [*made, dict(made[5])]


def served(home: Path) -> Iterator[AppServer]:
    """Yield the app on a home with all the datasets."""
    for title in TITLES:
        seed(home, title)
    server = AppServer(home, environment_for(home)).wait()
    yield server
    server.kill()
    end_processes_of(home)


def seed(home: Path, title: str) -> None:
    """Make version 1 of sixty rows; in version 2 one is mended and one is gone. A run used 1."""
    library = Library(home)
    layouts = {SOURCE: Layout("alpaca")}
    with library.draft(title=title, origin=Imported(), note="As it came", layouts=layouts) as draft:
        draft.add(batch(rows()))
        made = draft.commit()
    mended = rows()[0] | {"output": "Pour water of ninety degrees on <b>two spoons</b> of tea 0."}
    edits = [Replace(0, row_text(mended)), Drop(10)]
    library.edit(made.dataset, edits, author="Mira", note="Mended")
    config = TrainConfig().changed(data__datasets=(str(made.reference),), output__name=RUN)
    # A run that was called off before it began: the app must not train while tests look at it.
    job.create(paths.runs(home), Job(config=config)).revoked.touch()


def batch(values: list[dict[str, Any]], held_out: list[bool] | None = None) -> Batch:
    """Return rows as they come from a file."""
    return Batch(
        texts=[row_text(value) for value in values],
        ids=[row_id(value) for value in values],
        sources=[SOURCE] * len(values),
        numbers=list(range(1, len(values) + 1)),
        held_out=held_out or [],
    )


def entered(browser: Browser, server: AppServer) -> Iterator[Page]:
    """Yield a page on the Data tab, and close it in the end."""
    context = new_visitor(browser)
    page = context.new_page()
    page.goto(server.url)
    page.locator("button[role=tab]", has_text="Data").first.click()
    yield page
    context.close()


def opened(page: Page, dataset: str, view: str) -> Page:
    """Open one view of a dataset."""
    page.click(f'.data-entry[data-name^="{dataset}@"]')
    expect(page.locator(f'.data-entry[data-name^="{dataset}@"][aria-current]')).to_be_visible()
    open_view(page, view)
    return page


def open_view(page: Page, view: str) -> None:
    """Go to another view of the dataset that is open."""
    expect(page.locator("#data-head h2")).to_be_visible()
    page.locator("#data-views button[role=tab]:visible").nth(VIEWS.index(view)).click()
