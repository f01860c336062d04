"""A copy at half strength changes the model half as much, and is a model like any other."""

import json
import shutil
from pathlib import Path

import pytest

from easytune.errors import FileMissing
from easytune.job import JobFolder
from easytune.services.catalogue import Catalogue
from tests.services.lab import Lab

ADAPTER = {"peft_type": "LORA", "r": 8, "lora_alpha": 32, "alpha_pattern": {"q_proj": 5}}


@pytest.fixture
def run(lab: Lab) -> JobFolder:
    """A run that has left an adapter on its base model."""
    folder = lab.runs.folder(lab.runs.submit(lab.config))
    folder.adapter.mkdir(parents=True)
    base = {"base_model_name_or_path": lab.config.model.base_model}
    (folder.adapter / "adapter_config.json").write_text(json.dumps(ADAPTER | base))
    whole = Path(lab.config.model.base_model) / "model.safetensors"
    shutil.copy(whole, folder.adapter / "adapter_model.safetensors")
    for name in ("README.md", "optimizer.pt"):
        (folder.adapter / name).write_text("at full strength")
    return folder


def test_half_strength_is_half_the_scale_of_the_same_weights(lab: Lab, run: JobFolder) -> None:
    half = Path(lab.runs.halve(run.id))
    config = json.loads((half / "adapter_config.json").read_text())
    assert (config["lora_alpha"], config["alpha_pattern"]) == (16, {"q_proj": 2.5})
    name = "adapter_model.safetensors"
    assert (half / name).read_bytes() == (run.adapter / name).read_bytes()
    assert {path.name for path in half.iterdir()} == {name, "adapter_config.json"}
    assert json.loads((run.adapter / "adapter_config.json").read_text())["lora_alpha"] == 32


def test_a_copy_at_half_strength_is_listed_once_among_the_adapters(
    lab: Lab, run: JobFolder
) -> None:
    half = lab.runs.halve(run.id)
    assert lab.runs.halve(run.id) == half
    found = [model for model in Catalogue(lab.home, lab.runs).list() if model.id == half]
    assert [(model.kind, model.base) for model in found] == [
        ("adapter", lab.config.model.base_model)
    ]


@pytest.mark.parametrize(
    "unscaled",
    [
        {"use_dora": True}, {"modules_to_save": ["lm_head"]}, {"bias": "all"},
        {"init_lora_weights": "pissa"},
    ],
)  # fmt: skip
def test_what_alpha_does_not_scale_cannot_be_halved(
    lab: Lab, run: JobFolder, unscaled: dict[str, object]
) -> None:
    (run.adapter / "adapter_config.json").write_text(json.dumps(ADAPTER | unscaled))
    assert not lab.runs.can_be_halved(run.id)
    with pytest.raises(FileMissing):
        lab.runs.halve(run.id)
