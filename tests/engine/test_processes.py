"""A run in two processes: the curve of one process with twice the accumulation."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from easytune import checkpoints
from easytune.config import TrainConfig
from easytune.events import Evaluated, Forgetting, Notice, Sampled, Step, Stopped
from easytune.job import Job, JobFolder, create
from tests.engine import tiny
from tests.engine.ran import Ran
from tests.patience import eventually

Train = Callable[..., Ran]


@pytest.fixture(scope="module")
def shared(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A run whose every step two processes share; its last step has a single row."""
    home = tmp_path_factory.mktemp("two")
    rows = tiny.save_rows(home / "rows.jsonl", count=29)
    config = TrainConfig().changed(
        model__base_model=str(model_folder),
        data__datasets=(str(rows),),
        lora__rank=4,
        schedule__batch_size=2,
        schedule__epochs=2,
        monitor__sample_tokens=4,
        monitor__save_steps=4,
        memory__processes=2,
    )
    with started(home, config) as (folder, process):
        return Ran(folder, process.wait())


@pytest.fixture(scope="module")
def split(shared: Ran, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The same run, with the base split among the processes."""
    config = shared.folder.read().config.changed(memory__sharding="fsdp")
    with started(tmp_path_factory.mktemp("split"), config) as (folder, process):
        return Ran(folder, process.wait())


@contextmanager
def started(
    home: Path, config: TrainConfig, **job: Any
) -> Iterator[tuple[JobFolder, subprocess.Popen[bytes]]]:
    """Start a job's process, as its runner does."""
    folder = create(home / "runs", Job(config=config, **job))
    command = [sys.executable, "-m", "easytune.engine.worker", str(folder.path)]
    with folder.log.open("ab") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield folder, process
        finally:
            process.terminate()
            process.wait()


def losses(ran: Ran) -> dict[int, float]:
    return {step.step: step.loss for step in ran.of(Step)}


def test_two_processes_have_the_curve_of_one_with_twice_the_accumulation(
    shared: Ran, train: Train
) -> None:
    assert shared.code == 0, shared.folder.log.read_text()
    asked = shared.folder.read().config
    alone = train(asked.changed(memory__processes=1, schedule__gradient_accumulation=2))
    assert losses(shared) == pytest.approx(losses(alone), rel=1e-4)
    for kind, value in ((Evaluated, "loss"), (Forgetting, "score")):
        found, wanted = ([getattr(e, value) for e in ran.of(kind)] for ran in (shared, alone))
        assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)
    ours, theirs = shared.weights(), alone.weights()
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-3, atol=2e-4)


def test_a_split_base_gives_the_same_curves_and_the_same_adapter(shared: Ran, split: Ran) -> None:
    assert split.code == 0, split.folder.log.read_text()
    told = {event.code: event.values for event in split.of(Notice)}
    # What lies outside the layers of this model is a third of it, of which each has a copy.
    assert told["base_split"]["processes"] == 2
    assert 50 < told["base_split"]["share"] < 80
    assert "base_split" not in {event.code for event in shared.of(Notice)}
    assert losses(split) == pytest.approx(losses(shared), rel=1e-6)
    for kind in (Evaluated, Forgetting, Sampled):
        found, wanted = ([_measured(event) for event in ran.of(kind)] for ran in (split, shared))
        assert found == wanted
    ours, theirs = split.weights(), shared.weights()
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-5, atol=1e-7)


def _measured(event: Evaluated | Forgetting | Sampled) -> object:
    """Return what was found, to what is beyond rounding."""
    match event:
        case Evaluated(loss=value) | Forgetting(score=value):
            return event.step, round(value, 5)
        case Sampled(samples=samples):
            return event.step, samples


def test_every_step_is_reported_once_and_the_run_has_one_end(shared: Ran) -> None:
    steps = [step.step for step in shared.of(Step)]
    assert steps == sorted(set(steps))
    assert [event.kind for event in shared.story if event.kind == "finished"] == ["finished"]
    assert shared.end.kind == "finished"


@pytest.mark.parametrize("sharding", ["none", "fsdp"])
def test_a_run_of_two_processes_goes_on_from_its_checkpoint_and_stops_when_asked(
    sharding: str, shared: Ran, tmp_path: Path
) -> None:
    asked, folder = shared.folder.read().config, checkpoints.valid(shared.folder.checkpoints)[-1]
    step = checkpoints.step_of(folder)
    assert 0 < step < max(losses(shared))
    assert {f"rng_state_{rank}.pth" for rank in (0, 1)} <= {p.name for p in folder.iterdir()}
    # Longer than it was, so that it goes on after the same steps until it is asked to stop.
    more = {"schedule__epochs": 500, "monitor__logging_steps": 1, "memory__sharding": sharding}
    longer = asked.changed(**more)
    with started(tmp_path, longer, resume_from=str(folder)) as (again, process):
        eventually(lambda: max(losses(Ran(again, 0)), default=0) > step)
        again.stop.touch()
        assert process.wait() == 0, again.log.read_text()
    resumed = Ran(again, 0)
    assert isinstance(resumed.end, Stopped)
    assert losses(resumed)[step + 1] == pytest.approx(losses(shared)[step + 1], rel=1e-6)
    assert checkpoints.valid(again.checkpoints)
    assert (again.adapter / "adapter_model.safetensors").is_file()


def test_a_killed_process_ends_the_run_and_is_named(shared: Ran, tmp_path: Path) -> None:
    asked = shared.folder.read().config.changed(schedule__epochs=500)
    with started(tmp_path, asked) as (folder, process):
        eventually(lambda: bool(Ran(folder, 0).of(Step)))
        children = psutil.Process(process.pid).children()
        second = next(child for child in children if child.environ()["RANK"] == "1")
        os.kill(second.pid, signal.SIGKILL)
        assert process.wait() == 1
        assert not any(child.is_running() for child in children)
    end = Ran(folder, 1).end
    assert (end.code, end.values["number"], end.values["how"]) == ("rank_ended", 2, "signal 9")
