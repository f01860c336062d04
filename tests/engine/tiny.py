"""Tiny random models of many families, and examples to train them on."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from easytune.data.encoding import Example
from easytune.data.rows import Row

VOCABULARY = 320
_SHAPE: dict[str, Any] = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_OWN: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 8},
    # A window shorter than the rows of the tests.
    "mistral": {"sliding_window": 6},
    "gemma": {"head_dim": 8},
    "gemma2": {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8},
    "gemma3_text": {"head_dim": 8, "sliding_window": 6, "query_pre_attn_scalar": 8},
    "phi": {"num_key_value_heads": 4},
    "phi3": {"sliding_window": 6},
    "deepseek_v3": {
        "num_key_value_heads": 4,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_rope_head_dim": 8,
        "qk_nope_head_dim": 8,
        "v_head_dim": 12,
        "n_routed_experts": 4,
        "num_experts_per_tok": 2,
        "n_group": 2,
        "topk_group": 1,
        "moe_intermediate_size": 16,
        "first_k_dense_replace": 1,
    },
    "granite": {"logits_scaling": 3.0},
    "mixtral": {},
    "gpt2": {},
    "mamba": {},
}
FAMILIES = (
    "llama", "qwen2", "qwen3", "mistral", "gemma", "gemma2", "gemma3_text", "phi", "phi3",
    "deepseek_v3", "granite",
)  # fmt: skip


def model(family: str, **changes: Any) -> PreTrainedModel:
    """Return a random fp32 model with logits that are far from uniform."""
    torch.manual_seed(7)
    config = AutoConfig.for_model(family, **{**_SHAPE, **_OWN.get(family, {}), **changes})
    made = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in made.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)
    return made.eval()


def examples(count: int = 5, seed: int = 0, longest: int = 30) -> list[Example]:
    """Return rows of random tokens of different lengths, the second half of each learned."""
    chance = np.random.default_rng(seed)
    return [_example(int(chance.integers(4, longest)), chance, i) for i in range(count)]


def _example(length: int, chance: np.random.Generator, number: int) -> Example:
    tokens = chance.integers(3, VOCABULARY, length).astype(np.int32)
    trained = np.arange(length) >= length // 2
    row = Row(number=number + 1, source="random", text="random")
    return Example(input_ids=tokens, trained=trained, full_length=length, row=row)


def save_folder(folder: Path, family: str = "llama", **changes: Any) -> Path:
    """Write a model folder with a tokenizer of its own, as the hub would have it."""
    made = model(family, **changes)
    made.save_pretrained(str(folder))
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<pad>", "<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["hello world, how are you", "the answer is blue"], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    content = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "pad_token": "<pad>",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "chat_template": _TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(content))
    return folder


_TEMPLATE = (
    "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>assistant: {% endif %}"
)


def save_rows(path: Path, count: int = 24) -> Path:
    """Write a small data file of questions and answers."""
    colours = ["red", "green", "blue", "black", "white"]
    rows = [
        {
            "instruction": f"colour {i}{'?' * (i % 7)}",
            "output": f"it is {colours[i % 5]} " * (1 + i % 4),
        }
        for i in range(count)
    ]
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def long_example(length: int) -> Example:
    """Return one row of exactly `length` tokens."""
    return _example(length, np.random.default_rng(9), 99)
