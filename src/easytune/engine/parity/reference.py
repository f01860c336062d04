"""What the trained model says to the prompts, kept so that it need not stay in memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from easytune.engine.parity.prompts import Prompt
from easytune.engine.parity.runtime import Runtime, Tuned

# Of a large vocabulary not every place is kept: 200 MB of numbers are enough to compare.
_KEPT_NUMBERS = 50_000_000


@dataclass(frozen=True)
class Said:
    """What the trained model said to one prompt.

    `tokens` are the prompt and its greedy answer. `logits` (places, vocabulary) are those after
    the tokens at `places`, `base` the same without the adapter. `margins` tell for each token of
    the answer how much likelier it was than any other, in nats. `nll` is the mean over the prompt.
    """

    prompt: Prompt
    answer: list[int]
    places: np.ndarray
    logits: np.ndarray
    base: np.ndarray | None
    margins: np.ndarray
    nll: float

    @property
    def tokens(self) -> list[int]:
        """Return the prompt and the answer."""
        return [*self.prompt.tokens, *self.answer]


def record(
    trained: Runtime,
    prompts: Sequence[Prompt],
    new_tokens: int,
    folder: Path,
    watch: Callable[[int, int], None],
) -> list[Said]:
    """Return what a model says, its numbers in files of `folder`.

    `watch` is told prompts done and prompts in all; what it raises ends the recording.
    """
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, prompt in enumerate(prompts):
        watch(number, len(prompts))
        found.append(_said(trained, prompt, new_tokens, folder / f"{number}", len(prompts)))
    watch(len(prompts), len(prompts))
    return found


def _said(trained: Runtime, prompt: Prompt, new_tokens: int, path: Path, prompts: int) -> Said:
    answer = trained.greedy(prompt.tokens, new_tokens)
    tokens = [*prompt.tokens, *answer]
    logits = trained.logits(tokens)
    room = max(4, _KEPT_NUMBERS // prompts // logits.shape[1])
    places = spread(len(tokens), room)
    base = None
    if isinstance(trained, Tuned) and (found := trained.base_logits(tokens)) is not None:
        base = _kept(found[places], path.with_suffix(".base.npy"))
    return Said(
        prompt=prompt,
        answer=answer,
        places=places,
        logits=_kept(logits[places], path.with_suffix(".npy")),
        base=base,
        margins=_margins(logits[len(prompt.tokens) - 1 : len(tokens) - 1]),
        nll=mean_nll(logits, prompt.tokens),
    )


def spread(length: int, room: int) -> np.ndarray:
    """Return at most `room` places of a sequence, the last one included."""
    return np.unique(np.linspace(0, length - 1, min(length, room)).round().astype(int))


def mean_nll(logits: np.ndarray, tokens: Sequence[int]) -> float:
    """Return the mean negative log-likelihood of a text's tokens but the first, in nats."""
    wanted = np.asarray(tokens[1:])
    log_probs = log_softmax(logits[: len(wanted)])
    return -float(log_probs[np.arange(len(wanted)), wanted].mean())


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Return log-probabilities in float64, (places, vocabulary)."""
    shifted = logits.astype(np.float64)
    shifted -= shifted.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _margins(logits: np.ndarray) -> np.ndarray:
    if not len(logits):
        return np.empty(0)
    two = np.partition(logits, -2, axis=-1)[:, -2:]
    return two[:, 1] - two[:, 0]


def _kept(numbers: np.ndarray, path: Path) -> np.ndarray:
    np.save(path, np.ascontiguousarray(numbers, dtype=np.float32))
    return np.load(path, mmap_mode="r")


def perplexity(nlls: Sequence[float]) -> float:
    """Return the perplexity over some texts that count the same; capped where it has no meaning."""
    return math.exp(min(math.fsum(nlls) / len(nlls), 100.0))
