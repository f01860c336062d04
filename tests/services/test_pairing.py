import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from easytune import demo, model_files
from easytune.errors import AdapterMismatch, ModelIncomplete
from easytune.inference_errors import AdapterPickled
from easytune.services import pairing

PROJECTION = "model.layers.0.self_attn.q_proj"


def _adapter(folder: Path, module: str = PROJECTION, rows: int = 256, columns: int = 256) -> Path:
    """Write an adapter of rank 4 for one layer; that of the demo model is 256 by 256."""
    folder.mkdir()
    content = {"peft_type": "LORA", "base_model_name_or_path": "org/model"}
    (folder / pairing.CONFIG).write_text(json.dumps(content))
    weights = {
        f"base_model.model.{module}.lora_A.weight": np.zeros((4, columns), np.float32),
        f"base_model.model.{module}.lora_B.weight": np.zeros((rows, 4), np.float32),
    }
    save_file(weights, folder / pairing.WEIGHTS)
    return folder


def test_an_adapter_fits_the_model_it_was_made_for(tmp_path: Path) -> None:
    adapter = _adapter(tmp_path / "adapter")

    assert pairing.problem_of(adapter) is None
    assert pairing.trained_on(adapter) == "org/model"
    pairing.check(adapter, demo.MODEL)


def test_a_layer_of_another_shape_is_named(tmp_path: Path) -> None:
    adapter = _adapter(tmp_path / "adapter", rows=512)

    with pytest.raises(AdapterMismatch) as refused:
        pairing.check(adapter, demo.MODEL)
    assert refused.value.reason == f"{PROJECTION} @pairing.shape"


@pytest.mark.parametrize("module", ["model.layers.77.self_attn.q_proj", "h.0.attn.c_attn"])
def test_a_layer_that_the_model_does_not_have_is_named(tmp_path: Path, module: str) -> None:
    adapter = _adapter(tmp_path / "adapter", module)

    with pytest.raises(AdapterMismatch) as refused:
        pairing.check(adapter, demo.MODEL)
    assert refused.value.reason == f"{module} @pairing.absent"


def test_names_without_their_first_part_are_the_same_layers(tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    save_file({"h.0.attn.c_attn.weight": np.zeros((8, 24), np.float32)}, base / "model.safetensors")
    adapter = _adapter(tmp_path / "adapter", "transformer.h.0.attn.c_attn", rows=24, columns=8)

    pairing.check(adapter, base)


@pytest.mark.parametrize("name", ["adapter_model.bin", "pytorch_model.bin"])
def test_a_pickled_adapter_is_refused_unread(tmp_path: Path, name: str) -> None:
    adapter = _adapter(tmp_path / "adapter")
    (adapter / pairing.WEIGHTS).rename(adapter / name)

    assert isinstance(pairing.problem_of(adapter), AdapterPickled)


def test_an_adapter_cut_off_in_mid_download_is_incomplete(tmp_path: Path) -> None:
    adapter = _adapter(tmp_path / "adapter")
    weights = (adapter / pairing.WEIGHTS).read_bytes()
    (adapter / pairing.WEIGHTS).write_bytes(weights[:-10])

    assert isinstance(pairing.problem_of(adapter), ModelIncomplete)
    with pytest.raises(ModelIncomplete):
        model_files.tensors(adapter, pairing.WEIGHTS)
