"""The worker in waiting: there is at most one, and its job is like any other."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from easytune import records, settings
from easytune.config import TrainConfig
from easytune.services.dispatch import Dispatcher
from easytune.services.spare import Spare
from easytune.settings import JobsSection, Settings
from tests.patience import eventually
from tests.services.lab import Lab, is_gone

STAND_IN = Path(__file__).with_name("stand_in_spare.py")
MakeSpare = Callable[..., Spare]


@pytest.fixture
def spare(lab: Lab) -> Iterator[MakeSpare]:
    """Make what keeps a worker in waiting; it has one when this returns."""
    made: list[Spare] = []

    def make(behaviour: str = "train") -> Spare:
        command = [sys.executable, str(STAND_IN), behaviour, str(lab.home)]
        made.append(Spare(lab.home, command, begin_after_s=0))
        made[-1].keep()
        eventually(lambda: _worker_of(made[-1]))
        return made[-1]

    yield make
    for each in made:
        each.close()


def _worker_of(spare: Spare) -> int | None:
    children = psutil.Process(spare.pid).children() if spare.pid else []
    return children[0].pid if children else None


def _started(lab: Lab, spare: Spare) -> str:
    """Return a run that was given to what waits."""
    run_id = lab.runs.submit(lab.config)
    assert Dispatcher(lab.home, spare=spare).tick() == run_id
    return run_id


def test_a_job_of_the_worker_in_waiting_ends_like_any_and_another_waits(
    lab: Lab, spare: MakeSpare
) -> None:
    keeper = spare()
    runner, worker = keeper.pid, _worker_of(keeper)
    run_id = _started(lab, keeper)
    assert lab.pids(run_id) == (runner, worker)
    assert keeper.pid is None
    lab.wait(run_id, "finished")
    ended = eventually(lambda: records.read(lab.runs.folder(run_id).exit))
    assert ended["returncode"] == 0

    dispatcher = Dispatcher(lab.home, spare=keeper)
    eventually(lambda: (dispatcher.tick(), keeper.pid)[1])
    assert keeper.pid != runner


def test_a_job_of_the_worker_in_waiting_stops_when_asked(lab: Lab, spare: MakeSpare) -> None:
    run_id = _started(lab, spare("deaf"))
    lab.wait(run_id, "running")
    lab.runs.stop(run_id, now=True)
    records.write(lab.runs.folder(run_id).stop, {"mode": "now", "grace_s": 0, "kill_after_s": 0.3})
    assert lab.wait(run_id, "stopped").stop_stage == "killing"
    assert is_gone(lab.pids(run_id)[1])


def test_what_it_left_running_is_ended_when_its_runner_was_killed(
    lab: Lab, spare: MakeSpare
) -> None:
    run_id = _started(lab, spare("hang_with_daemon"))
    path = lab.runs.folder(run_id).path / "grandchild"
    grandchild = int(eventually(lambda: path.exists() and path.read_text()))
    runner, worker = lab.pids(run_id)
    os.kill(runner, signal.SIGKILL)
    eventually(lambda: is_gone(worker))
    assert not is_gone(grandchild)
    lab.dispatcher().tick()
    assert is_gone(grandchild)


@pytest.mark.parametrize("killed", ["runner", "worker"])
def test_a_job_begins_also_when_what_waited_was_killed(
    lab: Lab, spare: MakeSpare, killed: str
) -> None:
    keeper = spare()
    runner, worker = keeper.pid, _worker_of(keeper)
    assert runner
    assert worker
    os.kill(runner if killed == "runner" else worker, signal.SIGKILL)
    run_id = _started(lab, keeper)
    now = lab.pids(run_id)
    try:
        assert now[1] != worker
        assert "mark" not in (records.read(lab.runs.folder(run_id).process) or {})
        eventually(lambda: is_gone(worker))
    finally:
        os.kill(now[0], signal.SIGKILL)


def test_closing_the_app_leaves_nobody_waiting(lab: Lab, spare: MakeSpare) -> None:
    keeper = spare()
    pids = (keeper.pid, _worker_of(keeper))
    Dispatcher(lab.home, spare=keeper).close()
    for pid in pids:
        assert pid
        eventually(lambda pid=pid: is_gone(pid))
    keeper.keep()
    assert keeper.pid is None


def test_killing_the_app_leaves_nobody_waiting(lab: Lab) -> None:
    code = f"""
import sys, time
from pathlib import Path
from easytune.services.spare import Spare
spare = Spare(Path({str(lab.home)!r}), [sys.executable, {str(STAND_IN)!r}, "train", "x"], 0)
spare.keep()
print(spare.pid, flush=True)
time.sleep(600)
"""
    app = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert app.stdout
    runner = int(app.stdout.readline())
    worker = eventually(lambda: [c.pid for c in psutil.Process(runner).children()])[0]
    app.kill()
    app.communicate()
    eventually(lambda: is_gone(runner) and is_gone(worker))


def test_two_apps_on_one_home_have_one_between_them(lab: Lab, spare: MakeSpare) -> None:
    first = spare()
    second = Spare(lab.home, [sys.executable, str(STAND_IN), "train", "x"], begin_after_s=0)
    second.keep()
    eventually(lambda: second.pid is None)
    assert first.pid
    second.keep()
    assert second.pid is None
    second.close()


def test_nobody_waits_where_that_is_switched_off(lab: Lab, spare: MakeSpare) -> None:
    keeper = spare()
    runner = keeper.pid
    assert runner
    settings.save(lab.home, Settings(jobs=JobsSection(keep_worker_ready=False)))
    keeper.keep()
    assert keeper.pid is None
    assert is_gone(runner)


def test_the_engine_s_own_worker_in_waiting_trains(lab: Lab) -> None:
    keeper = Spare(lab.home, begin_after_s=0)
    keeper.keep()
    try:
        config = TrainConfig().changed(schedule__max_steps=1)
        run_id = lab.runs.submit(config)
        assert Dispatcher(lab.home, spare=keeper).tick() == run_id
        assert lab.wait(run_id, "finished", "failed", "crashed").state == "finished"
        assert "mark" in (records.read(lab.runs.folder(run_id).process) or {})
        assert "step 1/1" in lab.runs.folder(run_id).log.read_text()
    finally:
        keeper.close()
