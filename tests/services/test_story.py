"""A run's story follows from its files alone, and never says more than they prove."""

import os
import signal
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from easytune import checkpoints, locks, records
from easytune.i18n import t
from easytune.job import JobFolder
from easytune.services import processes
from easytune.services.story import Story
from tests.patience import eventually
from tests.services.lab import Lab, write_events

T0 = datetime(2026, 1, 1, tzinfo=UTC)


def step(number: int, seconds: float, loss: float | str = 1.0) -> dict[str, object]:
    at = (T0 + timedelta(seconds=seconds)).isoformat()
    facts = {"epoch": 0.1, "loss": loss, "learning_rate": 1e-4}
    return {"kind": "step", "at": at, "step": number, **facts}


def started(total: int, first: int = 0) -> dict[str, object]:
    facts = {"pid": 1, "total_steps": total, "first_step": first, "device": "cpu"}
    return {"kind": "started", "at": T0.isoformat(), **facts}


def told(lab: Lab, exit_record: dict[str, object] | None, *lines: dict[str, object]) -> Story:
    """Return the story of a run with these events, whose runner left this record."""
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    write_process(folder, pid=2**22 - 1)
    write_events(folder, *lines)
    if exit_record is not None:
        records.write(folder.exit, {"returncode": None, "signal": None, **exit_record})
    return lab.runs.story(folder.id)


def write_process(folder: JobFolder, pid: int, *, start: str = "1", boot: str = "") -> None:
    identity = {"pid": pid, "started": start}
    records.write(
        folder.process,
        {
            "boot_id": boot or processes.boot_id(),
            "runner": identity,
            "worker": identity,
            "at": T0.isoformat(),
        },
    )


@pytest.mark.parametrize(
    ("behaviour", "state", "cause", "says"),
    [
        ("crash", "crashed", "unexpected", "ValueError: the moon is full (exit code 1)"),
        ("segfault", "crashed", "unexpected", "signal 11"),
        ("say_nothing", "crashed", "unexpected", "exit code 0"),
        ("finish_badly", "finished", None, ""),
    ],
)
def test_every_end_gets_its_true_name(
    lab: Lab, behaviour: str, state: str, cause: str | None, says: str
) -> None:
    run_id = lab.start(behaviour)
    eventually(lab.runs.folder(run_id).exit.exists)
    story = lab.runs.story(run_id)
    assert story.state == state
    assert (story.failure.code if story.failure else None) == cause
    if story.failure:
        assert says in t(f"error.{cause}", **story.failure.values)
    assert [summary.state for summary in lab.runs.list()] == [state]


def test_work_that_was_done_counts_but_a_bad_end_is_told(lab: Lab) -> None:
    story = told(lab, {"returncode": 5}, started(2), {"kind": "finished", "step": 2})
    assert story.state == "finished"
    assert [(n.code, n.values) for n in story.notices] == [("unclean_end", {"how": "exit code 5"})]


def test_a_run_has_ended_when_it_says_so_however_long_its_process_takes_to_go(lab: Lab) -> None:
    done = {"kind": "finished", "at": (T0 + timedelta(seconds=9)).isoformat(), "step": 1}
    late = (T0 + timedelta(seconds=15)).isoformat()
    story = told(lab, {"returncode": 0, "ended": late}, started(1), step(1, 5), done)
    assert story.ended_at == T0 + timedelta(seconds=9)


def test_a_killed_worker_is_reported_as_killed_from_outside(lab: Lab) -> None:
    run_id = lab.running("train")
    os.kill(lab.pids(run_id)[1], signal.SIGKILL)
    story = lab.wait(run_id, "crashed")
    assert story.failure
    assert (story.failure.code, story.failure.values) == ("killed_from_outside", {"signal": 9})
    assert story.ended_at


def test_a_worker_killed_for_memory_is_told_from_one_killed_by_a_person(lab: Lab) -> None:
    for_memory = told(lab, {"signal": 9, "oom_kills": 1}, started(9))
    by_person = told(lab, {"signal": 9, "oom_kills": 0}, started(9))
    assert for_memory.failure
    assert by_person.failure
    assert for_memory.failure.code == "killed_by_system"
    assert by_person.failure.code == "killed_from_outside"


def test_memory_running_out_while_stopping_is_not_taken_for_a_stop(lab: Lab) -> None:
    story = told(lab, {"signal": 9, "oom_kills": 1, "asked": "stop", "stage": "asked"}, started(9))
    assert story.failure
    assert story.failure.code == "killed_by_system"


