"""The base's own answers as a probe: prompts only are given, the base writes the rest.

The base answers each prompt once by plain sampling (temperature 1, nothing cut off). What it writes
are samples of its own distribution p, so log p - log q over them estimates the divergence
KL(p ‖ q) of a tuned model q from it without bias, in any language and chat format.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from easytune import forgetting
from easytune.data.probe import ProbeRow
from easytune.engine.answer_text import AnswerText, Detokenizer
from easytune.engine.decoding import Decoding, Row
from easytune.engine.evaluating.candidates import Asked
from easytune.engine.held import Held
from easytune.engine.sampling import Sampler
from easytune.forgetting import Score
from easytune.generation import SamplingSection

PROMPTS = 64
"""Prompts that are answered at most; a probe lists its categories in turns."""
LENGTH = 64
"""Tokens of an answer at most."""
_BEGINNING = 16
_AT_ONCE = 16
_LARGEST_SEED = 2**32


def sample(
    asked: Asked, rows: Sequence[ProbeRow], seed: int, stop: Callable[[], bool]
) -> list[ProbeRow]:
    """Return the prompts of some rows with the base's own answers, of which every token counts.

    The prompt of a conversation is what comes before its first answer, that of a plain text its
    first tokens. The same seed gives the same answers. Fewer after a stop.
    """
    prompts = [
        (row, prompt)
        for row in rows[:PROMPTS]
        if len(prompt := _prompt(row)) and _room(asked.held, len(prompt)) > 0
    ]
    size = _AT_ONCE if asked.held.batches else 1
    found: list[ProbeRow] = []
    with asked.attached.applied([None]):
        for start in range(0, len(prompts), size):
            if stop():
                break
            part = prompts[start : start + size]
            answers = _answers(asked.held, [p for _, p in part], seed + start, stop)
            found += [
                _answered(row, prompt, answer)
                for (row, prompt), answer in zip(part, answers, strict=True)
                if answer
            ]
    return found


def divergence(differences: Sequence[float], tokens: Sequence[int]) -> Score:
    """Return the mean of NLL_tuned - NLL_base per token, which estimates KL(base ‖ tuned).

    `differences` are means over the `tokens` of each sequence. Every token counts the same: the
    sum over a sequence is what is unbiased, its mean is not, since the answer itself decides how
    long it is. The interval is that of a ratio of sums. Raises ValueError without any.
    """
    counts = np.asarray(tokens, dtype=np.float64)
    sums = np.asarray(differences, dtype=np.float64) * counts
    if not len(sums):
        raise ValueError("no sequences")
    ratio = sums.sum() / counts.sum()
    return forgetting.score((ratio + (sums - ratio * counts) / counts.mean()).tolist())


def _prompt(row: ProbeRow) -> np.ndarray:
    first = int(np.flatnonzero(row.scored)[0])
    # Of a plain text everything counts but its first token.
    length = first if first > 1 else min(_BEGINNING, (len(row.input_ids) + 1) // 2)
    return row.input_ids[:length]


def _room(held: Held, tokens: int) -> int:
    return min(LENGTH, (held.context or tokens + LENGTH) - tokens)


def _answers(
    held: Held, prompts: Sequence[np.ndarray], seed: int, stop: Callable[[], bool]
) -> list[list[int]]:
    """Return the tokens of each answer, the one that ends it included; none after a stop."""
    made = [_row(held, place, prompt, seed) for place, prompt in enumerate(prompts)]
    decoding = Decoding(
        model=held.model,
        rows=[row for row, _ in made],
        eos_ids=held.tokenizer.eos_ids,
        pad_id=held.tokenizer.pad_id,
        backend=held.tokenizer.backend,
        cancelled=lambda: range(len(made)) if stop() else (),
    )
    cancelled = {news.row.column for news in decoding.run() if news.ended == "cancelled"}
    return [[] if place in cancelled else sampler.tokens for place, (_, sampler) in enumerate(made)]


def _row(held: Held, place: int, prompt: np.ndarray, seed: int) -> tuple[Row, "_Remembering"]:
    ids = tuple(prompt.tolist())
    sampler = _Remembering(_plain(seed + place), ids, held.device)
    text = AnswerText(Detokenizer(held.tokenizer.backend, ids), ())
    return Row(place, ids, _room(held, len(ids)), sampler, text), sampler


def _plain(seed: int) -> SamplingSection:
    return SamplingSection(
        temperature=1, top_p=1, top_k=0, min_p=0, repetition_penalty=1, seed=seed % _LARGEST_SEED
    )


class _Remembering(Sampler):
    """Keeps the tokens it chose: text that is read again may be cut into others."""

    def __init__(
        self, options: SamplingSection, prompt: Sequence[int], device: torch.device
    ) -> None:
        super().__init__(options, prompt, device)
        self.tokens: list[int] = []

    def choose(self, logits: Tensor) -> int:
        """Return the next token."""
        token = super().choose(logits)
        self.tokens.append(token)
        return token


def _answered(row: ProbeRow, prompt: np.ndarray, answer: Sequence[int]) -> ProbeRow:
    ids = np.concatenate([prompt, np.array(answer, dtype=np.int32)]).astype(np.int32)
    return ProbeRow(row.id, row.category, ids, np.arange(len(ids)) >= len(prompt))
