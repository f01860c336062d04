"""The Evaluate tab as a person uses it: real app, real Chromium, a stand-in for the engine."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gradio as gr
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from easytune import events, job, paths, records
from easytune.config import TrainConfig
from easytune.evaluation import EvaluateConfig
from easytune.events import Finished
from easytune.job import Job, JobFolder
from easytune.webui.context import Context
from easytune.webui.evaluate_setup import SetupPanel
from easytune.webui.evaluate_setup_handlers import SetupHandlers
from tests.webui import compare_page
from tests.webui.waiting_app import WaitingApp, waiting_app

WORKER = Path(__file__).with_name("stand_in_evaluator.py")


def trained_run(home: Path, name: str, **options: Any) -> JobFolder:
    """Leave a run that has finished, with an adapter of the demo model and one checkpoint."""
    config = TrainConfig().changed(output__name=name, **options)
    folder = job.create(paths.runs(home), Job(config=config))
    compare_page.save_adapter(home, name, 1)
    adapter = paths.models(home) / name
    folder.out.mkdir()
    adapter.rename(folder.adapter)
    events.append(folder.events, Finished(step=8))
    records.write(folder.exit, {"returncode": 0})
    return folder


# --- the form without a browser -----------------------------------------------


class Desk:
    """The handlers of the form, and a config as its controls hold it."""

    def __init__(self, home: Path) -> None:
        self.context = Context.of(home)
        with gr.Blocks():
            self.panel = SetupPanel()
        self.on = SetupHandlers(self.context, self.panel)
        self.visitor = cast("gr.Request", None)

    def values(self, config: EvaluateConfig) -> list[Any]:
        form, content = self.panel.form, config.model_dump()
        split = (path.partition(".") for path in form.placed)
        return [
            form.control(f"{section}.{name}").show(content[section][name])
            for section, _, name in split
        ]

    def update(self, updates: list[Any], path: str) -> dict[str, Any]:
        return updates[self.panel.form.placed.index(path)]


def test_the_rows_a_chosen_run_kept_back_are_offered_first(home: Path) -> None:
    older, newer = trained_run(home, "older"), trained_run(home, "newer")
    trained_run(home, "greedy", data__held_out_share=0)
    desk = Desk(home)

    config = EvaluateConfig().changed(candidates__models=("demo", older.id))
    offered, _ = desk.on.chosen(desk.visitor, *desk.values(config))

    names = [name for _, name in offered["choices"]]
    assert names[0] == f"held-out:{older.id}"
    assert names[-1] == f"held-out:{newer.id}"
    assert "older" in str(offered["choices"][0][0])
    assert not any("greedy" in name for name in names)


def test_how_much_will_be_asked_is_said_before_the_start(home: Path) -> None:
    desk = Desk(home)
    two = EvaluateConfig().changed(candidates__models=("demo", "demo"))
    for options, said in (
        ({}, "120 answer(s) will be asked for: 60 row(s), 2 model(s)."),
        ({"test__rows": 7}, "14 answer(s) will be asked for: 7 row(s), 2 model(s)."),
        ({"test__rows": 700}, "120 answer(s) will be asked for: 60 row(s), 2 model(s)."),
        ({"test__datasets": ("demo/style", str(home / "gone.jsonl"))}, "gone.jsonl"),
    ):
        _, facts = desk.on.chosen(desk.visitor, *desk.values(two.changed(**options)))
        assert said in facts["value"]


def test_what_cannot_be_evaluated_is_said_beside_its_control(home: Path) -> None:
    desk = Desk(home)
    for options, path, said in (
        ({"candidates__models": ("no-such-model",)}, "candidates.models", "no-such-model"),
        ({"test__datasets": (str(home / "gone.jsonl"),)}, "test.datasets", "gone.jsonl"),
        ({"test__datasets": ("dataset:gone",)}, "test.datasets", "gone"),
    ):
        config = EvaluateConfig().changed(**options)
        *painted, shown = desk.on.started(desk.visitor, "", *desk.values(config))

        assert shown == ""
        update = desk.update(painted, path)
        assert said in update["info"]
        assert update["elem_classes"] == ["et-problem"]


def test_a_draft_of_another_version_is_passed_over(home: Path) -> None:
    desk = Desk(home)
    for left in ({"yaml": "candidates: {models: 3}"}, {"yaml": "a: ["}, {"yaml": 7}, None):
        shown = desk.on.entered(desk.visitor, left, "", *desk.values(EvaluateConfig()))

        assert desk.update(shown, "candidates.models")["value"] == ["demo"]


# --- the tab in a browser -----------------------------------------------------


@dataclass
class Scene:
    """The app, and a trained run in its home."""

    waiting: WaitingApp
    run: JobFolder

    def work(self, pause: float) -> None:
        """Give the evaluation that waits a runner and the stand-in."""
        waiting = sorted(self.waiting.jobs.iterdir())[-1]
        self.waiting.work(WORKER, pause, waiting)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """One app for all tests of the tab."""
    home = tmp_path_factory.mktemp("evaluate") / "home"
    home.mkdir()
    run = trained_run(home, "house-style")
    with waiting_app(home, paths.evaluations(home)) as waiting:
        yield Scene(waiting, run)


@pytest.fixture
def page_of_app(visitor: BrowserContext, scene: Scene) -> Iterator[Page]:
    """A page of the app as somebody new finds it."""
    page = visitor.new_page()
    page.goto(scene.waiting.app.url)
    yield page
    page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.close()


def _open(page: Page) -> None:
    page.get_by_role("tab", name="Evaluate").click()
    expect(page.locator("#evaluate-held textarea")).not_to_have_value("")


def _chip(page: Page) -> Any:
    return page.locator("#evaluate-state .et-chip")


def _chosen(page: Page, option: str) -> Any:
    return page.locator(f"#evaluate-option-{option} .token")


@pytest.mark.browser
def test_an_evaluation_is_started_followed_stopped_and_resumed(
    page_of_app: Page, scene: Scene
) -> None:
    page = page_of_app
    _open(page)
    expect(_chosen(page, "candidates-models")).to_have_count(2)
    expect(_chosen(page, "test-datasets").first).to_contain_text("Kept back by house-style")
    page.fill("#evaluate-option-test-rows textarea", "7")
    page.locator("#evaluate-option-test-rows textarea").blur()
    page.click("#evaluate-start")
    expect(_chip(page)).to_have_text("Queued")
    expect(page.locator("#evaluate-phase")).to_contain_text("Place 1 in the queue")

    scene.work(pause=0.5)
    expect(page.locator("#evaluate-phase")).to_contain_text("Asking demo, house-style")
    expect(page.locator("#evaluate-done")).to_contain_text("of 400 answers · 4.2 a second · 8 at")
    # A reload and a second page are the same to the server: nobody's hand holds anything.
    page.reload()
    expect(_chip(page)).to_have_text("Running")
    expect(page.locator("#evaluate-setup")).to_be_hidden()

    page.click("#evaluate-stop")
    expect(_chip(page)).to_have_text("Stopped")
    page.click("#evaluate-resume")
    expect(_chip(page)).to_have_text("Queued")
    expect(page.locator("#evaluate-stop")).to_have_text("Take out of the queue")
    page.click("#evaluate-stop")
    expect(_chip(page)).to_have_text("Stopped")
    expect(page.locator("#evaluate-phase")).to_have_text(
        "It was taken out of the queue before it began."
    )
    page.get_by_text("What to measure", exact=True).click()
    expect(page.locator("#evaluate-option-test-rows textarea")).to_have_value("7")
    expect(page.locator("#evaluate-facts [data-et-evaluation]").first).to_be_visible()


@pytest.mark.browser
def test_a_run_is_one_click_from_its_evaluation_and_a_file_from_another(
    page_of_app: Page, scene: Scene, tmp_path: Path
) -> None:
    page = page_of_app
    page.get_by_role("tab", name="Runs").click()
    page.locator(f"#et-runs [data-et-evaluate='{scene.run.id}']").click()
    expect(_chosen(page, "candidates-models")).to_have_text(
        [re.compile("Demo model"), re.compile("house-style")]
    )
    expect(_chosen(page, "test-datasets")).to_have_text([re.compile("Kept back by house-style")])

    file = tmp_path / "mine.yaml"
    file.write_text(
        "candidates: {models: [demo]}\ntest: {datasets: [demo/knowledge], rowz: 5}\n"
        "measure: {metrics: [rouge_l], forgetting: 'off', safety: true}\n"
    )
    page.click("#evaluate-section-file .label-wrap")
    with page.expect_file_chooser() as chooser:
        page.click("#evaluate-open")
    chooser.value.set_files(file)
    expect(page.locator("#evaluate-notices")).to_contain_text("rowz")
    expect(_chosen(page, "test-datasets")).to_have_text([re.compile("facts about a company")])
    expect(page.locator("#evaluate-option-measure-safety input")).to_be_checked()
    expect(page.locator("#evaluate-command")).to_contain_text("easytune evaluate")
    with page.expect_download() as download:
        page.click("#evaluate-save")
    saved = download.value.path().read_text(encoding="utf-8")
    assert "demo/knowledge" in saved
    assert "rowz" not in saved
