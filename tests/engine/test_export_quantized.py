"""Weights in fewer bits: written from merged ones, loaded again, close to what was trained."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from easytune import demo, records
from easytune.engine.exporting.merging import MergedWeights
from easytune.engine.exporting.packing import PackedWeights
from easytune.export_errors import ArchitectureUnsupported, ParityFailed
from easytune.export_files import Certificate
from easytune.exporters import quantized
from tests.engine import exported, merged, tiny

NEEDED = {"bnb-int8": "bitsandbytes", "bnb-nf4": "bitsandbytes", "torchao-int8": "torchao"}
LARGEST_KL = {"w8a16": 1e-3, "w4a16": 0.05, "fp8": 0.02, "bnb-int8": 5e-3, "bnb-nf4": 0.05}


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an adapter on the demo model."""
    return merged.adapter(demo.MODEL, tmp_path_factory.mktemp("adapter") / "tuned")


@pytest.mark.parametrize("method", ["w8a16", "w4a16", "fp8"])
def test_packed_weights_are_loaded_by_transformers_and_pass_the_gate(
    method: str, adapter: Path, tmp_path: Path
) -> None:
    artefact, certificate = _export(tmp_path, adapter, method)

    assert certificate.passed
    assert (certificate.parity[0].kl or 0) <= LARGEST_KL[method]
    assert certificate.number_format.startswith(method)
    tensors = load_file(artefact / "model.safetensors")
    layers = [name for name in tensors if name.endswith("q_proj.weight_scale")]
    assert layers
    config = records.read(artefact / "config.json") or {}
    assert config["quantization_config"]["quant_method"] == "compressed-tensors"
    assert "vllm serve" in (artefact / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("method", NEEDED)
def test_a_package_quantizes_merged_weights_that_computed_nothing_before(
    method: str, adapter: Path, tmp_path: Path
) -> None:
    if find_spec(NEEDED[method]) is None:
        pytest.skip(f"{NEEDED[method]} is not installed")
    options = {"gate__kl": LARGEST_KL["bnb-int8"]} if method == "bnb-int8" else {}

    artefact, certificate = _export(tmp_path, adapter, method, **options)

    assert certificate.passed
    config = records.read(artefact / "config.json") or {}
    assert {"rope_parameters", "rope_theta"} <= set(config)
    assert not any(one.path.endswith(".bin") for one in certificate.files)


def test_half_precision_weights_keep_their_format_in_the_scales(tmp_path: Path) -> None:
    base = tiny.save_folder(_folder(tmp_path / "base"), "qwen2")
    model = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.bfloat16)
    model.save_pretrained(str(base))

    artefact, certificate = exported.run(
        tmp_path, exported.source(base), "quantized", quantized__method="w4a16"
    )

    scales = {t.dtype for n, t in load_file(artefact / "model.safetensors").items() if "scale" in n}
    assert scales == {torch.bfloat16}
    # Layers of 32 and 48 inputs can be cut into groups of 16 at most.
    assert certificate.number_format == "w4a16-g16"


def test_a_model_whose_layers_are_no_linear_ones_is_refused(tmp_path: Path) -> None:
    base = tiny.save_folder(_folder(tmp_path / "base"), "gpt2")

    with pytest.raises(ArchitectureUnsupported) as raised:
        PackedWeights(MergedWeights(base), "w8a16", 128)

    assert raised.value.reason == "@export.reason.no_linear"


def test_a_family_with_linear_layers_of_its_own_is_refused_before_it_waits(tmp_path: Path) -> None:
    base = tiny.save_folder(_folder(tmp_path / "base"), "falcon")
    order = exported.order(tmp_path, exported.source(base), "quantized").order()

    with pytest.raises(ArchitectureUnsupported) as raised:
        quantized.refuse(order.config.quantized, order)

    assert raised.value.reason == "@export.reason.own_linear"


def test_a_scale_that_is_wrong_does_not_pass(
    adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = PackedWeights._packed

    def damaged(self: PackedWeights, layer: Any) -> Tensor:
        found = right(self, layer)
        self._scales[layer.stored] *= 1.5
        return found

    monkeypatch.setattr(PackedWeights, "_packed", damaged)

    with pytest.raises(ParityFailed):
        _export(tmp_path, adapter, "w8a16")


def _export(home: Path, adapter: Path, method: str, **options: object) -> tuple[Path, Certificate]:
    model = exported.source(demo.MODEL, adapter)
    return exported.run(home, model, "quantized", quantized__method=method, **options)


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
