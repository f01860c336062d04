"""The parity gate: whatever is done to an export on purpose, it is found."""

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import peft
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from easytune.data import tokenizer as tokenizers
from easytune.data.rows import Message
from easytune.engine.parity import gate, limits, prompts, transformers_runtime
from easytune.engine.parity.reference import Said, record
from easytune.engine.parity.runtime import NoLogits
from easytune.engine.parity.transformers_runtime import TransformersRuntime
from easytune.export import GateSection
from easytune.export_files import Parity
from tests.engine import merged, tiny

NEW_TOKENS = 6
Weights = dict[str, Tensor]
_Q, _K = "model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight"


@dataclass(frozen=True)
class Bench:
    """A base, its adapter, the merged model of both, and what the trained model says."""

    base: Path
    adapter: Path
    whole: Path
    trained: TransformersRuntime
    said: list[Said]

    def check(self, folder: Path, number_format: str = "f32") -> Parity:
        """Hold a folder against the trained model."""
        exported = transformers_runtime.load(folder)
        allowed = limits.for_format(number_format, "merged")
        return gate.against(self.said, self.trained.ends(), exported, allowed, NEW_TOKENS)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("parity")
    base = tiny.save_folder(folder / "base", num_key_value_heads=4, tie_word_embeddings=True)
    adapter = merged.adapter(base, folder / "adapter")
    whole = merged.merge(base, adapter, folder / "whole")
    trained = _peft(base, adapter)
    found = prompts.load(tokenizers.load(base), 256, 8, NEW_TOKENS)
    said = record(trained, found, NEW_TOKENS, folder / "said", lambda done, total: None)
    return Bench(base, adapter, whole, trained, said)


def _peft(base: Path, adapter: Path) -> TransformersRuntime:
    from transformers import AutoModelForCausalLM

    model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    with_adapter = peft.PeftModel.from_pretrained(model, str(adapter)).eval()
    found = TransformersRuntime("peft", with_adapter, tokenizers.load(base))
    assert found.version == peft.__version__
    return found


def test_what_was_merged_passes_with_all_that_was_learned(bench: Bench) -> None:
    found = bench.check(bench.whole)
    assert found.passed
    assert found.reason == ""
    assert found.departure is None
    assert found.kl is not None
    assert found.kl < 1e-9
    assert found.learned == pytest.approx(1, abs=1e-4)
    assert found.greedy_agreement == found.top1 == 1.0


@pytest.mark.parametrize("number_format", ["bf16", "f16"])
def test_rounding_to_half_precision_passes(
    number_format: str, bench: Bench, tmp_path: Path
) -> None:
    target = merged.merge(bench.base, bench.adapter, tmp_path / "half", number_format=number_format)
    found = bench.check(target, number_format)
    assert found.passed, found


def _scaled(weights: Weights) -> None:
    weights[_Q] *= 1.05


def _one_number(weights: Weights) -> None:
    weights["model.layers.1.mlp.down_proj.weight"][3, 5] += 5.0


def _swapped(weights: Weights) -> None:
    other = _Q.replace("q_proj", "k_proj")
    weights[_Q], weights[other] = weights[other], weights[_Q]


def _layer_gone(weights: Weights) -> None:
    for name in list(weights):
        if name.startswith("model.layers.1.") and "norm" not in name:
            weights[name] = torch.zeros_like(weights[name])


def _layers_swapped(weights: Weights) -> None:
    for name in [name for name in weights if name.startswith("model.layers.0.")]:
        other = name.replace("layers.0", "layers.1")
        weights[name], weights[other] = weights[other], weights[name]


def _transposed(weights: Weights) -> None:
    weights[_K] = weights[_K].t().contiguous()


def _words_permuted(weights: Weights) -> None:
    embedding = weights["model.embed_tokens.weight"]
    weights["model.embed_tokens.weight"] = embedding.roll(1, 0)


