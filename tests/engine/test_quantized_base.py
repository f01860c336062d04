"""QLoRA: a base in 4 or 8 bits below an ordinary adapter. Runs where bitsandbytes is installed."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM

from easytune.config import TrainConfig
from easytune.engine import models
from easytune.events import Evaluated, Notice
from tests.engine import tiny
from tests.engine.ran import Ran

pytestmark = pytest.mark.skipif(find_spec("bitsandbytes") is None, reason="needs bitsandbytes")
Train = Callable[..., Ran]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose layers are whole blocks of 64 weights."""
    return tiny.save_folder(tmp_path_factory.mktemp("wide"), hidden_size=64, intermediate_size=128)


@pytest.fixture
def quantized(config: TrainConfig, folder: Path) -> TrainConfig:
    return config.changed(model__base_model=str(folder), model__method="qlora")


@pytest.mark.parametrize("bits", [4, 8])
def test_a_quantized_base_gets_a_plain_adapter_that_fits_the_unquantized_one(
    bits: int, quantized: TrainConfig, folder: Path, train: Train
) -> None:
    ran = train(
        quantized.changed(
            memory__quantization_bits=bits, schedule__epochs=4, optim__learning_rate=0.02
        )
    )
    assert ran.code == 0, ran.end
    slow = next(event for event in ran.of(Notice) if event.code == "slow_layers")
    assert slow.values == {"layers": 14, "reason": "@engine.slow.quantized"}
    curve = [event.loss for event in ran.of(Evaluated)]
    assert curve[-1] < curve[0] - 1
    plain = AutoModelForCausalLM.from_pretrained(str(folder))
    adapted = PeftModel.from_pretrained(plain, str(ran.folder.adapter))
    stored = ran.weights()
    assert len(stored) == 28
    assert all(weight.dtype == torch.float32 for weight in stored.values())
    # Merged into the base as it was before it was quantized.
    merged = adapted.merge_and_unload()
    assert {parameter.dtype for parameter in merged.parameters()} == {torch.float32}


@pytest.mark.parametrize("bits", [4, 8])
def test_a_measurement_does_not_change_what_a_quantized_base_learns(
    bits: int, quantized: TrainConfig, folder: Path
) -> None:
    asked = quantized.changed(memory__quantization_bits=bits, data__packing=False)
    loaded = models.load(asked, folder)
    ids = torch.arange(3, 40)[None]
    before = _slopes(loaded, ids)
    loaded.model.eval()
    with torch.no_grad():
        loaded.model(input_ids=ids)
    after = _slopes(loaded, ids)
    assert all(slope.norm() > 0 for name, slope in before.items() if "lora_B" in name)
    for name, slope in before.items():
        torch.testing.assert_close(after[name], slope, rtol=1e-3, atol=1e-5)


def _slopes(loaded: models.Loaded, ids: Tensor) -> dict[str, Tensor]:
    loaded.model.train()
    loaded.model.zero_grad()
    loaded.model(input_ids=ids, labels=ids).loss.backward()
    named = loaded.model.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.requires_grad}
