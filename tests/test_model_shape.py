"""What is read of a model without loading it agrees with what the engine finds in it."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from easytune import demo, model_shape
from easytune.engine import adapters
from easytune.errors import ArchitectureUnknown, ModelIncomplete, TargetModuleMissing
from easytune.shapes import Linear, ModelShape
from tests.engine import tiny

WISHES = ("all-linear", "attention", "attention+mlp")
LLAMA = {
    "model_type": "llama", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "intermediate_size": 96, "vocab_size": 320, "dtype": "bfloat16",
}  # fmt: skip


def folder_of(path: Path, config: dict[str, Any]) -> Path:
    (path / "config.json").write_text(json.dumps(config))
    return path


def adapted(model: nn.Module, names: list[str], rank: int) -> int:
    """Count the numbers of an adapter on the layers PEFT would match."""
    return sum(
        rank * sum(tensor.shape)
        for name, tensor in model.named_parameters()
        if any(f".{name}".endswith(f".{wanted}.weight") for wanted in names)
    )


@pytest.mark.parametrize("family", [*tiny.FAMILIES, "gpt2", "mamba"])
def test_the_layers_and_sizes_read_from_files_are_those_of_the_loaded_model(
    family: str, tmp_path: Path
) -> None:
    model = tiny.model(family)
    model.save_pretrained(str(tmp_path))
    shape = model_shape.read(tmp_path)

    assert shape.parameters == pytest.approx(sum(p.numel() for p in model.parameters()), rel=1e-3)
    assert shape.is_mixture == (family == "deepseek_v3")
    for wish in WISHES if family != "mamba" else ("all-linear",):
        chosen = adapters.target_modules(model, (wish,))
        names = {linear.name for linear in model_shape.targets(shape, (wish,))}
        assert names == {name.rpartition(".")[2] for name in chosen}
        assert model_shape.lora_parameters(shape, 4, (wish,)) == adapted(model, chosen, 4)


def test_pickled_and_quantized_weights_have_the_shape_of_plain_ones(tmp_path: Path) -> None:
    plain = tiny.model("qwen3", tie_word_embeddings=True)
    for name in ("plain", "pickled", "packed"):
        plain.save_pretrained(str(tmp_path / name))
        if name != "plain":
            (tmp_path / name / "model.safetensors").unlink()
    torch.save({}, tmp_path / "pickled" / "pytorch_model.bin")
    save_file(_packed(plain), str(tmp_path / "packed" / "model.safetensors"))

    wanted = model_shape.read(tmp_path / "plain")
    for name in ("pickled", "packed"):
        shape = model_shape.read(tmp_path / name)
        assert set(shape.linears) == set(wanted.linears)
        assert shape.parameters == pytest.approx(wanted.parameters, rel=0.01)
    assert model_shape.read(tmp_path / "packed").stored_bytes < wanted.stored_bytes


def _packed(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return tensors as GPTQ lays them down: eight weights in a number, scales beside."""
    found: dict[str, torch.Tensor] = {}
    for name, tensor in model.state_dict().items():
        path, _, kind = name.rpartition(".")
        if kind == "weight" and path.endswith("_proj"):
            outputs, inputs = tensor.shape
            found[f"{path}.qweight"] = torch.zeros(inputs // 8, outputs, dtype=torch.int32)
            found[f"{path}.scales"] = torch.zeros(1, outputs, dtype=torch.float16)
        elif name != "lm_head.weight":
            found[name] = tensor.contiguous()
    return found


def test_layers_that_only_pictures_pass_through_get_no_adapter(tmp_path: Path) -> None:
    folder_of(tmp_path, {"model_type": "two_senses", "text_config": LLAMA})
    tensors = {
        "model.language_model.layers.0.self_attn.q_proj.weight": torch.zeros(64, 64),
        "model.vision_tower.layers.0.self_attn.q_proj.weight": torch.zeros(32, 32),
    }
    save_file(tensors, str(tmp_path / "model.safetensors"))

    shape = model_shape.read(tmp_path)
    assert shape.linears == (Linear("q_proj", 64, 64, 1, "attention"),)
    assert shape.hidden == 64


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelIncomplete) as missing:
        model_shape.read(tmp_path)
    assert missing.value.missing == "config.json"

    folder_of(tmp_path, {"model_type": "from_the_future", "hidden_size": 64})
    with pytest.raises(ArchitectureUnknown) as unknown:
        model_shape.read(tmp_path)
    assert unknown.value.architecture == "from_the_future"


def test_a_changed_model_is_read_again(tmp_path: Path) -> None:
    folder_of(tmp_path, LLAMA)
    before = model_shape.read(tmp_path)
    folder_of(tmp_path, LLAMA | {"num_hidden_layers": 33})

    assert model_shape.read(tmp_path).layers == 33
    assert before.layers == 2


def test_a_layer_that_is_not_there_is_refused_with_those_that_are() -> None:
    shape: ModelShape = model_shape.read(demo.MODEL)
    with pytest.raises(TargetModuleMissing) as refused:
        model_shape.targets(shape, ("c_attn",))
    assert "q_proj" in refused.value.available
