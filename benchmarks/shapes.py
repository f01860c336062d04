"""The models and rows that benchmarks use: real shapes, random weights, random tokens."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from easytune.data.encoding import Example

SUPERVISED = 0.61
_MEAN_LENGTH, _SPREAD = 254, 0.6


@dataclass(frozen=True)
class Shape:
    """Dimensions of a model, and of which family it is."""

    hidden: int
    inner: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int
    family: str = "qwen2"
    is_tied: bool = True
    """Whether the head is the embedding."""


SHAPES = {
    "tiny": Shape(192, 512, 4, 4, 2, 1024),
    "100m": Shape(768, 2048, 11, 12, 4, 32_000),
    # As Qwen2.5-0.5B and Llama-3.1-8B.
    "0.5b": Shape(896, 4864, 24, 14, 2, 151_936),
    "8b": Shape(4096, 14_336, 32, 32, 8, 128_256, "llama", is_tied=False),
}


# Other families, by what `transformers` calls them.
FAMILIES: dict[str, tuple[str, dict[str, int]]] = {
    "gemma": ("gemma", {
        "hidden_size": 256, "intermediate_size": 2048, "num_hidden_layers": 6,
        "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 64, "vocab_size": 256_000,
    }),
    "phi": ("phi", {
        "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 6,
        "num_attention_heads": 6, "num_key_value_heads": 6, "vocab_size": 51_200,
    }),
    "llama, deep": ("llama", {
        "hidden_size": 128, "intermediate_size": 344, "num_hidden_layers": 32,
        "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 8000,
    }),
    "llama": ("llama", {
        "hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 6,
        "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": 32_000,
    }),
    "deepseek": ("deepseek_v3", {
        "hidden_size": 384, "intermediate_size": 1024, "num_hidden_layers": 6,
        "num_attention_heads": 6, "num_key_value_heads": 6, "q_lora_rank": 128, "kv_lora_rank": 64,
        "qk_rope_head_dim": 32, "qk_nope_head_dim": 64, "v_head_dim": 64, "n_routed_experts": 8,
        "num_experts_per_tok": 2, "n_group": 2, "topk_group": 1, "moe_intermediate_size": 256,
        "first_k_dense_replace": 2, "vocab_size": 32_000,
    }),
}  # fmt: skip


def save_family(name: str, folder: Path) -> None:
    """Write a model folder of one of `FAMILIES` with random bf16 weights."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    family, dimensions = FAMILIES[name]
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    config = AutoConfig.for_model(family, max_position_embeddings=8192, **special, **dimensions)
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(config).to(torch.bfloat16).save_pretrained(folder)


def save(shape: Shape, folder: Path) -> None:
    """Write a model folder with random bf16 weights, made on a GPU where there is one."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        shape.family,
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=shape.is_tied,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    model.save_pretrained(folder)


def save_tokenizer(folder: Path) -> None:
    """Write a tokenizer of three words: trainers insist on one, though rows are tokens here."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = {"<pad>": 0, "<s>": 1, "</s>": 2}
    PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="<pad>")),
        pad_token="<pad>", bos_token="<s>", eos_token="</s>",
    ).save_pretrained(folder)  # fmt: skip


def rows(count: int, vocabulary: int) -> list["Example"]:
    """Return rows with the lengths of Alpaca: 254 tokens on average, 61% of them learned."""
    from easytune.data.encoding import Example
    from easytune.data.rows import Row

    return [
        Example(
            ids, np.arange(len(ids)) >= len(ids) * (1 - SUPERVISED), len(ids), Row(i, "", text="")
        )
        for i, ids in enumerate(token_rows(count, vocabulary))
    ]


def full_rows(count: int, vocabulary: int, length: int) -> list[np.ndarray]:
    """Return rows that all have `length` tokens."""
    chance = np.random.default_rng(1)
    return [chance.integers(100, vocabulary, length).astype(np.int32) for _ in range(count)]


def flops_per_token(
    shape: Shape, rank: int, mean_length: float, supervised: float = SUPERVISED
) -> float:
    """Return the products that LoRA training cannot do without, forward and backward.

    Frozen linear layers cost 4 per weight (their own gradient is not needed), the adapter 6, the
    head only where a token is learned; attention half of a square, forward and backward.
    """
    head = shape.hidden // shape.heads
    kv = shape.key_value_heads * head
    pairs = [
        (shape.hidden, shape.hidden), (shape.hidden, kv), (shape.hidden, kv),
        (shape.hidden, shape.hidden), (shape.hidden, shape.inner), (shape.hidden, shape.inner),
        (shape.inner, shape.hidden),
    ]  # fmt: skip
    linear = sum(a * b for a, b in pairs) * shape.layers
    adapter = sum((a + b) * rank for a, b in pairs) * shape.layers
    attention = 6 * shape.layers * shape.hidden * mean_length
    top = 4 * shape.vocabulary * shape.hidden * supervised
    return 4 * linear + top + 6 * adapter + attention


def token_rows(count: int, vocabulary: int) -> Iterator[np.ndarray]:
    """Yield rows with the lengths of Alpaca."""
    chance = np.random.default_rng(1)
    middle = np.log(_MEAN_LENGTH) - _SPREAD**2 / 2
    lengths = np.clip(chance.lognormal(middle, _SPREAD, count), 24, 1024).astype(int)
    for length in lengths:
        yield chance.integers(100, vocabulary, length).astype(np.int32)
