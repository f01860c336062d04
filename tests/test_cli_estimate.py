"""`easytune estimate` tells memory, time and disk without starting anything."""

import json
from pathlib import Path

import pytest

from easytune import machine
from easytune.cli.main import main

DEMO = "configs/train/demo.yaml"


@pytest.fixture
def measured_home(home: Path) -> Path:
    """A home whose speed is known, so that no process has to measure it."""
    (home / machine.SPEED_FILE).write_text('{"cpu": 60.0}')
    return home


def test_a_run_is_told_by_part_and_in_sentences(
    measured_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", DEMO, "--lang", "en"]) == 0
    told = capsys.readouterr().out
    assert "Activations" in told
    assert "It fits" in told
    assert "from a speed test of this machine" in told
    assert not list(measured_home.glob("runs/*"))


def test_programs_get_the_same_as_json_and_flags_count(
    measured_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["estimate", DEMO, "--json", "--schedule.max_steps", "7", "--data.max_length", "40"]
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["estimate"]["total_steps"] == 7
    assert told["data"]["longest"] == 40
    assert sum(told["estimate"]["parts"].values()) == pytest.approx(told["estimate"]["peak_gb"])


def test_what_cannot_be_estimated_is_said_in_one_sentence(
    measured_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["estimate", "--model.base_model", "somebody/not-here", "--lang", "en"]) == 1
    assert "not on this machine yet" in capsys.readouterr().out
    assert main(["estimate", "--data.datasets", "none.jsonl", "--lang", "en"]) == 1
    assert "none.jsonl" in capsys.readouterr().err
