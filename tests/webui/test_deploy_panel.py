"""The Deploy view in a browser; only the servers are stand-ins."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from easytune.services.catalogue import Catalogue
from easytune.services.deployments import Deployments
from easytune.services.runs import Runs
from easytune.webui import deploy_view
from tests.conftest import ROOT, end_processes_of, environment_for, free_port
from tests.patience import eventually

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The home that the tests of this file share."""
    folder = tmp_path_factory.mktemp("deploy") / "home"
    folder.mkdir()
    yield folder
    end_processes_of(folder)


@pytest.fixture(scope="module")
def url(home: Path) -> Iterator[str]:
    """The address of a page with the view."""
    port = free_port()
    command = [sys.executable, "-m", "tests.webui.deploy_page", str(home), str(port)]
    log = home.parent / "page.log"
    with log.open("wb") as file:
        environment = environment_for(home)
        page = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=file, stderr=file)
    address = f"http://127.0.0.1:{port}"
    eventually(lambda: _answers(address), lambda: log.read_text())
    yield address
    page.kill()
    page.wait()


@pytest.fixture
def view(visitor: BrowserContext, url: str) -> Iterator[Page]:
    """The page with the view open."""
    page = visitor.new_page()
    page.goto(url)
    page.get_by_role("tab", name="Deploy").click()
    yield page
    page.close()


def _answers(address: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(address, timeout=2) as reply:
            return reply.status == 200
    except OSError:
        return False


def _field(page: Page, option: str) -> Locator:
    return page.locator(f"#deploy-option-{option}").locator("input, textarea")


def _cards(page: Page) -> Locator:
    return page.locator("#deploy-list [data-deployment]")


def _state(card: Locator, state: str) -> None:
    expect(card.locator(f"[data-state={state}]")).to_be_visible()


def test_a_model_is_served_found_again_stopped_and_deleted(view: Page, home: Path) -> None:
    port = free_port()
    expect(view.locator("#deploy-list")).to_contain_text("Nothing is served yet")
    view.locator("#deploy-option-deploy-name input, #deploy-option-deploy-name textarea").fill(
        "house"
    )
    _field(view, "server-port").fill(str(port))
    view.locator("#deploy-option-server-key input").check()
    view.locator("#deploy-start").click()

    card = _cards(view).first
    _state(card, "healthy")
    expect(card).to_contain_text(f"http://127.0.0.1:{port}/v1")
    key = view.locator("#deploy-secret-text").inner_text()
    expect(card).to_contain_text(f"et-…{key[-4:]}")
    details = view.locator("#deploy-details")
    expect(details).to_contain_text('model="house"')
    expect(details).to_contain_text("a server begins")

    # A killed server is started again, and the page says so by itself.
    deployments = Deployments(home, Catalogue(home, Runs(home)))
    (story,) = deployments.list()
    assert story.standing.pid is not None
    os.kill(story.standing.pid, signal.SIGKILL)
    expect(card).to_contain_text("Started 2 times.")
    _state(card, "healthy")

    # The key is shown once; the server goes on, whoever opens the page.
    view.reload()
    view.get_by_role("tab", name="Deploy").click()
    _state(_cards(view).first, "healthy")
    expect(view.locator("#deploy-secret-text")).to_have_count(0)
    assert key not in view.content()

    card.get_by_role("button", name="Stop").click()
    _state(card, "stopped")
    card.get_by_role("button", name="Start again").click()
    _state(card, "healthy")
    card.get_by_role("button", name="Stop").click()
    _state(card, "stopped")
    card.get_by_role("button", name="Delete").click()
    expect(view.locator("#deploy-delete-question")).to_contain_text("house")
    view.locator("#deploy-delete").click()
    expect(_cards(view)).to_have_count(0)


def test_a_taken_port_is_told_with_a_free_one(view: Page) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        _field(view, "server-port").fill(str(port))
        view.locator("#deploy-start").click()

        expect(view.locator(".toast-body")).to_contain_text(f"Port {port} of 127.0.0.1 is taken")
    expect(_cards(view)).to_have_count(0)


def test_names_and_logs_are_escaped_and_commands_quoted(home: Path) -> None:
    from tests.services.deployed import Stage

    stage = Stage(home.parent / "escaped")
    id = stage.begin("slow", deploy__name="<b>it's</b>", server__key=True)
    story = stage.deployments.story(id)
    stage.deployments.stop(id)

    drawn = deploy_view.listed([story], {}, id, "en") + deploy_view.details(
        story, ["<script>"], "zh"
    )

    assert "<b>it" not in drawn
    assert "<script>" not in drawn
    assert "'\\''s" in deploy_view.curl(story)
    stage.until(id, "stopped")
