"""Answers in a batch are those that transformers and PEFT give to each question alone."""

from pathlib import Path
from typing import Any

import pytest
import torch

from easytune.engine import decoding
from tests.engine import asking, tiny
from tests.engine.asking import Desk, asked, expected

FAMILIES = (
    "llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text", "phi", "phi3",
    "deepseek_v3", "granite", "gpt2",
)  # fmt: skip
TEXTS = ("hello world, how are you", "the", "the answer is blue, how are the world")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mixed_batch_says_what_each_model_says_alone(family: str, tmp_path: Path) -> None:
    folder = tiny.save_folder(tmp_path / "model", family)
    plain = asking.save_adapter(tmp_path / "plain", family)
    other = asking.save_adapter(tmp_path / "other", family, r=6, use_rslora=True, seed=8)
    dora = asking.save_adapter(tmp_path / "dora", family, use_dora=True, seed=5)
    desk = Desk(folder)
    adapters = (None, plain, other, plain, dora, dora)
    texts = (TEXTS[0], TEXTS[1], TEXTS[2], TEXTS[2], TEXTS[0], TEXTS[2])
    heard = desk.ask(*(asked(t, a) for t, a in zip(texts, adapters, strict=True)))
    for text, adapter, one in zip(texts, adapters, heard, strict=True):
        assert one.tokens == expected(desk, folder, text, adapter)
    assert [one.began.mode for one in heard if one.began] == ["batch"] * 4 + ["in_turn"] * 2
    assert len({tuple(one.tokens) for one in heard}) >= 4


@pytest.mark.parametrize(
    ("family", "reads"), [("llama", 2), ("gpt2", 2), ("deepseek_v3", 2), ("mistral", 1)]
)
def test_prompts_read_apart_are_answered_as_if_alone(
    family: str, reads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tiny.save_folder(tmp_path / "model", family)
    plain = asking.save_adapter(tmp_path / "plain", family)
    other = asking.save_adapter(tmp_path / "other", family, r=6, use_rslora=True, seed=8)
    desk = Desk(folder)
    widths: list[int] = []
    desk.held.model.register_forward_pre_hook(
        lambda model, _, given: widths.append(given["input_ids"].shape[1]), with_kwargs=True
    )
    # The shortest prompt is one token, as wide as a step. What a model with a window has read apart
    # cannot be put together.
    monkeypatch.setattr(decoding, "_LITTLE", {"cpu": 0})
    pairs = [(TEXTS[2], plain), (TEXTS[2], None), (TEXTS[0], other), (TEXTS[1], plain)]

    heard = desk.ask(*(asked(text, adapter) for text, adapter in pairs))

    assert sum(width > 1 for width in widths) == reads
    for (text, adapter), one in zip(pairs, heard, strict=True):
        assert one.tokens == expected(desk, folder, text, adapter)


def test_rows_are_read_apart_where_padding_would_be_much() -> None:
    assert decoding.alike([300, 300, 290, 40, 38, 5], 64) == [slice(0, 3), slice(3, 6)]
    assert decoding.alike([7], 64) == [slice(0, 1)]


@pytest.mark.parametrize("family", ["llama", "gpt2", "deepseek_v3"])
@pytest.mark.parametrize("options", [{}, {"use_dora": True}, {"r": 6, "use_rslora": True}])
def test_an_adapter_alone_is_merged_and_taken_out_without_a_trace(
    family: str, options: dict[str, Any], tmp_path: Path
) -> None:
    folder = tiny.save_folder(tmp_path / "model", family)
    adapter = asking.save_adapter(tmp_path / "adapter", family, **options)
    desk = Desk(folder)
    before = copies(desk)
    (heard,) = desk.ask(asked(TEXTS[0], adapter))
    assert heard.began
    assert heard.began.mode == "alone"
    assert any(not torch.equal(before[n], p) for n, p in desk.held.model.named_parameters())
    assert heard.tokens == expected(desk, folder, TEXTS[0], adapter)
    (heard,) = desk.ask(asked(TEXTS[0]))
    assert heard.tokens == expected(desk, folder, TEXTS[0], None)
    assert all(torch.equal(before[n], p) for n, p in desk.held.model.named_parameters())


@pytest.mark.parametrize(
    "options",
    [
        {"modules_to_save": ["lm_head"]},
        {"modules_to_save": ["embed_tokens"]},
        {"target_modules": ["q_proj", "embed_tokens"]},
        {"trainable_token_indices": [5, 6, 7, 104]},
        {"lora_bias": True},
        {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"layers.0.self_attn.k_proj": 64}},
    ],
    ids=lambda options: "+".join(options),
)
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_unusual_adapters_say_what_peft_makes_them_say(
    options: dict[str, Any], tied: bool, tmp_path: Path
) -> None:
    folder = tiny.save_folder(tmp_path / "model", tie_word_embeddings=tied)
    adapter = asking.save_adapter(tmp_path / "adapter", tie_word_embeddings=tied, **options)
    desk = Desk(folder)
    before = copies(desk)
    heard = desk.ask(asked(TEXTS[0], adapter), asked(TEXTS[1]), asked(TEXTS[0]))
    assert heard[0].tokens == expected(desk, folder, TEXTS[0], adapter)
    assert heard[1].tokens == expected(desk, folder, TEXTS[1], None)
    assert heard[0].tokens != heard[2].tokens
    desk.attached.release()
    assert before.keys() == dict(desk.held.model.named_parameters()).keys()
    assert all(torch.equal(before[name], p) for name, p in desk.held.model.named_parameters())


def copies(desk: Desk) -> dict[str, torch.Tensor]:
    return {name: p.clone() for name, p in desk.held.model.named_parameters()}
