"""A home with a dataset of two versions, made without any page."""

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
from tests.conftest import AppServer

DATASET = "tea-house"
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


def seed(home: Path) -> Library:
    """Make version 1 of sixty rows; in version 2 one is mended and one is gone. A run used 1."""
    library = Library(home)
    layout = Layout("alpaca")
    with library.draft(
        title="Tea house", origin=Imported(), note="As it came", layouts={SOURCE: layout}
    ) as draft:
        draft.add(batch(rows()))
        draft.commit()
    mended = rows()[0] | {"output": "Pour water of ninety degrees on <b>two spoons</b> of tea 0."}
    library.edit(DATASET, [Replace(0, row_text(mended)), Drop(10)], author="Mira", note="Mended")
    config = TrainConfig().changed(data__datasets=(f"dataset:{DATASET}@1",), output__name=RUN)
    job.create(paths.runs(home), Job(config=config))
    return library


def batch(values: list[dict[str, Any]], held_out: list[bool] | None = None) -> Batch:
    """Return rows as they come from a file."""
    return Batch(
        texts=[row_text(value) for value in values],
        ids=[row_id(value) for value in values],
        sources=[SOURCE] * len(values),
        numbers=list(range(1, len(values) + 1)),
        held_out=held_out or [],
    )


def opened(browser: Browser, server: AppServer, view: str) -> Iterator[Page]:
    """Yield a page with one view of the dataset open, and close it in the end."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, locale="en-US", accept_downloads=True
    )
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(server.url)
    page.locator("button[role=tab]", has_text="Data").first.click()
    page.click(f'.data-entry[data-name^="{DATASET}@"]')
    open_view(page, view)
    yield page
    context.close()


def open_view(page: Page, view: str) -> None:
    """Go to another view of the dataset that is open."""
    expect(page.locator("#data-head h2")).to_be_visible()
    page.locator("#data-views button[role=tab]:visible").nth(VIEWS.index(view)).click()
