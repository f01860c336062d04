"""Show that fine-tuning works on the demo: `python -m easytune.demo.proof`.

Trains one LoRA adapter for each demo dataset with plain peft, and prints how many of the rows
kept back are answered exactly right before and after.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerBase

from easytune.demo import DATASETS, MODEL, DemoDataset
from easytune.demo.corpus import Conversation, assistant, user
from easytune.demo.scoring import answer
from easytune.demo.training import Recipe, train

EPOCHS = {"style": 6, "knowledge": 10, "instruction": 6}
"""How often each dataset is read: about 300 to 380 steps of eight rows."""

SPEAKERS = {"system": "system", "human": "user", "gpt": "assistant"}


@dataclass(frozen=True)
class Gain:
    """What one adapter changed on the rows kept back, and what it cost."""

    before: float
    after: float
    steps: int
    seconds: float
    cpu_seconds: float
    loss: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Train an adapter for each dataset and print the gains."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, default=MODEL)
    parser.add_argument("--datasets", nargs="+", default=list(DATASETS))
    parser.add_argument("--epochs", type=int, help="for every dataset")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument("--rank", type=int, default=16)
    options = parser.parse_args(arguments)
    for name in options.datasets:
        gain = fine_tune(
            options.model,
            DATASETS[name],
            options.epochs or EPOCHS[name],
            options.rank,
            Recipe(
                batch_size=options.batch_size,
                learning_rate=options.learning_rate,
                weight_decay=0.0,
                warmup_steps=10,
                prompt_weight=0.0,
            ),
        )
        sys.stdout.write(f"{name}: {gain}\n")
        sys.stdout.flush()


def fine_tune(folder: Path, dataset: DemoDataset, epochs: int, rank: int, recipe: Recipe) -> Gain:
    """Train an adapter on the dataset and measure it on the rows kept back."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    base = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
    rows, held_out = read(dataset.train), read(dataset.held_out)
    steps = epochs * -(-len(rows) // recipe.batch_size)
    recipe = Recipe(**{**vars(recipe), "steps": steps, "conversations_per_chunk": len(rows)})
    before = share_right(base, tokenizer, held_out)
    model = get_peft_model(
        base, LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear")
    )
    losses: list[float] = []
    began, cpu_began = time.monotonic(), time.process_time()
    model.train()
    train(model, tokenizer, _shuffled(rows), recipe, lambda _, loss: losses.append(loss))
    model.eval()
    seconds, cpu_seconds = time.monotonic() - began, time.process_time() - cpu_began
    # The adapter's layers were put into the base model in place.
    after = share_right(base, tokenizer, held_out)
    return Gain(before, after, steps, seconds, cpu_seconds, sum(losses[-10:]) / 10)


def read(path: Path) -> list[Conversation]:
    """Return the rows of a demo dataset as conversations, whichever of the formats it has."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [_conversation(json.loads(line)) for line in lines]


def _conversation(row: dict) -> Conversation:
    match row:
        case {"messages": messages}:
            return messages
        case {"instruction": ask, "output": output}:
            return [user(ask), assistant(output)]
        case {"conversations": turns}:
            return [{"role": SPEAKERS[t["from"]], "content": t["value"]} for t in turns]
    raise ValueError(f"not a demo row: {sorted(row)}")


def share_right(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerBase, rows: Sequence[Conversation]
) -> float:
    """Return the share of conversations whose last message the model gives word for word."""
    answers = answer(model, tokenizer, [row[:-1] for row in rows])
    right = [a == row[-1]["content"] for a, row in zip(answers, rows, strict=True)]
    return sum(right) / len(rows)


def _shuffled(rows: list[Conversation]) -> Iterator[Conversation]:
    rng = random.Random(0)
    while True:
        yield from rng.sample(rows, len(rows))


if __name__ == "__main__":
    main()