def _heads_permuted(weights: Weights) -> None:
    # As llama.cpp's converter lays them out, and somebody forgot to turn them back.
    own = weights[_Q]
    weights[_Q] = own.view(4, 2, 4, 32).transpose(1, 2).reshape(32, 32).contiguous()


def _norm_off(weights: Weights) -> None:
    # Gemma keeps 1 less than others.
    weights["model.norm.weight"] -= 1.0


def _coarse(weights: Weights) -> None:
    for name, tensor in weights.items():
        step = tensor.abs().max() / 7
        weights[name] = (tensor / step).round() * step


def _a_bias_of_noise(weights: Weights) -> None:
    weights["model.layers.0.input_layernorm.weight"] += 0.05


def _not_a_number(weights: Weights) -> None:
    weights[_K][0, 0] = float("nan")


IN_WEIGHTS: tuple[Callable[[Weights], None], ...] = (
    _scaled, _one_number, _swapped, _layer_gone, _layers_swapped, _transposed, _words_permuted,
    _heads_permuted, _norm_off, _coarse, _a_bias_of_noise, _not_a_number,
)  # fmt: skip


@pytest.mark.parametrize("damage", IN_WEIGHTS)
def test_damaged_weights_are_found(
    damage: Callable[[Weights], None], bench: Bench, tmp_path: Path
) -> None:
    target = shutil.copytree(bench.whole, tmp_path / "damaged")
    weights = load_file(target / "model.safetensors")
    damage(weights)
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    found = bench.check(target)
    assert not found.passed
    assert found.departure is not None
    assert found.advice == "damaged"


@pytest.mark.parametrize("strength", [0.0, 0.5, 0.9, 1.1])
def test_another_strength_is_found(strength: float, bench: Bench, tmp_path: Path) -> None:
    target = merged.merge(bench.base, bench.adapter, tmp_path / "weak", strength=strength)
    found = bench.check(target)
    assert not found.passed
    assert found.learned == pytest.approx(strength, abs=0.05)


def test_an_adapter_that_changes_next_to_nothing_is_missed_all_the_same(
    bench: Bench, tmp_path: Path
) -> None:
    faint = shutil.copytree(bench.adapter, tmp_path / "faint")
    config = json.loads((faint / "adapter_config.json").read_text())
    (faint / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 0.05}))
    given = [one.prompt for one in bench.said]
    said = record(_peft(bench.base, faint), given, 4, tmp_path / "said", lambda d, t: None)
    allowed = limits.for_format("f32", "merged")
    found = gate.against(said, frozenset(), transformers_runtime.load(bench.base), allowed, 4)
    assert found.kl is not None
    assert found.kl < allowed.kl
    assert found.reason == "learned"
    assert found.learned == pytest.approx(0, abs=1e-3)


CONFIGS: dict[str, dict[str, Any]] = {
    "rope": {"rope_parameters": {"rope_type": "default", "rope_theta": 500.0}, "rope_theta": 500.0},
    "norm": {"rms_norm_eps": 0.05},
    "activation": {"hidden_act": "relu"},
    "scaling": {"rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 10000.0}},
}


@pytest.mark.parametrize("change", CONFIGS)
def test_a_changed_configuration_is_found(change: str, bench: Bench, tmp_path: Path) -> None:
    target = shutil.copytree(bench.whole, tmp_path / "damaged")
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | CONFIGS[change]))
    assert not bench.check(target).passed


def test_a_head_that_is_no_longer_tied_and_wrong_is_found(bench: Bench, tmp_path: Path) -> None:
    target = shutil.copytree(bench.whole, tmp_path / "damaged")
    weights = load_file(target / "model.safetensors")
    weights["lm_head.weight"] = weights["model.embed_tokens.weight"].flip(0).contiguous()
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": False}))
    assert not bench.check(target).passed


