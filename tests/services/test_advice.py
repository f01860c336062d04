"""What a run will take is told while its settings are typed, whatever state they are in."""

import json
import time
from pathlib import Path

import pytest

from easytune import machine
from easytune.config import TrainConfig
from easytune.errors import FileMissing, ModelIncomplete, ModelMissing, TargetModuleMissing
from easytune.services.advice import Advice
from easytune.services.speed import SpeedProbe

DEMO = TrainConfig()


@pytest.fixture
def advice(home: Path) -> Advice:
    """Advice in a home whose speed is known, so that no process has to measure it."""
    (home / machine.SPEED_FILE).write_text('{"cpu": 60.0}')
    return Advice(home)


def test_rows_are_counted_in_the_background_and_then_known_at_once(advice: Advice) -> None:
    first = advice.about(DEMO)
    assert first.is_measuring
    assert first.estimate
    assert first.estimate.total_steps is None

    settled = advice.settled(DEMO)
    assert settled.data
    assert settled.estimate
    assert (settled.data.rows, settled.estimate.total_steps) == (500, 189)
    assert settled.estimate.pace_source == "probe"

    changed = DEMO.changed(schedule__batch_size=50, data__max_length=64, data__packing=False)
    began = time.process_time()
    at_once = advice.about(changed)
    assert time.process_time() - began < 0.1
    assert not at_once.is_measuring
    assert at_once.estimate
    assert at_once.estimate.total_steps == 30


def test_rows_that_change_are_counted_anew(advice: Advice, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    row = json.dumps({"instruction": "what?", "output": "that."}) + "\n"
    rows.write_text(row * 10)
    config = DEMO.changed(data__datasets=(str(rows),), data__held_out_share=0.0)
    before = advice.settled(config).data
    rows.write_text(row * 25)
    after = advice.settled(config).data
    assert before
    assert after
    assert (before.rows, after.rows) == (10, 25)


def test_what_cannot_be_used_is_told_and_the_rest_still_estimated(
    advice: Advice, tmp_path: Path
) -> None:
    no_rows = advice.settled(DEMO.changed(data__datasets=(str(tmp_path / "none.jsonl"),)))
    assert isinstance(no_rows.problem, FileMissing)
    assert no_rows.estimate
    assert not no_rows.is_measuring

    no_model = advice.about(DEMO.changed(model__base_model=str(tmp_path / "none")))
    assert isinstance(no_model.problem, ModelMissing)
    assert no_model.estimate is None

    (tmp_path / "empty").mkdir()
    bare = advice.settled(DEMO.changed(model__base_model=str(tmp_path / "empty")))
    assert isinstance(bare.problem, ModelIncomplete)

    no_layer = advice.settled(DEMO.changed(lora__target_modules=("nowhere",)))
    assert isinstance(no_layer.problem, TargetModuleMissing)
    assert no_layer.data


def test_zero_supervised_tokens_are_told_as_no_rows(advice: Advice) -> None:
    cut = advice.settled(DEMO.changed(data__datasets=("demo/instruction",), data__max_length=24))
    assert cut.data
    assert cut.data.rows == 0
    assert cut.estimate


def test_the_speed_of_this_machine_is_measured_once_in_a_process_of_its_own(home: Path) -> None:
    probe = SpeedProbe(home)
    probe.measure()
    measured = machine.look("cpu", home).gflops
    assert measured
    assert 1 < measured < 1e6
    path = home / machine.SPEED_FILE
    written = path.stat().st_mtime_ns
    probe.measure()
    assert path.stat().st_mtime_ns == written
