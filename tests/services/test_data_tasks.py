import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from easytune import records
from easytune.data.tasks import FactsTask, TaskFolder, folder_of
from easytune.dataset_errors import TaskActive, TaskUnknown
from easytune.services import data_tasks
from easytune.services.data_tasks import DataTasks
from tests.patience import PATIENCE_S, eventually
from tests.services.lab import is_gone

STAND_IN = Path(__file__).parent / "stand_in_task.py"
TASK = FactsTask(reference="dataset:any@1")


def _tasks(home: Path, how: str = "obedient") -> DataTasks:
    return DataTasks(home, [sys.executable, str(STAND_IN), how])


def _running(tasks: DataTasks, home: Path) -> tuple[str, TaskFolder]:
    """Start a task and return it once its work has begun."""
    task_id = tasks.start(TASK)
    folder = TaskFolder(folder_of(home) / task_id)
    eventually(lambda: folder.progress.exists() or (folder.path / "child").exists())
    return task_id, folder


def _pid(folder: TaskFolder) -> int:
    return (records.read(folder.process) or {})["pid"]


def test_a_task_tells_how_far_it_is_and_what_came_of_it(home: Path) -> None:
    tasks = _tasks(home)
    task_id, folder = _running(tasks, home)

    left = eventually(lambda: tasks.get(task_id).seconds_left)
    story = tasks.get(task_id)
    (folder.path / "go").touch()
    ended = tasks.wait(task_id, timeout=PATIENCE_S)

    assert (story.state, story.phase, story.total) == ("running", "read", 1000)
    assert 10 < left < 60
    assert 0 < story.seconds < 20
    assert ended.state == "finished"
    assert ended.result
    assert ended.result["done"] >= story.done > 0
    assert [each.id for each in DataTasks(home).list()] == [task_id]


def test_a_third_task_waits_until_one_of_two_has_ended(home: Path) -> None:
    tasks = _tasks(home)
    first, folder = _running(tasks, home)
    second, third = tasks.start(TASK), tasks.start(TASK)

    waiting = [tasks.get(each).state for each in (first, second, third)]
    (folder.path / "go").touch()
    tasks.wait(first, timeout=PATIENCE_S)

    assert waiting == ["running", "running", "waiting"]
    assert eventually(lambda: tasks.get(third).state == "running")


def test_a_waiting_task_that_is_cancelled_never_begins(home: Path) -> None:
    tasks = _tasks(home)
    for _ in range(2):
        _running(tasks, home)
    third = tasks.start(TASK)

    tasks.cancel(third)

    assert tasks.get(third).state == "cancelled"
    assert not (folder_of(home) / third / "process.json").exists()


def test_a_cancelled_task_ends_by_itself(home: Path) -> None:
    tasks = _tasks(home)
    task_id, folder = _running(tasks, home)

    tasks.cancel(task_id)
    story = tasks.wait(task_id, timeout=PATIENCE_S)

    assert story.state == "cancelled"
    assert story.error
    assert story.error.code == "task_cancelled"
    assert eventually(lambda: is_gone(_pid(folder)))


def test_a_deaf_task_is_killed_with_all_it_started(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data_tasks, "CANCEL_S", 0.5)
    tasks = _tasks(home, "deaf")
    task_id, folder = _running(tasks, home)
    child = int((folder.path / "child").read_text())

    tasks.cancel(task_id)
    asked = tasks.get(task_id)
    story = tasks.wait(task_id, timeout=PATIENCE_S)

    assert asked.cancelling
    assert story.state == "cancelled"
    assert eventually(lambda: is_gone(_pid(folder)))
    assert eventually(lambda: is_gone(child))


def test_a_killed_worker_is_lost_and_its_children_are_ended(home: Path) -> None:
    tasks = _tasks(home, "deaf")
    task_id, folder = _running(tasks, home)
    child = int((folder.path / "child").read_text())

    os.kill(_pid(folder), signal.SIGKILL)
    story = tasks.wait(task_id, timeout=PATIENCE_S)

    assert story.state == "lost"
    assert eventually(lambda: is_gone(child))
    assert DataTasks(home).get(task_id).state == "lost"


def test_a_task_goes_on_when_the_process_that_started_it_is_killed(home: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tests.services.test_data_tasks import *\n"
        "from tests.services.test_data_tasks import _running, _tasks\n"
        "print(_running(_tasks(Path(sys.argv[1])), Path(sys.argv[1]))[0], flush=True)\n"
        "time.sleep(600)"
    )
    command = [sys.executable, "-c", code, str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout
        task_id = starter.stdout.readline().strip()
        starter.kill()

    story = DataTasks(home).get(task_id)
    (folder_of(home) / task_id / "go").touch()

    assert story.state == "running"
    assert DataTasks(home).wait(task_id, timeout=PATIENCE_S).state == "finished"


def test_an_error_nobody_foresaw_is_told_with_the_log(home: Path) -> None:
    tasks = _tasks(home, "failing")

    story = tasks.wait(tasks.start(TASK), timeout=PATIENCE_S)

    assert story.state == "failed"
    assert story.error
    assert story.error.code == "task_failed"
    assert "nobody thought of this" in story.error.values["reason"]
    assert "RuntimeError" in Path(story.error.values["log"]).read_text()


def test_only_a_task_that_has_ended_can_be_forgotten(home: Path) -> None:
    tasks = _tasks(home)
    task_id, folder = _running(tasks, home)

    with pytest.raises(TaskActive):
        tasks.forget(task_id)
    (folder.path / "go").touch()
    tasks.wait(task_id, timeout=PATIENCE_S)
    tasks.forget(task_id)

    assert tasks.list() == []
    assert list(folder_of(home).glob("*facts*")) == []
    with pytest.raises(TaskUnknown):
        tasks.get(task_id)
    with pytest.raises(TaskUnknown):
        tasks.get("../runs")


def test_old_tasks_are_forgotten(home: Path) -> None:
    tasks = _tasks(home)
    task_id, folder = _running(tasks, home)
    (folder.path / "go").touch()
    tasks.wait(task_id, timeout=PATIENCE_S)

    tasks.forget_old()
    kept = [story.id for story in tasks.list()]
    long_ago = time.time() - 8 * 24 * 3600
    os.utime(folder.path, (long_ago, long_ago))
    tasks.forget_old()

    assert kept == [task_id]
    assert tasks.list() == []
