"""The queue: one run at a time, first come, first served, whoever serves it."""

import os
import signal
import subprocess
import sys
import threading
import time

from easytune.services import folders, processes
from tests.patience import eventually
from tests.services.lab import STAND_IN, Lab, is_gone


def test_a_second_run_waits_its_turn_and_then_runs(lab: Lab) -> None:
    first, second = lab.runs.submit(lab.config), lab.runs.submit(lab.config)
    dispatcher = lab.dispatcher()
    dispatcher.start()
    try:
        lab.wait(first, "running")
        waiting = lab.runs.story(second)
        assert (waiting.state, waiting.queue_position) == ("queued", 1)
        done = lab.wait(second, "finished")
    finally:
        dispatcher.close()
    earlier = lab.runs.story(first)
    assert earlier.ended_at
    assert done.started_at
    assert earlier.ended_at <= done.started_at


def test_a_queued_run_that_is_stopped_never_begins(lab: Lab) -> None:
    running = lab.running("sleeper")
    queued, behind = lab.runs.submit(lab.config), lab.runs.submit(lab.config)
    assert lab.runs.story(behind).queue_position == 2
    lab.runs.stop(queued)
    assert lab.runs.story(queued).state == "stopped"
    assert lab.runs.story(behind).queue_position == 1
    lab.runs.stop(running, now=True)
    lab.wait(running, "stopped")
    assert eventually(lab.dispatcher().tick) == behind


def test_many_dispatchers_at_once_start_exactly_one_run(lab: Lab) -> None:
    for _ in range(3):
        lab.runs.submit(lab.config)
    dispatchers = [lab.dispatcher("sleeper") for _ in range(6)]
    started: list[str] = []

    def serve(index: int) -> None:
        for _ in range(20):
            started.extend(filter(None, [dispatchers[index].tick()]))

    threads = [threading.Thread(target=serve, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == 1
    assert [f.id for f in folders.all_folders(lab.home) if folders.runs_now(f)] == started


def test_dispatchers_of_several_processes_start_each_run_once(lab: Lab) -> None:
    submitted = [lab.runs.submit(lab.config) for _ in range(4)]
    servers = [serve_in_another_process(lab, "train") for _ in range(3)]
    try:
        for run_id in submitted:
            lab.wait(run_id, "finished")
    finally:
        for server in servers:
            server.kill()
            server.wait()
    for run_id in submitted:
        starts = lab.runs.folder(run_id).events.read_text().count('"started"')
        assert starts == 1


def test_a_run_outlives_the_web_process_and_can_be_stopped_by_the_next(lab: Lab) -> None:
    run_id = lab.runs.submit(lab.config)
    server = serve_in_another_process(lab, "train 0.3")
    lab.wait(run_id, "running")
    server.send_signal(signal.SIGKILL)
    server.wait()
    step = lab.runs.story(run_id).step
    eventually(lambda: lab.runs.story(run_id).step > step)
    later = type(lab.runs)(lab.home)
    assert later.latest() == run_id
    later.stop(run_id)
    assert lab.wait(run_id, "stopped").step > step


def test_a_dispatcher_that_dies_while_starting_a_run_neither_loses_nor_doubles_it(lab: Lab) -> None:
    for attempt in range(4):
        run_id = lab.runs.submit(lab.config)
        server = serve_in_another_process(lab, "train")
        # From before it has looked at the queue to after its runner has begun.
        time.sleep(0.25 + 0.12 * attempt)
        server.send_signal(signal.SIGKILL)
        server.wait()
        give_it_a_runner(lab, run_id)
        lab.wait(run_id, "finished")
        eventually(lab.runs.folder(run_id).exit.exists)
        assert lab.runs.folder(run_id).events.read_text().count('"started"') == 1


def test_foreign_folders_among_the_runs_disturb_nobody(lab: Lab) -> None:
    runs = lab.home / "runs"
    (runs / "notes").mkdir(parents=True)
    (runs / "20200101-odd").mkdir()
    (runs / "20200101-odd" / "job.yaml").write_text("task: [dance")
    (runs / "photo.jpg").write_bytes(b"\xff\xd8")
    run_id = lab.start("train")
    assert [summary.id for summary in lab.runs.list()] == [run_id]
    assert lab.runs.latest() == run_id
    lab.wait(run_id, "finished")


def test_the_runner_belongs_to_nobody_and_no_zombie_stays(lab: Lab) -> None:
    dispatcher = lab.dispatcher("train")
    run_id = lab.runs.submit(lab.config)
    dispatcher.tick()
    runner, _ = lab.pids(run_id)
    assert os.getsid(runner) == runner
    lab.wait(run_id, "finished")
    eventually(lambda: is_gone(runner))
    dispatcher.tick()
    assert processes.identify(runner) is None
    assert not os.path.exists(f"/proc/{runner}")


def give_it_a_runner(lab: Lab, run_id: str) -> None:
    process = lab.runs.folder(run_id).process
    eventually(lambda: lab.dispatcher().tick() == run_id or process.exists())


def serve_in_another_process(lab: Lab, behaviour: str) -> subprocess.Popen[bytes]:
    """Start what the web process is to the queue: a process with a dispatcher's thread."""
    name, _, pause = behaviour.partition(" ")
    code = f"""
import sys, time
from pathlib import Path
from easytune.services.dispatch import Dispatcher
worker = [sys.executable, {str(STAND_IN)!r}, {name!r}, {str(lab.home)!r}, {pause!r}]
Dispatcher(Path({str(lab.home)!r}), worker).start()
time.sleep(600)
"""
    return subprocess.Popen([sys.executable, "-c", code])
