"""What the tests of the Data tab share: files to bring in, and a visitor's steps."""

import json
from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from tests.conftest import AppServer

BROKEN = '{"instruction": "What is broken?", "output": "this line ne'


def sums(folder: Path, count: int = 30, name: str = "sums.jsonl") -> Path:
    """Write Alpaca rows; the third cannot be parsed, the fifth has no answer."""
    rows = [
        {"instruction": f"What is {number} + {number}?", "input": "", "output": f"{2 * number}."}
        for number in range(1, count + 1)
    ]
    lines = [json.dumps(row) for row in rows]
    lines[2] = BROKEN
    lines[4] = json.dumps(rows[4] | {"output": ""})
    return written(folder / name, "\n".join(lines) + "\n")


def written(file: Path, text: str) -> Path:
    """Write a file, and return it."""
    file.write_text(text, encoding="utf-8")
    return file


def enter(page: Page, app: AppServer) -> Page:
    """Open the app on its Data tab."""
    page.goto(app.url)
    page.locator("#et-tabs").get_by_role("tab", name="Data", exact=True).click()
    expect(page.locator("#data-list .data-entry").first).to_be_visible()
    return page


def drop(page: Page, *files: Path) -> None:
    """Give files to the drop area, and wait until it is known what they are."""
    with page.expect_file_chooser() as chooser:
        page.click("#data-files button")
    chooser.value.set_files([str(file) for file in files])
    expect(page.locator("#data-import-start")).to_be_visible()


def bring_in(page: Page, *files: Path) -> None:
    """Import files as a new dataset, and wait until its rows are shown."""
    drop(page, *files)
    page.click("#data-import-start")
    expect(page.locator("#data-head h2")).to_be_visible()
    expect(row(page, 0)).to_be_visible()


def row(page: Page, place: int) -> Locator:
    """Return a row of the table, counted from 0 among those that fit the filter."""
    return page.locator(f"#data-table tr[data-place='{place}']")


def panel(page: Page) -> Locator:
    """Return the row that is shown in full."""
    return page.locator("#data-row .data-panel")


def write(page: Page, field: str, text: str) -> None:
    """Type into a field of the row that is being mended."""
    box = panel(page).locator(".data-field").filter(has=page.get_by_text(field, exact=True))
    box.locator("textarea").fill(text)
