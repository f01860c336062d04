"""The real engine under the real runner, killed and resumed."""

import os
import signal
from pathlib import Path

from easytune.config import TrainConfig
from easytune.services import submission
from easytune.services.dispatch import Dispatcher
from easytune.services.story import step_of
from tests.engine.tiny import save_folder, save_rows
from tests.patience import eventually
from tests.services.lab import Lab, is_gone


def test_a_run_killed_in_mid_training_is_resumed_to_its_end(lab: Lab, tmp_path: Path) -> None:
    config = TrainConfig().changed(
        model__base_model=str(save_folder(tmp_path / "llama")),
        data__datasets=(str(save_rows(tmp_path / "train.jsonl")),),
        schedule__batch_size=1,
        schedule__max_steps=400,
        monitor__save_steps=20,
        monitor__logging_steps=1,
        monitor__eval_steps=400,
        monitor__sample_tokens=0,
        memory__device="cpu",
    )
    submission.check(config, lab.home)
    dispatcher = Dispatcher(lab.home)
    first = lab.runs.submit(config)
    assert dispatcher.tick() == first
    eventually(lambda: lab.runs.resume_choices(first), lambda: lab.runs.report(first))
    runner, worker = lab.pids(first)
    os.kill(runner, signal.SIGKILL)
    assert lab.wait(first, "lost").checkpoints
    eventually(lambda: is_gone(worker))

    newest = lab.runs.resume_choices(first)[0]
    second = lab.runs.resume(first, newest, {"max_steps": (step_of(newest) or 0) + 5})
    assert dispatcher.tick() == second
    done = eventually(
        lambda: (story := lab.runs.story(second)).has_ended and story,
        lambda: lab.runs.report(second),
    )
    assert (done.state, done.failure) == ("finished", None), lab.runs.report(second)
    assert [number for number, _ in done.losses] == list(range(1, done.total_steps + 1))
    assert done.first_step == step_of(newest)
    assert lab.runs.continue_from(second).model.adapter
