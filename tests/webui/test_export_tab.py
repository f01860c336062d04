"""The Export tab as a person uses it: real app, real Chromium, a stand-in for the engine."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import gradio as gr
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from easytune import demo, paths
from easytune.export import ExportConfig
from easytune.exporters import EXPORTERS
from easytune.webui.context import Context
from easytune.webui.export_setup import SetupPanel
from easytune.webui.export_setup_handlers import SetupHandlers
from tests.conftest import ROOT
from tests.made_adapters import adapter_on
from tests.webui.waiting_app import WaitingApp, waiting_app

WORKER = ROOT / "tests" / "services" / "stand_in_exporter.py"


# --- the form without a browser -----------------------------------------------


class Desk:
    """The handlers of the form, and a config as its controls hold it."""

    def __init__(self, home: Path) -> None:
        self.context = Context.of(home)
        with gr.Blocks():
            self.panel = SetupPanel()
        self.on = SetupHandlers(self.context, self.panel)
        self.visitor = cast("gr.Request", None)

    def values(self, **options: Any) -> list[Any]:
        form, content = self.panel.form, ExportConfig().changed(**options).model_dump()
        split = (path.partition(".") for path in form.placed)
        return [
            form.control(f"{section}.{name}").show(content[section][name])
            for section, _, name in split
        ]

    def shown(self, updates: list[Any], path: str) -> dict[str, Any]:
        return updates[self.panel.form.placed.index(path)]


def test_a_target_that_does_not_work_says_why_on_its_card(home: Path) -> None:
    desk = Desk(home)
    cards, facts = desk.on.chosen(desk.visitor, *desk.values(what__models=("demo",)))

    refused = cards["value"].partition('data-et-target="merged"')
    assert 'aria-disabled="true"' in refused[0]
    assert "demo is a whole model, not an adapter" in refused[0]
    assert 'aria-disabled="true"' not in refused[2].partition("</button>")[0]
    assert "whole model" in facts["value"]


def test_what_stands_in_the_way_of_every_target_is_said_once(home: Path) -> None:
    desk = Desk(home)
    cards, facts = desk.on.chosen(desk.visitor, *desk.values(what__models=("gone",)))

    assert cards["value"].count('aria-disabled="true"') == len(EXPORTERS)
    assert "gone" not in cards["value"]
    assert "gone" in facts["value"]


def test_only_the_options_of_the_chosen_target_are_seen(home: Path) -> None:
    desk = Desk(home)
    desk.context.exports.submit(
        ExportConfig().changed(what__target="merged", result__name="<b>Mine</b>")
    )
    for target, is_seen in (("merged", True), ("adapter", False)):
        painted = desk.on.edited(desk.visitor, "posix", "", *desk.values(what__target=target))
        assert desk.shown(painted, "merged.number_format")["visible"] is is_seen
    taken = desk.values(what__target="merged", result__name="<b>mine</b>")
    *painted, shown = desk.on.started(desk.visitor, "", *taken)
    assert shown == ""
    assert "Mine" in desk.shown(painted, "result.name")["info"]
    assert "<b>Mine" not in desk.on._beside(ExportConfig(), "en")[1]["value"]


def test_ollama_has_one_number_format_and_room_for_a_template(home: Path) -> None:
    desk = Desk(home)
    painted = desk.on.edited(desk.visitor, "posix", "", *desk.values(what__target="ollama"))
    assert desk.shown(painted, "ollama.number_format")["visible"]
    assert not desk.shown(painted, "gguf.number_format")["visible"]
    template = desk.panel.form.control("ollama.template")
    assert isinstance(template.component, gr.Textbox)
    assert template.read("{{ .Prompt }}\n") == "{{ .Prompt }}\n"
    assert isinstance(desk.panel.form.control("hub.repository").component, gr.Textbox)


def test_rows_to_measure_on_are_chosen_from_what_is_here(home: Path) -> None:
    offered = Desk(home).on._offered(ExportConfig(), "en")["what.rows"]
    assert "demo/style" in [value for _, value in offered]


# --- the tab in a browser -----------------------------------------------------


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WaitingApp]:
    """One app for all tests of the tab."""
    home = tmp_path_factory.mktemp("export") / "home"
    home.mkdir()
    adapter_on(demo.MODEL, paths.models(home) / "departs")
    adapter_on(demo.MODEL, paths.models(home) / "voice")
    with waiting_app(home, paths.exports(home)) as waiting:
        yield waiting


@pytest.fixture
def page(visitor: BrowserContext, scene: WaitingApp) -> Iterator[Page]:
    """The tab as somebody new finds it."""
    page = visitor.new_page()
    page.goto(scene.app.url)
    _open(page)
    yield page
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.close()


def _open(page: Page) -> None:
    page.get_by_role("tab", name="Export").click()
    expect(page.locator("#export-held textarea")).not_to_have_value("")


def _chip(page: Page) -> Any:
    return page.locator("#export-state .et-chip")


@pytest.mark.browser
def test_an_export_is_started_followed_stopped_and_resumed(page: Page, scene: WaitingApp) -> None:
    expect(page.locator("#export-option-what-models .token")).to_contain_text("voice")
    page.click("[data-et-target='merged']")
    expect(page.locator("[data-et-target='merged']")).to_have_attribute("aria-checked", "true")
    expect(page.locator("#export-option-merged-number_format")).to_be_visible()
    page.click("[data-et-target='adapter']")
    expect(page.locator("#export-option-merged-number_format")).to_be_hidden()
    page.click("#export-start")
    expect(page.locator("#export-phase")).to_contain_text("Place 1 in the queue")

    # Slower than any machine that is asked to stop it.
    scene.work(WORKER, 60)
    expect(page.locator("#export-done")).to_contain_text("of 20 kB · 5.0 kB/s")
    # A reload is the same to the server: nobody's hand holds anything.
    page.reload()
    _open(page)
    expect(_chip(page)).to_have_text("Running")
    page.click("#export-stop")
    expect(_chip(page)).to_have_text("Stopped")
    page.click("#export-resume")
    expect(_chip(page)).to_have_text("Queued")
    scene.work(WORKER, 0)
    expect(_chip(page)).to_have_text("Finished")
    proof = page.locator(".export-certificate")
    expect(proof).to_have_attribute("data-passed", "true")
    expect(proof).to_contain_text("This is the model that was trained.")
    expect(proof.locator(".export-use").first).to_contain_text("easytune chat")
    proof.get_by_role("button", name="Deploy").click()
    expect(page.locator("#deploy-start")).to_be_visible()
    expect(page.locator("#deploy-model input")).to_have_value(re.compile("voice.*adapter"))
    page.locator("#export-view").get_by_text("Export").click()
    expect(page.locator("#export-picker input")).not_to_have_value("")


@pytest.mark.browser
def test_an_export_that_departs_shows_where_and_runs_nothing(page: Page, scene: WaitingApp) -> None:
    # As any other tab sends somebody here.
    page.get_by_role("tab", name="Train").click()
    page.evaluate(
        """(model) => {
          const button = document.body.appendChild(document.createElement("button"));
          button.dataset.etExport = model;
          button.click();
        }""",
        "departs",
    )
    expect(page.locator("#export-option-what-models .token")).to_contain_text("departs")
    expect(page.locator("#export-held textarea")).to_have_value(re.compile("departs"))
    page.click("#export-start")
    expect(_chip(page)).to_have_text("Queued")
    scene.work(WORKER, 0)
    expect(_chip(page)).to_have_text("Failed")
    expect(page.locator("#export-failure")).to_contain_text("not the model that was trained")
    proof = page.locator(".export-certificate")
    expect(proof).to_have_attribute("data-passed", "false")
    expect(proof).to_contain_text("The <b>cat</b>")
    expect(proof.locator(".export-use")).to_have_count(0)
    # In the other language, in the browser and from the server.
    page.click('[data-et-lang="zh"]')
    expect(proof).to_contain_text("这不是训练出来的那个模型")
    expect(page.locator("#export-start")).to_have_text("开始导出")
    page.click('[data-et-lang="en"]')
