"""Merging on the disk: the same numbers as PEFT's, for every family and every kind of adapter."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from easytune.export_errors import BaseQuantized, MergeNotFinite, MergeUnsupported
from tests.engine import merged, tiny

FAMILIES = (
    "llama", "qwen2", "qwen3", "mistral", "gemma2", "gemma3_text", "phi3", "gpt2", "deepseek_v3",
)  # fmt: skip
MIXTRAL = {"num_local_experts": 4, "num_experts_per_tok": 2}
KINDS: dict[str, dict[str, Any]] = {
    "rslora": {"use_rslora": True},
    "dora": {"use_dora": True},
    "patterns": {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"v_proj": 3}},
    "embedding": {"target_modules": ["q_proj", "embed_tokens"]},
    "head": {"target_modules": ["q_proj", "lm_head"]},
    "biases": {"target_modules": ["q_proj"], "lora_bias": True},
    "whole modules": {"target_modules": ["q_proj"], "modules_to_save": ["lm_head", "model.norm"]},
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_merged_model_predicts_what_the_adapter_beside_its_base_does(
    family: str, tmp_path: Path
) -> None:
    base = tiny.save_folder(tmp_path / "base", family)
    targets = ["q_a_proj", "o_proj"] if family == "deepseek_v3" else "all-linear"
    adapter = merged.adapter(base, tmp_path / "adapter", target_modules=targets)
    target = merged.merge(base, adapter, tmp_path / "merged", shard_bytes=40_000)
    assert len(list(target.glob("*.safetensors"))) > 1
    wanted = merged.peft_logits(base, adapter)
    scale = wanted.abs().max()
    assert float((merged.logits(target) - wanted).abs().max() / scale) < 2e-6
    assert float((merged.logits(base) - wanted).abs().max() / scale) > 1e-3


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tied", [False, True])
def test_every_kind_of_adapter_is_merged_as_it_was_trained(
    kind: str, tied: bool, tmp_path: Path
) -> None:
    base = tiny.save_folder(
        tmp_path / "base", tie_word_embeddings=tied, attention_bias=kind == "biases"
    )
    adapter = merged.adapter(base, tmp_path / "adapter", **KINDS[kind])
    target = merged.merge(base, adapter, tmp_path / "merged")
    wanted = merged.peft_logits(base, adapter)
    assert float((merged.logits(target) - wanted).abs().max() / wanted.abs().max()) < 2e-6
    config = json.loads((target / "config.json").read_text())
    changes_words = kind in ("embedding", "head", "whole modules")
    assert config["tie_word_embeddings"] is (tied and not changes_words)


def test_a_mixture_whose_experts_have_other_names_in_its_files_is_merged(tmp_path: Path) -> None:
    base = tiny.save_folder(tmp_path / "base", "mixtral", **MIXTRAL)
    names = load_file(base / "model.safetensors")
    assert any(".block_sparse_moe.experts.0.w1." in name for name in names)
    adapter = merged.adapter(base, tmp_path / "adapter", target_modules=["q_proj", "o_proj"])
    target = merged.merge(base, adapter, tmp_path / "merged")
    wanted = merged.peft_logits(base, adapter)
    assert float((merged.logits(target) - wanted).abs().max() / wanted.abs().max()) < 2e-6
    assert set(load_file(target / "model.safetensors")) == set(names)


def test_an_adapter_on_the_experts_is_refused_by_name(tmp_path: Path) -> None:
    base = tiny.save_folder(tmp_path / "base", "mixtral", **MIXTRAL)
    adapter = merged.adapter(
        base,
        tmp_path / "adapter",
        target_modules=["q_proj"],
        target_parameters=["mlp.experts.down_proj"],
    )
    with pytest.raises(MergeUnsupported):
        merged.merge(base, adapter, tmp_path / "merged")


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.25])
def test_strength_scales_all_that_an_adapter_changes(
    strength: float, plain: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = plain
    target = merged.merge(base, adapter, tmp_path / "merged", strength=strength)
    own, full = (merged.weights(f) for f in (base, merged.merge(base, adapter, tmp_path / "full")))
    for name, found in merged.weights(target).items():
        wanted = own[name] + strength * (full[name] - own[name])
        assert torch.allclose(found, wanted, atol=1e-6)


def test_a_resumed_merge_keeps_whole_files_and_writes_the_same_bytes(
    plain: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = plain
    whole = merged.merge(base, adapter, tmp_path / "whole", shard_bytes=60_000)
    files = sorted(path.name for path in whole.glob("*.safetensors"))
    target = tmp_path / "again"
    target.mkdir()

    class Killed(Exception):
        pass

    def killed(done: int, total: int) -> None:
        if done > total / 2:
            raise Killed

    with pytest.raises(Killed):
        merged.merge(base, adapter, target, shard_bytes=60_000, watch=killed)
    kept = {path.name: path.stat().st_ino for path in target.glob("*.safetensors")}
    assert 0 < len(kept) < len(files)
    assert not list(target.glob(".*"))
    merged.merge(base, adapter, target, shard_bytes=60_000)
    for name in files:
        assert (target / name).read_bytes() == (whole / name).read_bytes()
    assert all((target / name).stat().st_ino == inode for name, inode in kept.items())


def test_whole_files_of_an_attempt_in_another_folder_are_taken_over(
    plain: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = plain
    before = merged.merge(base, adapter, tmp_path / "before", shard_bytes=60_000)
    whole = {path.name: path.read_bytes() for path in before.glob("*.safetensors")}
    last = max(whole)
    (before / last).unlink()
    kept = {path.name: path.stat().st_ino for path in before.glob("*.safetensors")}
    target = merged.merge(base, adapter, tmp_path / "after", shard_bytes=60_000, before=before)
    assert {path.name: path.read_bytes() for path in target.glob("*.safetensors")} == whole
    assert all((target / name).stat().st_ino == inode for name, inode in kept.items())
    other = merged.merge(base, adapter, tmp_path / "other", shard_bytes=50_000, before=target)
    assert len(list(target.glob("*.safetensors"))) == len(whole)
    assert merged.weights(other).keys() == merged.weights(target).keys()


def test_a_file_that_was_damaged_meanwhile_is_written_again(
    plain: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = plain
    target = merged.merge(base, adapter, tmp_path / "merged")
    path = target / "model.safetensors"
    good = path.read_bytes()
    path.write_bytes(good[:-4] + b"\x01\x02\x03\x04")
    merged.merge(base, adapter, target)
    assert path.read_bytes() == good


@pytest.mark.parametrize(
    ("name", "dtype"), [("bf16", torch.bfloat16), ("f16", torch.float16), ("f32", torch.float32)]
)
def test_numbers_are_written_in_the_format_that_was_chosen(
    name: str, dtype: torch.dtype, plain: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = plain
    target = merged.merge(base, adapter, tmp_path / "merged", number_format=name)
    exact = merged.weights(merged.merge(base, adapter, tmp_path / "exact"))
    for tensor_name, found in merged.weights(target).items():
        assert found.dtype == dtype
        assert torch.equal(found, exact[tensor_name].to(dtype))
    config = json.loads((target / "config.json").read_text())
    assert config["dtype"] == config["torch_dtype"] == str(dtype).removeprefix("torch.")


def test_a_number_too_large_for_the_format_is_named(
    plain: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = plain
    weights = merged.weights(base)
    weights["model.norm.weight"][3] = 1e30
    broken = shutil.copytree(base, tmp_path / "broken")
    save_file(weights, broken / "model.safetensors", {"format": "pt"})
    with pytest.raises(MergeNotFinite) as problem:
        merged.merge(broken, adapter, tmp_path / "merged", number_format="f16")
    assert problem.value.tensor == "model.norm.weight"


def test_a_quantized_base_is_refused(plain: tuple[Path, Path], tmp_path: Path) -> None:
    base, adapter = plain
    quantized = shutil.copytree(base, tmp_path / "quantized")
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "bitsandbytes", "load_in_4bit": True}
    (quantized / "config.json").write_text(json.dumps(config))
    with pytest.raises(BaseQuantized) as problem:
        merged.merge(quantized, adapter, tmp_path / "merged")
    assert problem.value.method == "bitsandbytes"


def test_older_readers_find_the_positions_and_the_tokenizer_under_the_names_they_know(
    plain: tuple[Path, Path], tmp_path: Path
) -> None:
    base, adapter = plain
    config = json.loads((base / "config.json").read_text())
    config["rope_parameters"] = {"rope_type": "linear", "factor": 2.0, "rope_theta": 5000.0}
    other = shutil.copytree(base, tmp_path / "base")
    (other / "config.json").write_text(json.dumps(config))
    (other / "tokenizer_config.json").write_text('{"tokenizer_class": "TokenizersBackend"}')
    target = merged.merge(other, adapter, tmp_path / "merged")
    written = json.loads((target / "config.json").read_text())
    assert written["rope_theta"] == 5000.0
    assert written["rope_scaling"]["type"] == "linear"
    assert written["rope_scaling"]["factor"] == 2.0
    tokenizer = json.loads((target / "tokenizer_config.json").read_text())
    assert tokenizer["tokenizer_class"] == "PreTrainedTokenizerFast"
    wanted = merged.peft_logits(other, adapter)
    assert float((merged.logits(target) - wanted).abs().max() / wanted.abs().max()) < 2e-6


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny base and a plain adapter of it."""
    folder = tmp_path_factory.mktemp("plain")
    base = tiny.save_folder(folder / "base")
    return base, merged.adapter(base, folder / "adapter")