def test_a_helper_killed_for_memory_explains_a_failure_nobody_foresaw(lab: Lab) -> None:
    failed = {"kind": "failed", "code": "unexpected", "values": {"reason": "worker died"}}
    story = told(lab, {"returncode": 1, "oom_kills": 1}, started(9), failed)
    assert story.failure
    assert (story.state, story.failure.code) == ("failed", "killed_by_system")


def test_a_named_failure_is_shown_as_the_job_named_it(lab: Lab) -> None:
    failed = {"kind": "failed", "code": "diverged", "values": {"step": 7}, "detail": "trace"}
    story = told(lab, {"returncode": 1}, started(9), failed)
    assert story.failure
    assert (story.state, story.failure.code, story.failure.detail) == (
        "failed",
        "diverged",
        "trace",
    )


def test_a_restarted_machine_is_given_as_the_reason(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    write_process(folder, os.getpid(), boot="another-boot")
    story = lab.runs.story(folder.id)
    assert story.failure
    assert (story.state, story.failure.code) == ("lost", "machine_restarted")


def test_another_process_with_the_same_pid_does_not_keep_a_run_alive(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    write_process(folder, os.getpid(), start="12345")
    assert lab.runs.story(folder.id).state == "lost"
    with locks.hold(folder.lock) or pytest.fail("the lock is free"):
        assert lab.runs.story(folder.id).state == "lost"


def test_a_run_is_running_while_the_process_on_record_holds_the_lock(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    me = processes.identify(os.getpid())
    assert me
    with locks.hold(folder.lock) or pytest.fail("the lock is free"):
        assert lab.runs.story(folder.id).state == "starting"
        write_process(folder, me.pid, start=me.started)
        write_events(folder, started(4))
        assert lab.runs.story(folder.id).state == "running"
        folder.stop.touch()
        story = lab.runs.story(folder.id)
        assert (story.state, story.stop_stage) == ("stopping", "asked")


def test_damaged_events_are_passed_over_and_no_nan_reaches_the_curves(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    write_process(folder, 1)
    write_events(folder, started(9), step(1, 1), step(2, 2))
    with folder.events.open("ab") as file:
        file.write(b'\x00\xff{"kind": "step"\n[]\n{"kind": "tomorrow", "at": 1}\n')
        file.write(str(step(3, 3, float("nan"))).replace("'", '"').replace("nan", "NaN").encode())
        file.write(b'\n{"kind": "step", "step": 4, "ep')
    story = lab.runs.story(folder.id)
    assert story.losses == [(1, 1.0), (2, 1.0)]
    with folder.events.open("ab") as file:
        file.write(b'och": 1, "loss": 0.5, "learning_rate": 0.1}\n')
    assert lab.runs.story(folder.id).losses[-1] == (4, 0.5)


def test_readers_at_the_same_time_see_every_event_once(lab: Lab) -> None:
    run_id = lab.start("train")
    ends: list[Story] = []

    def follow() -> None:
        while not (story := lab.runs.story(run_id)).has_ended:
            assert story.losses == sorted(story.losses)
        ends.append(story)

    threads = [threading.Thread(target=follow) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [[number for number, _ in end.losses] for end in ends] == [list(range(1, 41))] * 4


def test_time_left_needs_two_steps_and_follows_the_pace(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    me = processes.identify(os.getpid())
    assert me
    write_process(folder, me.pid, start=me.started)
    with locks.hold(folder.lock) or pytest.fail("the lock is free"):
        write_events(folder, started(100, first=90), step(91, 50))
        assert lab.runs.story(folder.id).seconds_left is None
        write_events(folder, step(92, 53), step(93, 56))
        assert lab.runs.story(folder.id).seconds_left == pytest.approx(21)


def test_the_clock_jumping_back_gives_no_time_left_rather_than_a_wrong_one(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    me = processes.identify(os.getpid())
    assert me
    write_process(folder, me.pid, start=me.started)
    with locks.hold(folder.lock) or pytest.fail("the lock is free"):
        write_events(folder, started(9), step(1, 100), step(2, 40))
        assert lab.runs.story(folder.id).seconds_left is None


def test_a_resumed_run_shows_the_earlier_curve_up_to_its_checkpoint(lab: Lab) -> None:
    def evaluated(number: int, loss: float) -> dict[str, object]:
        return {"kind": "evaluated", "step": number, "epoch": 1, "loss": loss}

    first = told(lab, None, started(9), step(1, 1), evaluated(1, 0.2), step(2, 2), step(3, 3, 9.0))
    folder = lab.runs.folder(first.run_id)
    lines = folder.job.read_text().replace("resume_from: null", "resume_from: /x/checkpoint-2")
    second = lab.runs.folder(lab.runs.submit(lab.config))
    second.job.write_text(lines.replace("continues: null", f"continues: {first.run_id}"))
    lab.runs = type(lab.runs)(lab.home)
    assert lab.runs.story(second.id).losses == [(1, 1.0), (2, 1.0)]
    write_events(second, started(9, first=2), step(3, 1, 0.5), evaluated(3, 0.3))
    story = lab.runs.story(second.id)
    assert story.losses == [(1, 1.0), (2, 1.0), (3, 0.5)]
    assert (story.first_step, story.best) == (2, (1, 0.2))
    lab.runs.delete(first.run_id)
    assert lab.runs.story(second.id).losses == [(3, 0.5)]


def forgot(number: int, score: float | str, **more: object) -> dict[str, object]:
    return {"kind": "forgetting", "step": number, "score": score, "low": 0, "high": 1, **more}


def test_a_run_that_returns_to_its_best_step_ends_with_what_that_step_has_forgotten(
    lab: Lab,
) -> None:
    lines = [forgot(0, 0), forgot(1, 0.1), forgot(2, 0.4), forgot(3, "NaN")]
    story = told(lab, None, started(9), *lines, forgot(1, 0.12, sequences=64))
    assert [(one.step, one.score) for one in story.forgetting] == [(0, 0), (1, 0.12), (2, 0.4)]
    assert story.final_forgetting
    assert (story.final_forgetting.step, story.final_forgetting.sequences) == (1, 64)


def test_a_resumed_run_goes_on_with_the_forgetting_of_the_earlier_one(lab: Lab) -> None:
    first = told(lab, None, started(9), forgot(0, 0.0), forgot(2, 0.2), forgot(3, 0.9))
    second = resumed(lab, first.run_id)
    story = lab.runs.story(second.id)
    assert story.final_forgetting
    assert (story.final_forgetting.step, len(story.forgetting)) == (2, 2)
    write_events(second, started(9, first=2), forgot(2, 0.21), forgot(4, 0.5))
    story = lab.runs.story(second.id)
    assert [(one.step, one.score) for one in story.forgetting] == [(0, 0), (2, 0.21), (4, 0.5)]
    assert story.final_forgetting == story.forgetting[-1]


def test_checkpoints_of_the_earlier_run_can_be_talked_to_up_to_where_it_was_left(lab: Lab) -> None:
    first = told(lab, None, started(9))
    second = resumed(lab, first.run_id)
    for folder, number in ((lab.runs.folder(first.run_id), 1), (lab.runs.folder(first.run_id), 3)):
        sealed(folder, number)
    sealed(second, 4)
    damaged = sealed(second, 5) / "adapter_model.safetensors"
    damaged.write_bytes(b"cut")
    found = lab.runs.models_by_step(second.id)
    assert found == {1: f"{first.run_id}@1", 4: f"{second.id}@4"}


def resumed(lab: Lab, first: str) -> JobFolder:
    """Return a run that goes on from step 2 of an earlier one."""
    second = lab.runs.folder(lab.runs.submit(lab.config))
    lines = second.job.read_text().replace("resume_from: null", "resume_from: /x/checkpoint-2")
    second.job.write_text(lines.replace("continues: null", f"continues: {first}"))
    lab.runs = type(lab.runs)(lab.home)
    return second


def sealed(run: JobFolder, number: int) -> Path:
    folder = run.checkpoints / f"checkpoint-{number}"
    folder.mkdir(parents=True)
    names = ("optimizer.pt", "scheduler.pt", "trainer_state.json", "rng_state.pth")
    for name in (*names, "adapter_model.safetensors"):
        (folder / name).write_bytes(b"weights")
    checkpoints.seal(folder, number)
    return folder


def test_a_run_said_to_continue_itself_is_still_told(lab: Lab) -> None:
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    lines = folder.job.read_text().replace("resume_from: null", "resume_from: /x/checkpoint-2")
    folder.job.write_text(lines.replace("continues: null", f"continues: {folder.id}"))
    lab.runs = type(lab.runs)(lab.home)
    assert lab.runs.story(folder.id).state == "queued"


def test_the_version_changes_exactly_when_the_story_does(lab: Lab, tmp_path: Path) -> None:
    run_id = lab.running("sleeper")
    eventually(lambda: lab.runs.version(run_id) == lab.runs.version(run_id))
    before = lab.runs.version(run_id)
    write_events(lab.runs.folder(run_id), step(1, 1))
    assert lab.runs.version(run_id) != before
    before = lab.runs.version(run_id)
    # Nothing in the folder tells that a runner was killed, except the lock.
    os.kill(lab.pids(run_id)[0], signal.SIGKILL)
    eventually(lambda: lab.runs.version(run_id) != before)
    assert lab.runs.story(run_id).state == "lost"
