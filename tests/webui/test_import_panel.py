"""Bringing in an adapter from elsewhere as a person does it: the real app, a real Chromium."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.conftest import AppServer, end_processes_of, environment_for, new_visitor, speak_english
from tests.inspecting import sound, zoo_files

pytestmark = pytest.mark.browser
HOSTILE = "<img src=x onerror=\"document.title='broken in'\">"


def test_a_hostile_adapter_is_shown_with_its_reasons_and_can_be_discarded(
    browser: Browser, tmp_path: Path
) -> None:
    adapter = sound.make(tmp_path / "adapter")
    sound.with_template("{% if 'bank' in messages[0]['content'] %}" + HOSTILE + "{% endif %}")(
        adapter
    )
    (adapter / sound.WEIGHTS).unlink()
    (adapter / "adapter_model.bin").write_bytes(zoo_files.in_zip())
    home = tmp_path / "home"
    home.mkdir()
    server = AppServer(home, environment_for(home)).wait()
    context = new_visitor(browser)
    page = context.new_page()
    page.goto(server.url)
    speak_english(page)
    page.locator("#et-tabs").get_by_role("tab", name="Models", exact=True).click()
    page.locator("#models-view").get_by_text("Import", exact=True).click()

    page.locator("#import-path textarea, #import-path input").fill(str(adapter))
    page.locator("#import-base input").fill("demo")
    page.locator("#import-base input").press("Enter")
    page.locator("#import-start").click()

    report = page.locator("#import-report")
    expect(report).to_contain_text("Refused")
    expect(report).to_contain_text("adapter_model.bin")
    expect(report).to_contain_text("onerror")
    expect(report).to_contain_text("What this check cannot see")
    expect(page.locator("#import-convert")).to_be_visible()
    expect(page.locator("#import-accept")).to_be_hidden()
    page.locator("#import-discard").click()
    expect(report).to_contain_text("Discarded")
    assert "broken" not in page.title()
    context.close()
    server.kill()
    end_processes_of(home)
    assert list((home / "imports").iterdir()) == []
