"""Make the demo model from nothing: `python -m easytune.demo.build`.

Writes the text, learns the tokenizer, trains, asks the questions that were kept back, and
leaves the model with its card in the demo folder. About 20 minutes on two processor cores.
"""

import argparse
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from easytune.demo import MODEL
from easytune.demo.corpus import conversations
from easytune.demo.questions import Question, split_questions
from easytune.demo.scoring import exact_match
from easytune.demo.tokenizer import END, MAX_LENGTH, PAD, build_tokenizer
from easytune.demo.training import Recipe, train

SEED = 2
TOKENIZER_SAMPLE = 20_000
LONG_SHARE = 0.4
"""The share of long conversations in the last part of the training."""
FINISH = Recipe(steps=200, learning_rate=1e-3, warmup_steps=20, conversations_per_chunk=1600)
"""The last part: short, gentle, and with long conversations among the others."""
SUMS_ASKED = 500
"""Of the many sums kept back, how many are asked in the end."""


@dataclass(frozen=True)
class Outcome:
    """What the model card reports."""

    parameters: int
    minutes: float
    loss: float
    scores: dict[str, tuple[int, int]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Build the demo model from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--folder", type=Path, default=MODEL)
    parser.add_argument("--save-every", type=int, default=500)
    options = parser.parse_args(arguments)
    recipe = replace(Recipe(), steps=options.steps)
    outcome = build(options.folder, recipe, options.save_every)
    card = describe(outcome, recipe)
    (options.folder / "README.md").write_text(card, encoding="utf-8")
    sys.stdout.write(card)


def build(folder: Path, recipe: Recipe, save_every: int) -> Outcome:
    """Train the model, save it in `folder`, and measure it on the questions kept back."""
    torch.manual_seed(SEED)
    questions, held_out = split_questions()
    tokenizer = build_tokenizer(islice(conversations(questions, SEED), TOKENIZER_SAMPLE))
    model = _new_model(tokenizer)
    progress = _Progress(model, tokenizer, folder, save_every)
    train(model, tokenizer, conversations(questions, SEED + 1), recipe, progress)
    train(model, tokenizer, conversations(questions, SEED + 2, LONG_SHARE), FINISH, progress)
    progress.save()
    minutes = progress.minutes
    model.eval()
    scores = exact_match(model, tokenizer, asked_in_the_end(held_out))
    return Outcome(model.num_parameters(), minutes, progress.loss, scores)


def asked_in_the_end(held_out: list[Question]) -> list[Question]:
    """Return every question kept back, but of the sums only a sample."""
    sums = [q for q in held_out if q.category.startswith("sums")]
    others = [q for q in held_out if not q.category.startswith("sums")]
    return others + random.Random(SEED).sample(sums, SUMS_ASKED)


def _new_model(tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=512,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=MAX_LENGTH,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.get_vocab()[END],
        pad_token_id=tokenizer.get_vocab()[PAD],
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig.from_model_config(config)
    model.generation_config.update(do_sample=False, max_new_tokens=128)
    return model


class _Progress:
    """Prints how the training goes and saves the model now and then."""

    def __init__(
        self,
        model: LlamaForCausalLM,
        tokenizer: PreTrainedTokenizerBase,
        folder: Path,
        save_every: int,
    ) -> None:
        self.loss = 0.0
        self._began = time.monotonic()
        self._model = model
        self._tokenizer = tokenizer
        self._folder = folder
        self._save_every = save_every

    def __call__(self, step: int, loss: float) -> None:
        # A running mean over about 50 steps: single batches are too noisy to report.
        self.loss = loss if step == 1 else 0.98 * self.loss + 0.02 * loss
        if step % 50 == 0:
            sys.stdout.write(f"step {step}  loss {self.loss:.4f}  {self.minutes:.1f} min\n")
            sys.stdout.flush()
        if step % self._save_every == 0:
            self.save()

    @property
    def minutes(self) -> float:
        return (time.monotonic() - self._began) / 60

    def save(self) -> None:
        self._model.save_pretrained(self._folder)
        self._tokenizer.save_pretrained(self._folder)


def describe(outcome: Outcome, recipe: Recipe) -> str:
    """Return the model card, with the figures as measured."""
    right = sum(r for r, _ in outcome.scores.values())
    asked = sum(n for _, n in outcome.scores.values())
    rows = "\n".join(
        f"| {category} | {r} of {n} | {r / n:.1%} |"
        for category, (r, n) in sorted(outcome.scores.items())
    )
    return CARD.format(
        parameters=outcome.parameters / 1e6,
        steps=recipe.steps + FINISH.steps,
        batch_size=recipe.batch_size,
        minutes=outcome.minutes,
        loss=outcome.loss,
        right=right,
        asked=asked,
        share=right / asked,
        rows=rows,
    )


CARD = """\
---
license: apache-2.0
language: [en, zh]
pipeline_tag: text-generation
---

# EasyTune demo model

A language model of {parameters:.1f} million parameters, made so that EasyTune can be tried in a
minute on any machine. It has the Llama architecture, its own byte-level tokenizer, and a ChatML
template. It greets, says who it is, adds numbers up to 50, and knows some capitals, opposites,
colours, translations, sounds and days, in English and partly in Chinese. It has also
seen small JSON records and one-sentence stories. It is there to be fine-tuned, not believed.

Its text was written by `easytune.demo.corpus`; no other text was used. Make it again with
`python -m easytune.demo.build`.

## Training

{steps} steps of {batch_size} conversations, {minutes:.0f} minutes on two processor cores, AdamW
with a cosine schedule. Final loss {loss:.3f}.

## Exact answers to questions kept back

The model has met each phrasing and each fact, but never these together; the sums are pairs of
numbers that it has not seen in any phrasing. Greedy, counted letter for letter.

**{right} of {asked}: {share:.1%}**

| questions | exact | share |
|---|---|---|
{rows}
"""


if __name__ == "__main__":
    main()
