"""Choosing in a dropdown: among its own options, for the list of the one before may still fade."""

from playwright.sync_api import Locator, Page


def options(page: Page, box: str) -> Locator:
    """Return the options of the dropdown found by the CSS selector `box`, once it is open."""
    listed = page.locator(f"{box} input").get_attribute("aria-controls")
    return page.locator(f"#{listed}").get_by_role("option")


def choose(page: Page, box: str, option: str, typed: str | None = None) -> None:
    """Take what is called `option`; the dropdown is opened by `typed`, or else by a click."""
    field = page.locator(f"{box} input")
    field.click() if typed is None else field.fill(typed)
    named = page.get_by_role("option", name=option)
    options(page, box).and_(named).first.click()
