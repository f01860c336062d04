"""What tests share: a temporary home, a running app, a real browser."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from xdist.scheduler import LoadScopeScheduling

from easytune import locks, machine, settings
from tests.patience import PATIENCE_MS, PATIENCE_S

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM_FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
BROWSER, HOUSE = "browser", "tests/test_house.py"
BROWSERS_AT_ONCE = 2
expect.set_options(timeout=PATIENCE_MS)
# Models as small as ours compute no faster with more, and the cores have other tests to run.
os.environ.setdefault("OMP_NUM_THREADS", "1")


class ByFile(LoadScopeScheduling):
    """Keeps the tests of a file together, and has no more than two browsers open at once.

    Each has an app and its models beside it: more of them would only wait for each other.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        files = _files_with_a_browser()
        if file not in files:
            return file
        # In halves: chat and compare, whose models never stop talking, come one after the other.
        return f"{BROWSER}-{files.index(file) * BROWSERS_AT_ONCE // len(files)}"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """Let xdist share out the tests our way; its groups do not work with pytest 9.2."""
    return ByFile(config, log)


def pytest_xdist_auto_num_workers() -> int | None:
    """Run one file more than there are cores: who drives a browser or a process mostly waits."""
    if "PYTEST_XDIST_AUTO_NUM_WORKERS" in os.environ:
        return None
    return (psutil.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest, and give browsers a second try.

    Beside other tests a page may be slower than any patience; what is broken fails twice.
    """
    for item in items:
        if item.get_closest_marker(BROWSER) and not item.get_closest_marker("flaky"):
            item.add_marker(pytest.mark.flaky(reruns=1))
    first = [*_files_with_a_browser(), HOUSE]
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in first)


@cache
def _files_with_a_browser() -> list[str]:
    files = sorted((ROOT / "tests").rglob("test_*.py"))
    marked = [file for file in files if f"mark.{BROWSER}" in file.read_text(encoding="utf-8")]
    return [file.relative_to(ROOT).as_posix() for file in marked]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home folder of the test's own; processes that still work in it are ended afterwards."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("EASYTUNE_HOME", str(folder))
    yield folder
    end_processes_of(folder)


@pytest.fixture
def child_environment(home: Path) -> dict[str, str]:
    """Environment for processes a test starts: offline, one thread, the test's home."""
    return environment_for(home)


def environment_for(home: Path) -> dict[str, str]:
    """Return the environment of a process that works on `home`."""
    return os.environ | {
        "EASYTUNE_HOME": str(home),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }


class AppServer:
    """The app in a process of its own, as a user starts it."""

    def __init__(self, home: Path, environment: dict[str, str], *flags: str) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home.parent / f"server-{self.port}.log"
        # Else every app would start a process with torch to measure how fast this machine is.
        (home / machine.SPEED_FILE).write_text('{"cpu": 60.0}')
        if not (home / settings.FILE).exists():
            # Else every app would start a process with torch that waits for a job.
            waiting_for_nobody = settings.JobsSection(keep_worker_ready=False)
            settings.save(home, settings.Settings(jobs=waiting_for_nobody))
        command = [
            sys.executable, "webui.py", "--no-browser", "--port", str(self.port),
            "--home", str(home), *flags,
        ]  # fmt: skip
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip

    def wait(self) -> "AppServer":
        """Return once /healthz answers."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._answers():
            output = self.log.read_text(encoding="utf-8", errors="replace")
            assert self.process.poll() is None, f"the app ended by itself:\n{output}"
            assert time.monotonic() < deadline, f"the app does not answer:\n{output}"
            time.sleep(0.1)
        return self

    def kill(self) -> None:
        """End the web process at once, as `kill -9` does. Jobs it started go on."""
        self.process.kill()
        self.process.wait()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=2) as reply:
                return reply.status == 200
        except OSError:
            return False


@pytest.fixture
def start_app(home: Path, child_environment: dict[str, str]) -> Iterator[Callable[..., AppServer]]:
    """Start the app on the test's home, as often as the test likes: `start_app("--lang", "zh")`."""
    started: list[AppServer] = []

    def start(*flags: str) -> AppServer:
        started.append(AppServer(home, child_environment, *flags))
        return started[-1].wait()

    yield start
    for server in started:
        server.kill()


@pytest.fixture
def app(start_app: Callable[..., AppServer]) -> AppServer:
    """The app, running on a home of the test's own."""
    return start_app()


@pytest.fixture(scope="module")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AppServer]:
    """The app on a home that the tests of one file share."""
    folder = tmp_path_factory.mktemp("shared") / "home"
    folder.mkdir()
    server = AppServer(folder, environment_for(folder))
    yield server.wait()
    server.kill()
    end_processes_of(folder)


@pytest.fixture(scope="session")
def trained_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a finished run of the demo model; copy it, never change it."""
    # It takes its environment from here.
    from tests.services import trained

    own = tmp_path_factory.getbasetemp()
    # All workers of xdist share one: their folders are side by side.
    shared = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    lock = locks.hold(shared / "trained.lock", patience_s=PATIENCE_S)
    assert lock is not None
    with lock:
        home, done = shared / "trained" / "home", shared / "trained.done"
        if not done.exists():
            trained.train(home)
            done.touch()
    return home


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium: Debian's, else Playwright's own.

    No longer than a file: as long as it lives an event loop runs here, and `asyncio.run` cannot.
    """
    with sync_playwright() as playwright:
        executable = shutil.which("chromium") or shutil.which("chromium-browser")
        try:
            chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS)
        except PlaywrightError as error:
            if os.environ.get("EASYTUNE_REQUIRE_BROWSER"):
                raise
            pytest.skip(f"no Chromium: apt-get install chromium, or playwright install ({error})")
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh browser page, English, 1280 by 900."""
    context = new_visitor(browser)
    yield context.new_page()
    context.close()


def new_visitor(browser: Browser, width: int = 1280, height: int = 900) -> BrowserContext:
    """Return an English visitor of their own, who is patient."""
    context = browser.new_context(viewport={"width": width, "height": height}, locale="en-US")
    context.set_default_timeout(PATIENCE_MS)
    return context


def speak_english(page: Page) -> None:
    """Turn a page back to English, if a test before left it in another language."""
    english = page.locator("[data-et-lang=en]")
    if english.get_attribute("aria-pressed") != "true":
        english.click()


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end_processes_of(folder: Path) -> None:
    """Kill every process whose command line names `folder`: runners and workers of its runs."""
    for process in psutil.process_iter(["cmdline"]):
        if any(str(folder) in word for word in process.info["cmdline"] or ()):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
