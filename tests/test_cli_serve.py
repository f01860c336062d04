"""`easytune serve`, in this process; only the server is a stand-in."""

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from easytune.cli import main, serve
from tests.conftest import end_processes_of, free_port
from tests.patience import eventually
from tests.services.deployed import Stage


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """A home whose deployments start a stand-in, from the command line too."""
    made = Stage(tmp_path / "home")
    monkeypatch.setattr(serve, "Deployments", lambda *_: made.deployments)
    yield made
    end_processes_of(made.home)


def _easytune(stage: Stage, *words: str) -> int:
    return main(["serve", *words, "--home", str(stage.home), "--lang", "en"])


def test_a_server_in_the_background_is_listed_stopped_and_deleted(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()

    assert _easytune(stage, "demo", "--detach", "--port", str(port), "--key") == 0
    said = capsys.readouterr().out
    assert f"demo answers at http://127.0.0.1:{port}/v1" in said
    assert "Key: et-" in said
    assert _easytune(stage, "list", "--json") == 0
    (listed,) = json.loads(capsys.readouterr().out)
    assert (listed["state"], listed["config"]["server"]["port"]) == ("healthy", port)
    assert _easytune(stage, "list") == 0
    assert "Healthy" in capsys.readouterr().out
    assert _easytune(stage, "log") == 0
    assert "a server begins" in capsys.readouterr().out

    assert _easytune(stage, "delete") == 1, "it still serves"
    assert "still serves" in capsys.readouterr().err
    assert _easytune(stage, "stop") == 0
    stage.until(listed["id"], "stopped")
    assert _easytune(stage, "delete", listed["id"]) == 0
    assert _easytune(stage, "list") == 0
    assert "Nothing is deployed" in capsys.readouterr().out


def test_ctrl_c_ends_a_server_in_the_foreground(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt() -> None:
        eventually(lambda: [s for s in stage.deployments.list() if s.standing.state == "healthy"])
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()

    assert _easytune(stage, "demo") == 130

    (story,) = stage.deployments.list()
    assert story.standing.state == "stopped"
    assert "Stopping the server" in capsys.readouterr().err


def test_a_server_that_cannot_be_kept_up_fails_with_its_reason(
    stage: Stage, capsys: pytest.CaptureFixture[str]
) -> None:
    stage.behaviour = "refuse"

    assert _easytune(stage, "demo", "--detach") == 1

    said = capsys.readouterr().err
    assert "gone" in said
    assert "log.txt" in said
