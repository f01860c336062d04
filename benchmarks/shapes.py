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
    """Dimensions of a Qwen2-like model."""

    hidden: int
    inner: int
    layers: int
    heads: int
    key_value_heads: int
    vocabulary: int


SHAPES = {
    "tiny": Shape(192, 512, 4, 4, 2, 1024),
    "100m": Shape(768, 2048, 11, 12, 4, 32_000),
    "500m": Shape(896, 4864, 24, 14, 2, 151_936),
}


def save(shape: Shape, folder: Path) -> None:
    """Write a model folder with random bf16 weights."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    torch.set_default_dtype(torch.bfloat16)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    torch.set_default_dtype(torch.float32)


def rows(count: int, vocabulary: int) -> list["Example"]:
    """Return rows with the lengths of Alpaca: 254 tokens on average, 61% of them learned."""
    from easytune.data.encoding import Example
    from easytune.data.rows import Row

    return [
        Example(
            ids, np.arange(len(ids)) >= len(ids) * (1 - SUPERVISED), len(ids), Row(i, "", text="")
        )
        for i, ids in enumerate(_token_rows(count, vocabulary))
    ]


def flops_per_token(shape: Shape, rank: int, mean_length: float) -> float:
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
    top = 4 * shape.vocabulary * shape.hidden * SUPERVISED
    return 4 * linear + top + 6 * adapter + attention


def _token_rows(count: int, vocabulary: int) -> Iterator[np.ndarray]:
    chance = np.random.default_rng(1)
    middle = np.log(_MEAN_LENGTH) - _SPREAD**2 / 2
    lengths = np.clip(chance.lognormal(middle, _SPREAD, count), 24, 1024).astype(int)
    for length in lengths:
        yield chance.integers(100, vocabulary, length).astype(np.int32)
