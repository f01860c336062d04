"""Safe LoRA: a change unlike what alignment did is projected onto it, and never grows."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from easytune.engine.evaluating import projection
from easytune.engine.evaluating.projection import Copy, Request
from easytune.evaluation_errors import RemedyUnfit

LAYER = "model.layers.0.self_attn.q_proj"


def _model(folder: Path, weight: torch.Tensor) -> Path:
    folder.mkdir()
    save_file({f"{LAYER}.weight": weight}, folder / "model.safetensors")
    return folder


def _adapter(folder: Path, a: torch.Tensor, b: torch.Tensor) -> Path:
    folder.mkdir()
    prefix = f"base_model.model.{LAYER}"
    tensors = {f"{prefix}.lora_A.weight": a, f"{prefix}.lora_B.weight": b}
    save_file(tensors, folder / "adapter_model.safetensors", {"format": "pt"})
    content = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": a.shape[0], "lora_alpha": 4}
    (folder / "adapter_config.json").write_text(json.dumps(content))
    return folder


def _b(folder: Path) -> torch.Tensor:
    return load_file(folder / "adapter_model.safetensors")[
        f"base_model.model.{LAYER}.lora_B.weight"
    ]


def test_only_unlike_changes_are_projected_as_the_paper_says_and_none_grows(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    unaligned, a, b = torch.randn(12, 8), torch.randn(2, 8), torch.randn(12, 2)
    direction = torch.randn(12, 1)
    aligned = unaligned + 0.05 * direction @ torch.randn(1, 8)
    copies = [_adapter(tmp_path / name, a, b) for name in ("some", "all")]
    request = Request(
        aligned=str(_model(tmp_path / "aligned", aligned)),
        unaligned=str(_model(tmp_path / "unaligned", unaligned)),
        copies=(
            Copy(folder=str(copies[0]), threshold=-1), Copy(folder=str(copies[1]), threshold=1),
        ),
    )  # fmt: skip
    assert projection.project(request) == {str(copies[0]): 0, str(copies[1]): 1}
    assert torch.equal(_b(copies[0]), b)

    # By its definition, on whole matrices.
    change = aligned - unaligned
    wanted = change @ change.t() / change.norm() @ (b @ a)
    found = _b(copies[1]) @ a
    cosine = torch.nn.functional.cosine_similarity(found.flatten(), wanted.flatten(), dim=0)
    assert float(cosine) == pytest.approx(1, abs=1e-5)
    assert found.norm() == pytest.approx(float(min(wanted.norm(), (b @ a).norm())), rel=1e-4)
    # Alignment changed one direction only; what is left of the adapter lies in it.
    unit = direction / direction.norm()
    assert torch.allclose(found, unit @ unit.t() @ found, atol=1e-5)

    loud = unaligned + 50 * direction @ torch.randn(1, 8)
    grown, _ = projection.projection(a, b, loud - unaligned)
    assert (grown @ a).norm() == pytest.approx(float((b @ a).norm()), rel=1e-4)


def test_models_that_are_the_same_or_of_another_shape_are_refused(tmp_path: Path) -> None:
    weight = torch.randn(12, 8)
    adapter = _adapter(tmp_path / "adapter", torch.randn(2, 8), torch.randn(12, 2))
    one = _model(tmp_path / "one", weight)
    copies = (Copy(folder=str(adapter), threshold=1),)
    for name, other in (("same", weight), ("wide", torch.randn(12, 9))):
        unaligned = str(_model(tmp_path / name, other))
        with pytest.raises(RemedyUnfit):
            projection.project(Request(aligned=str(one), unaligned=unaligned, copies=copies))
