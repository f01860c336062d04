"""Launch checks as the app knows them: real processes, and one real model."""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from easytune import job, paths, records
from easytune.config import TrainConfig
from easytune.errors import CheckActive, CheckMissing, FileMissing, MachineBusy
from easytune.job import CheckWishes, Job
from easytune.services import checks as checking
from easytune.services.checks import Checks, CheckStory
from easytune.services.dispatch import Dispatcher
from easytune.services.runs import Runs

STAND_IN = Path(__file__).parent / "stand_in.py"
DEMO = TrainConfig().changed(lora__rank=4, monitor__sample_tokens=0, schedule__max_steps=4)


def stand_in(home: Path, behaviour: str) -> list[str]:
    return [sys.executable, str(STAND_IN), behaviour, str(home)]


def ended(checks: Checks, check: str, seconds: float = 240) -> CheckStory:
    return _once(lambda: checks.story(check), lambda story: story.has_ended, seconds, 0.3)


def _once(
    look: Callable[[], Any], is_so: Callable[[Any], bool], seconds: float = 60, pause: float = 0.05
) -> Any:
    give_up = time.monotonic() + seconds
    while not is_so(found := look()):
        assert time.monotonic() < give_up, found
        time.sleep(pause)
    return found


def _processes_of(home: Path) -> list[int]:
    alive = psutil.process_iter(["cmdline", "status"])
    return [
        one.pid
        for one in alive
        if any(str(home) in word for word in one.info["cmdline"] or ())
        and one.info["status"] != psutil.STATUS_ZOMBIE
    ]


def test_a_real_check_tells_memory_and_time_and_leaves_nothing_running(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    checks = Checks(home)
    check = checks.start(DEMO)
    with pytest.raises(CheckActive):
        checks.start(DEMO)
    story = ended(checks, check)
    assert story.state == "finished", story.failure
    assert story.given_fits
    assert story.config == story.given
    assert story.total_steps == 4
    assert story.fits is not None
    assert 0.3 < (story.fits.peak_memory_gb or 0) < (story.fits.limit_gb or 0)
    assert (story.total_seconds or 0) > 4 * 0.5 * (story.fits.step_seconds or 0)
    _once(lambda: _processes_of(home), lambda found: not found)
    # Another app on the same home tells the same.
    assert Checks(home).story(check) == story
    assert Checks(home).latest() == check
    assert Runs(home).list() == []


def test_a_try_ends_with_its_runner_however_that_ends(home: Path) -> None:
    checks = Checks(home)
    check = checks.start(DEMO)
    _once(lambda: checks.story(check).phase, lambda phase: phase == "importing")
    _once(lambda: len(_processes_of(home)), lambda count: count >= 3)
    runner = records.read(paths.checks(home) / check / "process.json") or {}
    os.kill(runner["runner"]["pid"], signal.SIGKILL)
    _once(lambda: _processes_of(home), lambda found: not found)
    story = checks.story(check)
    assert story.state == "lost"
    # A check has no checkpoint to go on from, which is what the text for runs proposes.
    assert story.failure is not None
    assert story.failure.code == "check_interrupted"


def test_no_check_beside_a_run(home: Path) -> None:
    runs = Runs(home)
    run = runs.submit(DEMO)
    dispatcher = Dispatcher(home, stand_in(home, "sleeper"))
    assert dispatcher.tick() == run
    with pytest.raises(MachineBusy) as busy:
        Checks(home).start(DEMO)
    assert busy.value.run == run


def test_a_run_that_starts_ends_the_check(home: Path) -> None:
    checks = Checks(home, stand_in(home, "train"))
    check = checks.start(DEMO)
    _once(lambda: checks.story(check).state, lambda state: state == "running")
    run = Runs(home).submit(DEMO)
    dispatcher = Dispatcher(home, stand_in(home, "train"))
    assert _once(dispatcher.tick, bool) == run
    assert checks.story(check).state == "stopped"


def test_only_the_newest_checks_are_kept(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "KEPT", 2)
    order = Job(task="check", config=DEMO, wishes=CheckWishes())
    *_, old = [job.create(paths.checks(home), order) for _ in range(3)]
    checks = Checks(home, stand_in(home, "train"))
    newest = checks.start(DEMO)
    kept = sorted(path.name for path in paths.checks(home).iterdir())
    assert kept == [old.id, newest]
    checks.stop(newest)
    assert ended(checks, newest).state == "stopped"


def test_what_cannot_begin_is_refused_at_once(home: Path) -> None:
    checks = Checks(home)
    with pytest.raises(FileMissing):
        checks.start(DEMO.changed(data__datasets=(str(home / "none.jsonl"),)))
    assert checks.latest() is None
    with pytest.raises(CheckMissing):
        checks.story("../runs")


def test_a_check_that_nobody_took_up_is_not_said_to_run(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_BEGUN_WITHIN_S", 0.0)
    checks = Checks(home)
    monkeypatch.setattr(checks, "_launch", lambda folder: None)
    story = checks.story(checks.start(DEMO))
    assert story.state == "lost"
    assert story.failure is not None
    assert story.failure.code == "check_interrupted"
