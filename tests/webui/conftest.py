"""Runs that a stand-in worker reports, under the real runner; a browser that stays."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext

from easytune import job, locks, paths
from easytune.config import TrainConfig
from easytune.job import Job, JobFolder
from easytune.services import dispatch, processes
from tests.conftest import new_visitor
from tests.patience import PATIENCE_S, eventually

WORKER = Path(__file__).with_name("stand_in_worker.py")
StartRun = Callable[..., JobFolder]


@pytest.fixture(scope="module")
def visitor(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that keeps the app's scripts from page to page."""
    context = new_visitor(browser)
    yield context
    context.close()


@pytest.fixture
def start_run() -> StartRun:
    """Start a run: `start_run(home, steps=5, pause=0.01, ending="finished", name="mine")`."""
    return _start_run


def _start_run(
    home: Path, steps: int = 5, pause: float = 0.01, ending: str = "finished", name: str = "mine"
) -> JobFolder:
    # The app would start a job it finds waiting; the home's lock keeps it away meanwhile.
    lock = locks.hold(home / dispatch.LOCK, patience_s=PATIENCE_S)
    assert lock is not None
    with lock:
        config = TrainConfig().changed(output__name=name)
        folder = job.create(paths.runs(home), Job(config=config))
        worker = [sys.executable, str(WORKER), str(steps), str(pause), ending, str(folder.path)]
        subprocess.Popen(
            [sys.executable, "-m", "easytune.services.runner", str(folder.path), "--", *worker],
            stdin=subprocess.DEVNULL,
            **processes.detached(),
        )
        eventually(folder.process.exists, lambda: "the runner did not start")
    return folder
