"""The Settings tab in a real browser."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from easytune import settings
from easytune.settings import InferenceSection
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.browser
IDLE = "#settings-option-inference-idle_minutes"
MEMORY = "#settings-option-inference-memory_budget_gb"


@pytest.fixture(scope="module")
def opened(shared_app: Any, visitor: BrowserContext) -> Page:
    """A page of the app, opened once: that takes long."""
    page = visitor.new_page()
    page.goto(shared_app.url)
    return page


@pytest.fixture
def tab(opened: Page) -> Page:
    """The tab, entered from another one."""
    opened.locator("#et-tab-train-button").click()
    _open(opened)
    return opened


def _open(page: Page) -> None:
    page.locator("#et-tab-settings-button").click()
    expect(page.locator("#settings-how h3")).to_be_visible()


def test_settings_are_kept_and_wrong_ones_told_under_their_control(
    shared_app: Any, tab: Page
) -> None:
    tab.locator(f"{IDLE} input").fill("-3")
    tab.locator(f"{IDLE} input").press("Tab")
    expect(tab.locator(IDLE)).to_contain_text("should be at least 0", ignore_case=True)
    tab.locator("#settings-save").click()
    toast = tab.get_by_test_id("toast-body")
    expect(toast.filter(has_text="Unload after (minutes)").first).to_be_visible()
    assert _title(tab) == "Please note"
    tab.locator("#settings-save").click()
    expect(tab.locator(".toast-count").first).to_be_visible()
    tab.locator("[data-et-lang=zh]").click()
    expect(tab.locator("html")).to_have_attribute("lang", "zh-CN")
    tab.locator("#settings-save").click()
    assert _title(tab) == "请注意"
    tab.locator("[data-et-lang=en]").click()
    assert settings.load(shared_app.home).inference == InferenceSection()

    tab.locator(f"{IDLE} input").fill("5")
    tab.locator(f"{MEMORY} textarea, {MEMORY} input").fill("2.5")
    tab.locator("#settings-save").click()
    expect(toast.filter(has_text="Saved. It counts").first).to_be_visible()

    kept = InferenceSection(memory_budget_gb=2.5, idle_minutes=5)
    assert settings.load(shared_app.home).inference == kept
    tab.reload()
    tab.locator("#et-tab-train-button").click()
    _open(tab)
    expect(tab.locator(f"{IDLE} input")).to_have_value("5")


def test_a_key_is_shown_once_works_and_is_taken_away(shared_app: Any, tab: Page) -> None:
    tab.locator("#settings-create").click()
    toast = tab.get_by_test_id("toast-body").filter(has_text="Give the key a name first")
    expect(toast).to_be_visible()
    tab.locator("#settings-key-name input, #settings-key-name textarea").fill("<b>laptop")
    tab.locator("#settings-create").click()
    secret = tab.locator("#settings-secret-text").inner_text()
    row = tab.locator("#settings-keys tbody tr")
    expect(row).to_contain_text("<b>laptop")
    expect(row).to_contain_text("never")
    assert secret not in row.inner_text()

    assert _status(shared_app.url, secret) == 200
    tab.locator("#et-tab-train-button").click()
    _open(tab)
    expect(tab.locator("#settings-secret-text")).to_have_count(0)
    expect(row).not_to_contain_text("never")

    row.get_by_role("button", name="Delete").click()
    expect(tab.locator("#settings-delete-question")).to_contain_text("<b>laptop")
    tab.locator("#settings-keep").click()
    expect(row).to_have_count(1)
    row.get_by_role("button", name="Delete").click()
    tab.locator("#settings-delete").click()
    expect(row).to_have_count(0)
    assert _status(shared_app.url, secret) == 401


def _title(tab: Page) -> str:
    """Return what a toast is titled: Gradio's own English title is painted over."""
    shown = "one => [getComputedStyle(one).fontSize, getComputedStyle(one, '::before').content]"
    own_size, title = tab.locator(".toast-title").first.evaluate(shown)
    assert own_size == "0px"
    return title.strip('"')


def _status(url: str, secret: str) -> int:
    return httpx.get(f"{url}/v1/models", headers={"authorization": f"Bearer {secret}"}).status_code


def test_a_model_in_memory_is_shown_and_unloaded(shared_app: Any, tab: Page) -> None:
    expect(tab.locator("#settings-held")).to_contain_text("No model is in memory")
    body = {"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}
    answer = httpx.post(f"{shared_app.url}/v1/chat/completions", json=body, timeout=PATIENCE_S)
    assert answer.status_code == 200, answer.text

    unload = tab.locator('#settings-held [data-action="unload"]')
    expect(unload).to_be_visible()
    unload.click()
    told = tab.locator("#settings-held")
    expect(told).to_contain_text("No model is in memory")
    assert httpx.get(f"{shared_app.url}/api/status").json()["held"] == []