def test_another_tokenizer_template_or_end_is_found(bench: Bench, tmp_path: Path) -> None:
    for name, change, reason in (
        ("tokenizer.json", _other_words, "tokens"),
        ("tokenizer_config.json", _other_template, "template"),
        ("tokenizer_config.json", _other_end, "ends"),
    ):
        target = shutil.copytree(bench.whole, tmp_path / reason)
        content = json.loads((target / name).read_text())
        change(content)
        (target / name).write_text(json.dumps(content))
        for other in ("config.json", "generation_config.json"):
            rest = json.loads((target / other).read_text())
            (target / other).write_text(json.dumps(rest | {"eos_token_id": None}))
        found = bench.check(target)
        assert found.reason == reason
        assert found.advice == "reader"
        assert found.departure is not None
        assert found.departure.expected != found.departure.got


def _other_words(content: dict[str, Any]) -> None:
    words = content["model"]["vocab"]
    first, second = list(words)[40:42]
    words[first], words[second] = words[second], words[first]


def _other_template(content: dict[str, Any]) -> None:
    content["chat_template"] = content["chat_template"].replace("assistant:", "model:")


def _other_end(content: dict[str, Any]) -> None:
    content["eos_token"] = "<s>"


class _Speaking:
    """A runtime that only writes, like a server."""

    name, version = "server", "1"

    def __init__(self, model: TransformersRuntime, instead: dict[int, int]) -> None:
        self._model, self._instead = model, instead

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        raise NoLogits

    def greedy(self, tokens: Sequence[int], new_tokens: int) -> list[int]:
        found = self._model.greedy(tokens, new_tokens)
        return [self._instead.get(token, token) for token in found]

    def close(self) -> None:
        return None


def test_a_runtime_that_only_writes_is_held_to_its_answers(bench: Bench) -> None:
    allowed, ends = limits.for_format("f32", "deployment"), bench.trained.ends()
    good = gate.against(bench.said, ends, _Speaking(bench.trained, {}), allowed, NEW_TOKENS)
    assert good.passed
    assert good.kl is good.top1 is good.perplexity_exported is None
    spoken = {token for one in bench.said for token in one.answer}
    wrong = _Speaking(bench.trained, dict.fromkeys(spoken, 77))
    bad = gate.against(bench.said, ends, wrong, allowed, NEW_TOKENS)
    assert bad.reason == "greedy"
    assert bad.departure is not None
    assert bad.departure.got == str([77])


def test_limits_follow_the_format_and_the_wish_of_the_user() -> None:
    names = ("f32", "bf16", "q8_0", "q4_k_m", "q2_k")
    found = [limits.for_format(name, "gguf").kl for name in names]
    assert found == sorted(found)
    assert limits.for_format("fp32", "adapter").kl == 1e-6
    wished = limits.chosen(limits.for_format("f32", "merged"), GateSection(kl=0.5))
    assert wished.kl == 0.5
    rounded = limits.in_half_precision(limits.for_format("f32", "merged"))
    assert rounded.kl > limits.for_format("bf16", "merged").kl
    assert rounded.logit is None
    assert wished.greedy == limits.for_format("f32", "merged").greedy


def test_a_failure_of_a_quantized_format_asks_for_a_finer_one(bench: Bench, tmp_path: Path) -> None:
    target = shutil.copytree(bench.whole, tmp_path / "coarse")
    weights = load_file(target / "model.safetensors")
    _layer_gone(weights)
    save_file(weights, target / "model.safetensors", {"format": "pt"})
    assert bench.check(target, "q4_0").advice == "finer"


def test_prompts_are_many_kinds_and_the_same_each_time(bench: Bench) -> None:
    tokenizer = tokenizers.load(bench.base)
    found = prompts.load(tokenizer, 256, 32, 16)
    assert len(found) == 32
    assert found == prompts.load(tokenizer, 256, 32, 16)
    assert any(one.messages == (Message("user", "Who are you?"),) for one in found)
    assert all(2 <= len(one.tokens) <= prompts.LENGTH for one in found)
    short = prompts.load(tokenizer, 24, 32, 16)
    assert all(len(one.tokens) <= 8 for one in short)
