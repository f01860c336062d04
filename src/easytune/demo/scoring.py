"""Asking a model and counting the answers that are right, letter for letter."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from transformers import LlamaForCausalLM, PreTrainedTokenizerBase

from easytune.demo.corpus import Conversation, user
from easytune.demo.questions import Question

BATCH_SIZE = 128


def answer(
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Conversation],
    max_new_tokens: int = 64,
) -> list[str]:
    """Return the model's greedy answer to each conversation."""
    answers: list[str] = []
    for start in range(0, len(prompts), BATCH_SIZE):
        batch: Any = tokenizer.apply_chat_template(
            list(prompts[start : start + BATCH_SIZE]),
            add_generation_prompt=True,
            padding=True,
            return_tensors="pt",
            return_dict=True,
            tokenizer_kwargs={"padding_side": "left"},
        )
        with torch.no_grad():
            written = model.generate(  # pyright: ignore[reportAttributeAccessIssue]
                **batch, max_new_tokens=max_new_tokens, do_sample=False
            )
        new = written[:, batch["input_ids"].shape[1] :]
        answers += tokenizer.batch_decode(new, skip_special_tokens=True)
    return answers


def exact_match(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, questions: Sequence[Question]
) -> dict[str, tuple[int, int]]:
    """Return, for each category, how many answers are exactly right and how many were asked."""
    answers = answer(model, tokenizer, [[user(q.prompt)] for q in questions])
    asked = Counter(q.category for q in questions)
    right = Counter(q.category for q, a in zip(questions, answers, strict=True) if a == q.answer)
    return {category: (right[category], total) for category, total in asked.items()}
