"""Deployments under the real supervisor; only the server is a stand-in."""

import json
import os
import signal
import socket
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from easytune import paths, records
from easytune.deployment import DeployConfig
from easytune.deployment_errors import (
    AddressUnusable,
    DeploymentActive,
    DeploymentMissing,
    EngineUnfit,
    KeyNeeded,
    ModelTooLarge,
    PortTaken,
)
from easytune.deployment_files import DeploymentFolder
from easytune.errors import EasyTuneError
from easytune.found_model import FoundModel
from easytune.services import deployment_commands, memory, ports, processes
from easytune.services.deployments import DeploymentStory
from easytune.serving import supervisor
from tests.conftest import end_processes_of, free_port
from tests.patience import eventually
from tests.services.deployed import Stage


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One home for all; every deployment has a folder and a port of its own."""
    made = Stage(tmp_path_factory.mktemp("deployments") / "home")
    yield made
    end_processes_of(made.home)


def _supervisor(stage: Stage, deployment: str) -> int:
    process = records.read(stage.deployments.folder(deployment).process) or {}
    return int(process["runner"]["pid"])


def _health(story: DeploymentStory) -> dict[str, Any]:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{story.url.removesuffix('/v1')}/health", timeout=10) as reply:
        return json.loads(reply.read())


def test_the_names_of_files_are_those_of_a_deployments_folder() -> None:
    folder = DeploymentFolder(Path("/x"))

    ours = (
        supervisor.LOCK, supervisor.STOP, supervisor.LOG, supervisor.LAUNCH, supervisor.PROCESS,
        supervisor.STATUS, supervisor.EXIT, supervisor.FAILURE, supervisor.METRICS,
    )  # fmt: skip
    theirs = (
        folder.lock, folder.stop, folder.log, folder.launch, folder.process, folder.status,
        folder.exit, folder.failure, folder.metrics,
    )  # fmt: skip
    assert ours == tuple(path.name for path in theirs)


def test_a_killed_server_is_started_again_and_says_why(stage: Stage) -> None:
    deployment = stage.begin()
    first = stage.until(deployment, "healthy").standing
    assert (first.starts, first.failure) == (1, None)
    assert first.pid is not None

    os.kill(first.pid, signal.SIGKILL)
    eventually(lambda: stage.deployments.story(deployment).standing.starts == 2)
    again = stage.until(deployment, "healthy").standing

    assert again.pid not in (None, first.pid)
    assert again.failure == ("server_killed", {"signal": 9})
    stage.deployments.stop(deployment)
    assert stage.until(deployment, "stopped").standing.failure is None


def test_a_server_that_always_crashes_is_given_up(stage: Stage) -> None:
    deployment = stage.begin("crash", limits__restarts=2)

    ended = stage.until(deployment, "crashed").standing

    assert (ended.starts, ended.failure) == (3, ("server_broken", {"how": "exit code 1"}))
    assert stage.deployments.log(deployment).count("a server begins") == 3


def test_a_server_that_refuses_is_not_started_again(stage: Stage) -> None:
    ended = stage.until(stage.begin("refuse"), "crashed").standing

    assert (ended.starts, ended.failure) == (1, ("model_missing", {"model": "gone"}))


def test_a_killed_supervisor_takes_its_server_along_and_is_told(stage: Stage) -> None:
    deployment = stage.begin("stubborn")
    story = stage.until(deployment, "healthy")
    folder = stage.deployments.folder(deployment)
    grandchild = eventually(lambda: (folder.path / "grandchild").read_text())
    assert story.standing.pid is not None

    os.kill(_supervisor(stage, deployment), signal.SIGKILL)
    lost = stage.until(deployment, "lost").standing
    eventually(lambda: not psutil.pid_exists(story.standing.pid or 0))

    assert lost.failure == ("deployment_cut_off", {})
    # A grandchild that left the session is found by its mark when the app comes back.
    stage.reopened().recover()
    assert processes.identify(int(grandchild)) is None
    assert stage.deployments.story(deployment).standing.state == "lost"


def test_stopping_ends_all_that_belongs_to_a_server(stage: Stage) -> None:
    deployment = stage.begin("stubborn")
    story = stage.until(deployment, "healthy")
    folder = stage.deployments.folder(deployment)
    grandchild = int(eventually(lambda: (folder.path / "grandchild").read_text()))
    with pytest.raises(DeploymentActive):
        stage.deployments.delete(deployment)

    stage.deployments.stop(deployment)
    assert stage.deployments.story(deployment).standing.state in ("stopping", "stopped")
    stage.until(deployment, "stopped")

    assert processes.identify(grandchild) is None
    assert ports.is_free("127.0.0.1", story.order.port)
    stage.deployments.delete(deployment)
    assert not folder.path.exists()
    with pytest.raises(DeploymentMissing):
        stage.deployments.story(deployment)


def test_another_app_finds_a_deployment_and_ends_it(stage: Stage) -> None:
    deployment = stage.begin(deploy__name="house")
    story = stage.until(deployment, "healthy")

    other = stage.reopened()
    (found,) = [one for one in other.list() if one.id == deployment]

    assert found.standing.state == "healthy"
    assert (found.order.name, found.url) == ("house", story.url)
    other.stop(deployment)
    stage.until(deployment, "stopped")


def test_a_deployment_starts_again_where_it_was(stage: Stage) -> None:
    deployment = stage.begin()
    before = stage.until(deployment, "healthy")

    stage.deployments.restart(deployment)
    after = stage.until(deployment, "healthy")

    assert after.url == before.url
    assert after.standing.pid != before.standing.pid
    stage.deployments.stop(deployment)


def test_one_that_shall_come_with_the_app_comes_again_after_being_cut_off(stage: Stage) -> None:
    deployment = stage.begin(server__restart_with_app=True)
    stage.until(deployment, "healthy")
    os.kill(_supervisor(stage, deployment), signal.SIGKILL)
    stage.until(deployment, "lost")

    stage.reopened().recover()

    stage.until(deployment, "healthy")
    stage.deployments.stop(deployment)
    stage.until(deployment, "stopped")
    stage.reopened().recover()
    assert stage.deployments.story(deployment).standing.state == "stopped", "nobody asked for it"


def test_a_reboot_is_told_from_a_kill(stage: Stage) -> None:
    deployment = stage.begin()
    stage.until(deployment, "healthy")
    os.kill(_supervisor(stage, deployment), signal.SIGKILL)
    stage.until(deployment, "lost")
    folder = stage.deployments.folder(deployment)
    process = records.read(folder.process) or {}

    records.write(folder.process, process | {"boot_id": "another"})

    told = stage.deployments.story(deployment).standing
    assert (told.state, told.failure) == ("lost", ("deployment_rebooted", {}))


def test_an_unhealthy_server_is_shown_and_after_a_while_replaced(stage: Stage) -> None:
    stage.wishes = {"unhealthy_s": 0.5}
    deployment = stage.begin()
    stage.wishes = {}
    first = stage.until(deployment, "healthy").standing
    sick = stage.deployments.folder(deployment).path / "sick"

    sick.touch()
    ill = stage.until(deployment, "unhealthy").standing
    eventually(lambda: stage.deployments.story(deployment).standing.starts == 2)
    sick.unlink()
    well = stage.until(deployment, "healthy").standing

    assert "503" in ill.problem
    assert well.pid != first.pid
    stage.deployments.stop(deployment)


def test_another_program_on_the_port_is_not_taken_for_the_server(stage: Stage) -> None:
    deployment = stage.begin()
    story = stage.until(deployment, "healthy")
    stage.deployments.stop(deployment)
    stage.until(deployment, "stopped")
    other = stage.begin("slow", server__port=story.order.port)
    folder = stage.deployments.folder(other)
    asked = threading.Thread(target=_answer_for_another, args=(story.order.port, 2.0), daemon=True)

    asked.start()
    eventually(lambda: "another program" in str(records.read(folder.status)))

    assert stage.deployments.story(other).standing.state == "starting"
    stage.deployments.stop(other)
    stage.until(other, "stopped")


def _answer_for_another(port: int, seconds: float) -> None:
    from http.server import HTTPServer

    from tests.services.stand_in_server import Answers

    with HTTPServer(("127.0.0.1", port), Answers) as server:
        server.timeout = seconds
        server.handle_request()


def test_a_taken_port_is_refused_with_the_next_free_one(stage: Stage) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)), pytest.raises(PortTaken) as taken:
        stage.begin(server__port=port)

    assert taken.value.free > port
    with pytest.raises(AddressUnusable):
        stage.begin(server__host="203.0.113.7", server__key=True)


def test_two_that_want_the_same_port_at_once_do_not_both_get_it(stage: Stage) -> None:
    port, got, refused = free_port(), [], []

    def ask() -> None:
        try:
            got.append(stage.reopened().create(DeployConfig().changed(server__port=port))[0])
        except PortTaken as problem:
            refused.append(problem)

    stage.behaviour = "slow"
    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()

    assert (len(got), len(refused)) == (1, 2)
    stage.deployments.stop(got[0])
    stage.until(got[0], "stopped")


def test_a_key_is_shown_once_and_kept_as_a_hash(stage: Stage) -> None:
    stage.behaviour = "well"
    deployment, secret = stage.deployments.create(DeployConfig().changed(server__key=True))
    story = stage.until(deployment, "healthy")

    assert _health(story)["secret"] == secret, "it gets there through the supervisor's input"
    assert story.hints == (f"et-…{secret[-4:]}",)
    files = [
        path for path in stage.deployments.folder(deployment).path.rglob("*") if path.is_file()
    ]
    assert [path.name for path in files if secret in path.read_text("utf-8")] == []
    stage.deployments.stop(deployment)
    stage.until(deployment, "stopped")
    assert stage.deployments.restart(deployment) == "", "ours goes on taking the same key"
    stage.deployments.stop(deployment)


def test_what_cannot_be_served_is_refused_before_anything_starts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[tuple[type[EasyTuneError], dict[str, Any]]] = [
        (KeyNeeded, {"server__host": "0.0.0.0"}),
        (EngineUnfit, {"deploy__engine": "transformers", "server__key": True}),
    ]
    for error, options in refused:
        with pytest.raises(error):
            stage.begin(**options)
    monkeypatch.setattr(memory, "smallest_gb", lambda *_: 1e6)
    with pytest.raises(ModelTooLarge):
        stage.begin()
    assert {path.name for path in paths.deployments(stage.home).glob("[!.]*")} == {
        story.id for story in stage.deployments.list()
    }


def test_a_log_is_kept_within_bounds(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    with log.open("a") as writer:
        writer.write("".join(f"line {number}\n" for number in range(1000)))
        writer.flush()
        supervisor.trim(log, longest=5000, kept=100)
        writer.write("after\n")

    lines = log.read_text().splitlines()
    assert (lines[0].startswith("line 98"), lines[-2:]) == (True, ["line 999", "after"])


def test_clients_are_not_told_where_a_model_lies() -> None:
    folder = "/home/me/exports/1/out/model"
    source = FoundModel(
        id=folder, title="voice · adapter", kind="adapter", folder=folder, base="demo",
        base_folder="/demo", is_adapter=True, fingerprint="0",
    )  # fmt: skip
    assert deployment_commands.name_for_clients("easytune", "", source) == "voice-adapter"
    assert deployment_commands.name_for_clients("easytune", "mine", source) == "mine"
