"""A runner sees its job to a true end and leaves no process behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from easytune import records
from easytune.job import JobFolder
from easytune.services import processes, runner
from tests.patience import PATIENCE_S, eventually
from tests.services.lab import STAND_IN, Lab, is_gone


def run_runner(folder: JobFolder, behaviour: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "easytune.services.runner", str(folder.path)]
    worker = [sys.executable, str(STAND_IN), behaviour, str(folder.path)]
    return subprocess.run(
        [*command, "--", *worker], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )


def test_the_runner_names_its_files_as_everybody_else_does() -> None:
    folder = JobFolder(Path("x"))
    files = (folder.lock, folder.revoked, folder.stop, folder.log, folder.process, folder.stopping)
    assert [file.name for file in (*files, folder.exit)] == [
        runner.LOCK, runner.REVOKED, runner.STOP, runner.LOG, runner.PROCESS, runner.STOPPING,
        runner.EXIT,
    ]  # fmt: skip


def test_the_runner_needs_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; import easytune.services.runner;"
        "print([m for m in ('pydantic', 'yaml', 'torch', 'psutil') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    assert done.stdout.strip() == "[]"


def test_a_finished_job_leaves_its_exit_and_its_log(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    run_runner(folder, "train")
    exit_record = records.read(folder.exit) or {}
    assert (exit_record["returncode"], exit_record["signal"]) == (0, None)
    assert lab.runs.story(folder.id).state == "finished"


def test_a_second_runner_on_the_same_folder_exits_at_once(lab: Lab) -> None:
    run_id = lab.running("sleeper")
    before = lab.runs.folder(run_id).process.read_text()
    # The first one would go on for ten minutes.
    run_runner(lab.runs.folder(run_id), "crash")
    assert lab.runs.folder(run_id).process.read_text() == before
    assert lab.runs.story(run_id).state == "running"


def test_a_runner_that_comes_late_does_not_repeat_a_finished_job(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    run_runner(folder, "train")
    reported = folder.events.read_bytes()
    run_runner(folder, "train")
    assert folder.events.read_bytes() == reported


def test_a_revoked_job_does_not_begin(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    folder.revoked.touch()
    run_runner(folder, "train")
    assert not folder.process.exists()
    assert not folder.events.exists()


def test_a_worker_that_cannot_be_started_is_explained(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    command = [sys.executable, "-m", "easytune.services.runner", str(folder.path)]
    subprocess.run([*command, "--", "/no/such/program"], check=True)
    story = lab.runs.story(folder.id)
    assert story.state == "crashed"
    assert story.failure
    assert "/no/such/program" in story.failure.values["reason"]


def test_a_killed_runner_takes_its_worker_along_and_the_run_is_lost(lab: Lab) -> None:
    run_id = lab.running("deaf")
    watcher, worker = lab.pids(run_id)
    os.kill(watcher, signal.SIGKILL)
    story = lab.wait(run_id, "lost")
    assert story.failure
    assert story.failure.code == "interrupted"
    eventually(lambda: is_gone(worker))


def test_a_runner_told_to_end_lets_the_job_save_first(lab: Lab) -> None:
    run_id = lab.running("train")
    os.kill(lab.pids(run_id)[0], signal.SIGTERM)
    story = lab.wait(run_id, "stopped", "crashed", "lost")
    assert story.state == "stopped"
    assert 0 < story.step < story.total_steps


def test_a_grandchild_that_cut_every_tie_does_not_outlive_its_job(lab: Lab) -> None:
    run_id = lab.start("leave_daemon")
    lab.wait(run_id, "finished")
    eventually(lab.runs.folder(run_id).exit.exists)
    grandchild = int((lab.runs.folder(run_id).path / "grandchild").read_text())
    assert is_gone(grandchild)


def test_what_a_lost_job_left_running_is_ended_before_the_next_job(lab: Lab) -> None:
    run_id = lab.start("hang_with_daemon")
    path = lab.runs.folder(run_id).path / "grandchild"
    eventually(path.exists)
    grandchild = int(eventually(path.read_text))
    os.kill(lab.pids(run_id)[0], signal.SIGKILL)
    eventually(lambda: is_gone(lab.pids(run_id)[1]))
    assert not is_gone(grandchild)
    lab.start("train")
    assert is_gone(grandchild)


def test_a_job_that_heeds_nothing_is_killed_in_the_end_and_every_stage_is_told(lab: Lab) -> None:
    run_id = lab.running("deaf")
    folder = lab.runs.folder(run_id)
    records.write(folder.stop, {"mode": "keep", "grace_s": 0.6, "kill_after_s": 0.6})
    seen: list[str | None] = []

    def ended() -> bool:
        story = lab.runs.story(run_id)
        if story.state == "stopping" and story.stop_stage not in seen:
            seen.append(story.stop_stage)
        return story.has_ended

    eventually(ended)
    assert seen[:2] == ["asked", "terminating"]
    story = lab.runs.story(run_id)
    assert (story.state, story.stop_stage) == ("stopped", "killing")
    assert "stopped_by_force" in [notice.code for notice in story.notices]
    assert is_gone(lab.pids(run_id)[1])


def test_where_the_kernel_does_not_end_orphans_a_guard_does(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    code = f"""
import subprocess, sys, time, pathlib
from easytune.services import processes
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
guard = processes.pipe_guard(child.pid)
pathlib.Path({str(ready)!r}).write_text(f"{{child.pid}} {{guard.pid}}")
time.sleep(600)
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    child, guard = map(int, eventually(lambda: ready.exists() and ready.read_text()).split())
    assert not is_gone(child)
    parent.kill()
    parent.wait()
    eventually(lambda: is_gone(child) and is_gone(guard))


def test_a_pid_that_is_used_again_is_another_process() -> None:
    identity = processes.identify(os.getpid())
    assert identity
    assert processes.is_alive(identity)
    assert not processes.is_alive(processes.Identity(identity.pid, "1"))
