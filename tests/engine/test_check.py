"""A launch check goes down its ladder, and leaves nothing behind."""

import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from easytune.config import TrainConfig
from easytune.engine import check, worker
from easytune.events import Notice, Swept, Trial
from easytune.job import CheckWishes, Job, create
from tests.engine.ran import Ran

STAND_IN = Path(__file__).parent / "stand_in_trial.py"
GIVEN = TrainConfig().changed(
    schedule__batch_size=2, data__max_length=512, memory__gradient_checkpointing="on"
)
LIGHT = GIVEN.changed(schedule__batch_size=1, data__max_length=128)


@pytest.fixture(autouse=True)
def without_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "COMMAND", [sys.executable, str(STAND_IN)])


def checked(home: Path, config: TrainConfig, *, ladder: bool = True) -> Ran:
    order = Job(task="check", config=config, wishes=CheckWishes(ladder=ladder))
    folder = create(home / "checks", order)
    return Ran(folder, worker.run(folder.path))


def test_a_check_tells_that_it_measures_one_process(tmp_path: Path) -> None:
    ran = checked(tmp_path, LIGHT.changed(memory__processes=2))
    said = {notice.code: notice.values for notice in ran.of(Notice)}
    assert said["check_one_process"] == {"processes": 2}


def test_a_check_goes_lighter_until_the_run_fits(tmp_path: Path) -> None:
    ran = checked(tmp_path, GIVEN)
    trials = ran.of(Trial)
    assert [trial.outcome for trial in trials] == ["out_of_memory", "out_of_memory", "fits"]
    assert trials[1].changes == {"schedule.batch_size": 1, "schedule.gradient_accumulation": 2}
    # No row is longer than 200 tokens, so cutting at 256 was not worth a try.
    assert [trial.changes.get("data.max_length") for trial in trials] == [None, None, 128]
    assert trials[-1].limit_gb == 4.0
    assert ran.end.kind == "finished"
    assert ran.end.metrics["suggested_rate"] == 3e-4
    assert len(ran.of(Swept)) == 1
    # Said by every rung, told for the one that fits.
    assert [notice.code for notice in ran.story if notice.kind == "notice"] == [
        "check_unsupervised"
    ]


def test_without_a_ladder_only_the_given_settings_are_tried(tmp_path: Path) -> None:
    ran = checked(tmp_path, GIVEN, ladder=False)
    assert [trial.outcome for trial in ran.of(Trial)] == ["out_of_memory"]
    assert "check_too_little" in ran.notices()
    assert ran.end.kind == "finished"


def test_lighter_steps_are_not_tried_where_not_even_the_weights_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check.machine, "can_quantize", lambda device: True)
    trials = checked(tmp_path, GIVEN.changed(output__name="large")).of(Trial)
    assert [trial.outcome for trial in trials] == ["out_of_memory"] * 3
    assert [trial.changes.get("memory.quantization_bits") for trial in trials] == [None, 8, None]


def test_a_try_that_somebody_kills_is_not_taken_for_one_short_of_memory(tmp_path: Path) -> None:
    ran = checked(tmp_path, GIVEN.changed(output__name="killed"))
    assert [(trial.outcome, trial.code) for trial in ran.of(Trial)] == [
        ("failed", "check_interrupted")
    ]
    assert ran.end.kind == "failed"


def test_a_sweep_that_breaks_down_leaves_the_verdict_and_says_so(tmp_path: Path) -> None:
    ran = checked(tmp_path, LIGHT.changed(output__name="dies late"))
    assert [trial.outcome for trial in ran.of(Trial)] == ["fits"]
    assert ran.end.kind == "finished"
    [told] = [notice for notice in ran.of(Notice) if notice.code == "check_sweep_failed"]
    assert told.values == {"reason": "the last words (signal 6)"}


def test_stopping_a_check_ends_its_try_at_once(tmp_path: Path) -> None:
    order = Job(task="check", config=GIVEN.changed(output__name="sleeper"), wishes=CheckWishes())
    folder = create(tmp_path / "checks", order)
    ended = threading.Event()

    def stop_when_trying() -> None:
        while not (folder.path / "trials" / "0" / "facts.json").exists():
            time.sleep(0.02)
        folder.stop.touch()
        ended.set()

    thread = threading.Thread(target=stop_when_trying)
    thread.start()
    ran = Ran(folder, worker.run(folder.path))
    thread.join()
    assert ended.is_set()
    assert ran.end.kind == "stopped"
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(STAND_IN) in _words(p)]


def _words(process: psutil.Process) -> list[str]:
    return process.info["cmdline"] or []
