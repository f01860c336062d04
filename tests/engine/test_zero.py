"""ZeRO-2: gradients and optimizer split among processes. Runs where DeepSpeed is installed."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from easytune import checkpoints
from easytune.config import TrainConfig
from easytune.events import Evaluated, Sampled, Stopped
from tests.engine import tiny
from tests.engine.ran import Ran
from tests.engine.test_processes import losses, started
from tests.patience import eventually

pytestmark = pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs deepspeed")


@pytest.fixture(scope="module")
def plain(model_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """A full fine-tuning in two processes, unsplit; its last step has a single row."""
    home = tmp_path_factory.mktemp("plain")
    rows = tiny.save_rows(home / "rows.jsonl", count=29)
    config = TrainConfig().changed(
        model__base_model=str(model_folder),
        model__method="full",
        data__datasets=(str(rows),),
        schedule__batch_size=2,
        schedule__gradient_accumulation=2,
        schedule__epochs=2,
        # The rates of a run that goes on for longer are the same.
        schedule__scheduler="constant",
        monitor__sample_tokens=4,
        monitor__logging_steps=1,
        monitor__save_steps=3,
        memory__processes=2,
        memory__precision="bf16",
    )
    return _ran(home, config)


@pytest.fixture(scope="module")
def split(plain: Ran, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """The same run, with its optimizer split among the processes."""
    config = plain.folder.read().config.changed(memory__sharding="zero2")
    return _ran(tmp_path_factory.mktemp("split"), config)


def _ran(home: Path, config: TrainConfig, **job: str) -> Ran:
    with started(home, config, **job) as (folder, process):
        return Ran(folder, process.wait())


def test_a_split_optimizer_gives_the_same_curves_and_the_same_model(plain: Ran, split: Ran) -> None:
    assert split.code == plain.code == 0, split.folder.log.read_text()
    assert losses(split) == pytest.approx(losses(plain), rel=1e-4)
    for kind, value in ((Evaluated, "loss"), (Sampled, "step")):
        found, wanted = ([getattr(e, value) for e in ran.of(kind)] for ran in (split, plain))
        assert found == pytest.approx(wanted, rel=1e-4)
    ours, theirs = split.weights(), plain.weights()
    assert ours.keys() == theirs.keys()
    for name, weight in ours.items():
        torch.testing.assert_close(weight, theirs[name], rtol=1e-3, atol=1e-4)


def test_its_checkpoints_are_those_of_an_unsplit_run(plain: Ran, split: Ran) -> None:
    ours, theirs = (checkpoints.valid(ran.folder.checkpoints)[0] for ran in (split, plain))
    assert {p.name for p in ours.rglob("*")} == {p.name for p in theirs.rglob("*")}
    found, wanted = (
        torch.load(folder / "optimizer.pt", weights_only=True) for folder in (ours, theirs)
    )
    assert [g["params"] for g in found["param_groups"]] == [
        g["params"] for g in wanted["param_groups"]
    ]
    assert found["state"].keys() == wanted["state"].keys()
    for number, moments in found["state"].items():
        for name, moment in moments.items():
            torch.testing.assert_close(moment, wanted["state"][number][name], rtol=1e-2, atol=1e-4)


@pytest.mark.parametrize("sharding", ["none", "zero2"])
def test_a_checkpoint_goes_on_split_or_not_until_it_is_asked_to_stop(
    sharding: str, split: Ran, tmp_path: Path
) -> None:
    folder = checkpoints.valid(split.folder.checkpoints)[-1]
    step, last = checkpoints.step_of(folder), max(losses(split))
    asked = split.folder.read().config
    longer = asked.changed(memory__sharding=sharding, schedule__epochs=500)
    with started(tmp_path, longer, resume_from=str(folder)) as (again, process):
        eventually(lambda: max(losses(Ran(again, 0)), default=0) >= last)
        again.stop.touch()
        assert process.wait() == 0, again.log.read_text()
    resumed = Ran(again, 0)
    assert isinstance(resumed.end, Stopped)
    # The first step shows the weights, the next the optimizer's state.
    assert last - step > 1
    for after in range(step + 1, last + 1):
        assert losses(resumed)[after] == pytest.approx(losses(split)[after], rel=1e-5)
    assert checkpoints.valid(again.checkpoints)
    assert (again.adapter / "model.safetensors").is_file()


def test_a_run_that_diverges_says_so(split: Ran, tmp_path: Path) -> None:
    wild = {"optim__learning_rate": 0.9, "optim__max_grad_norm": 0, "optim__adam_beta2": 0}
    ran = _ran(tmp_path, split.folder.read().config.changed(**wild, schedule__epochs=500))
    assert (ran.code, ran.end.kind, ran.end.code) == (1, "failed", "diverged")
