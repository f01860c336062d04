"""Adapters are looked at before they are used; a checkpoint answers as the run's own model did."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from easytune.config import TrainConfig
from tests.engine import asking, tiny
from tests.engine.asking import Desk, Heard, asked
from tests.engine.ran import Ran

_LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
Change = Callable[[dict[str, torch.Tensor]], object]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk(tiny.save_folder(tmp_path_factory.mktemp("model")))


@pytest.fixture
def adapter(tmp_path: Path) -> Path:
    return asking.save_adapter(tmp_path / "adapter")


def refused(desk: Desk, adapter: Path) -> Heard:
    """The end of a column that asks this adapter; the base beside it must answer."""
    bad, good = desk.ask(asked(adapter=adapter), asked())
    assert good.end.reason in ("stop", "length")
    assert bad.end.reason == "failed"
    assert bad.began is None
    return bad


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda w: w.update({"lm_head.weight": torch.zeros(320, 32)}), "adapter_unsafe"),
        (lambda w: w.update({f"{_LAYER}.weight": torch.zeros(32, 32)}), "adapter_unsafe"),
        (lambda w: w.update({f"{_LAYER}.base_layer.weight": torch.ones(32, 32)}), "adapter_unsafe"),
        (lambda w: w[f"{_LAYER}.lora_A.weight"].fill_(torch.nan), "adapter_unsafe"),
        (lambda w: w[f"{_LAYER}.lora_B.weight"].fill_(torch.inf), "adapter_unsafe"),
        (lambda w: w.pop(f"{_LAYER}.lora_B.weight"), "adapter_mismatch"),
        (
            lambda w: w.update({f"{_LAYER}.lora_A.weight": torch.zeros(4, 64)}),
            "adapter_mismatch",
        ),
        (
            lambda w: w.update({f"{_LAYER}.lora_A.weight": torch.zeros(2, 32)}),
            "adapter_mismatch",
        ),
    ],
    ids=["head", "weight", "base", "nan", "inf", "half", "shape", "rank"],
)
def test_tensors_that_do_not_belong_are_refused(
    desk: Desk, adapter: Path, change: Change, code: str
) -> None:
    path = adapter / "adapter_model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path)
    bad = refused(desk, adapter)
    assert bad.end.code == code
    assert bad.end.values["adapter"] == str(adapter)


def test_a_pickle_is_refused(desk: Desk, adapter: Path) -> None:
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    assert refused(desk, adapter).end.code == "adapter_pickled"


def test_an_adapter_of_another_model_is_refused(desk: Desk, tmp_path: Path) -> None:
    other = asking.save_adapter(tmp_path / "other", "phi")
    assert refused(desk, other).end.code == "adapter_mismatch"


@pytest.mark.parametrize(
    ("name", "value"),
    [("layer_replication", [[0, 2]]), ("auto_mapping", {"a": "b"}), ("peft_type", "LORE")],
)
def test_options_that_reach_beyond_the_layers_are_refused(
    desk: Desk, adapter: Path, name: str, value: object
) -> None:
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    assert refused(desk, adapter).end.code == "adapter_unsafe"


def test_an_adapter_that_was_trained_anew_is_read_anew(desk: Desk, adapter: Path) -> None:
    (before,) = desk.ask(asked(adapter=adapter))
    asking.save_adapter(adapter, seed=99)
    (after,) = desk.ask(asked(adapter=adapter))
    assert before.tokens != after.tokens


def test_few_adapters_are_kept(desk: Desk, tmp_path: Path) -> None:
    for number in range(18):
        desk.ask(asked(adapter=asking.save_adapter(tmp_path / f"{number}"), max_new_tokens=1))
    assert [Path(folder).name for folder in desk.attached.folders] == [str(n) for n in range(2, 18)]


@pytest.mark.parametrize("rslora", [False, True])
def test_a_pissa_checkpoint_answers_as_the_finished_adapter(
    train: Callable[..., Ran], config: TrainConfig, model_folder: Path, rslora: bool
) -> None:
    ran = train(
        config.changed(
            lora__init="pissa",
            lora__use_rslora=rslora,
            optim__learning_rate=0.02,
            monitor__keep_best=False,
        )
    )
    assert ran.code == 0
    last = max(ran.folder.checkpoints.iterdir(), key=lambda folder: int(folder.name.split("-")[1]))
    desk = Desk(model_folder)
    finished, checkpoint, base = desk.ask(
        asked(adapter=ran.folder.adapter), asked(adapter=last), asked()
    )
    assert checkpoint.tokens == finished.tokens
    assert checkpoint.logprobs == pytest.approx(finished.logprobs, abs=1e-4)
    assert base.logprobs != pytest.approx(finished.logprobs, abs=1e-2)
