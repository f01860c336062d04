"""A plain training loop, small enough to read in one go: the demo model is made by it."""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module
from torch.nn.functional import cross_entropy
from transformers import PreTrainedTokenizerBase

from easytune.demo.corpus import Conversation


@dataclass(frozen=True)
class Recipe:
    """The dials of the training."""

    steps: int = 6000
    batch_size: int = 32
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    prompt_weight: float = 0.1
    """How much a token of the user counts against one of the answer."""
    conversations_per_chunk: int = 4800
    """How many are sorted by length together, so that a batch holds little padding."""


Batch = tuple[Tensor, Tensor]
OnStep = Callable[[int, float], None]


def train(
    model: Module,
    tokenizer: PreTrainedTokenizerBase,
    stream: Iterator[Conversation],
    recipe: Recipe,
    on_step: OnStep,
) -> None:
    """Train the model in place; `on_step` hears each step and its loss."""
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        betas=(0.9, 0.98),
        weight_decay=recipe.weight_decay,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, recipe))
    batches = islice(_batches(tokenizer, stream, recipe), recipe.steps)
    for step, (tokens, weights) in enumerate(batches, start=1):
        loss = _loss(model, tokens, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        on_step(step, loss.item())


def _rate(step: int, recipe: Recipe) -> float:
    """Return the share of the learning rate: a short rise, then half a cosine down to nothing."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def _loss(model: Module, tokens: Tensor, weights: Tensor) -> Tensor:
    # Padding is on the right, where causal attention never looks: no mask is needed.
    logits = model(tokens, use_cache=False).logits[:, :-1]
    counted = weights[:, 1:].flatten() > 0
    losses = cross_entropy(
        logits.flatten(0, 1)[counted], tokens[:, 1:].flatten()[counted], reduction="none"
    )
    weight = weights[:, 1:].flatten()[counted]
    return (losses * weight).sum() / weight.sum()


def _batches(
    tokenizer: PreTrainedTokenizerBase, stream: Iterator[Conversation], recipe: Recipe
) -> Iterator[Batch]:
    rng = random.Random(0)
    while True:
        chunk = list(islice(stream, recipe.conversations_per_chunk))
        rendered: Any = tokenizer.apply_chat_template(
            chunk, return_dict=True, return_assistant_tokens_mask=True
        )
        pairs = zip(rendered["input_ids"], rendered["assistant_masks"], strict=True)
        rows = sorted(pairs, key=lambda row: len(row[0]))
        starts = list(range(0, len(rows), recipe.batch_size))
        rng.shuffle(starts)
        for start in starts:
            yield _pad(rows[start : start + recipe.batch_size], recipe.prompt_weight)


def _pad(rows: list[tuple[list[int], list[int]]], prompt_weight: float) -> Batch:
    width = max(len(tokens) for tokens, _ in rows)
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    weights = torch.zeros(len(rows), width)
    for i, (row, mask) in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
        weights[i, : len(row)] = torch.tensor(mask, dtype=torch.float).clamp(min=prompt_weight)
    return tokens, weights
