"""The choice of the next token of one answer."""

from collections.abc import Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from easytune.generation import SamplingSection
from easytune.wire import TokenChance


class Sampler:
    """Chooses tokens as its options say, with random numbers of its own."""

    def __init__(
        self, options: SamplingSection, prompt: Sequence[int], device: torch.device
    ) -> None:
        self._random = torch.Generator(device).manual_seed(options.seed or 0)
        self._is_greedy = options.temperature == 0
        self._penalty = None
        if options.repetition_penalty != 1:
            self._penalty = RepetitionPenaltyLogitsProcessor(options.repetition_penalty)
            self._seen = torch.tensor(sorted(set(prompt)), device=device)
        self._warpers = LogitsProcessorList([] if self._is_greedy else _warpers(options))

    @property
    def takes_likeliest(self) -> bool:
        """Tell whether the choice is just the likeliest token."""
        return self._is_greedy and self._penalty is None

    def choose(self, logits: Tensor) -> int:
        """Return the next token, given fp32 logits (vocabulary,)."""
        scores = logits[None]
        if self._penalty is not None:
            scores = self._penalty(self._seen[None], scores.clone())  # type: ignore[arg-type]
        if self._is_greedy:
            token = int(scores.argmax())
        else:
            scores = self._warpers(torch.empty(1, 0, dtype=torch.long), scores)  # type: ignore[arg-type]
            shares = torch.softmax(scores, -1)
            token = int(torch.multinomial(shares, 1, generator=self._random))
        if self._penalty is not None:
            self._seen = torch.cat([self._seen, self._seen.new_tensor([token])])
        return token


def chance(logits: Tensor, token: int, alternatives: int, backend: Tokenizer) -> TokenChance:
    """Return the probability the model itself gave to a token, and the likeliest ones."""
    logs = torch.log_softmax(logits, -1)
    best = torch.topk(logs, min(alternatives, len(logs)))
    pairs = zip(best.indices.tolist(), best.values.tolist(), strict=True)
    return TokenChance(
        token=_written(token, backend),
        logprob=float(logs[token]),
        top=tuple((_written(one, backend), value) for one, value in pairs),
    )


def _written(token: int, backend: Tokenizer) -> str:
    return backend.decode([token], skip_special_tokens=False) or backend.id_to_token(token) or ""


def _warpers(options: SamplingSection) -> list[object]:
    """Return what transformers would do for these options, in its order."""
    found: list[object] = []
    if options.temperature != 1:
        found.append(TemperatureLogitsWarper(options.temperature))
    if options.top_k:
        found.append(TopKLogitsWarper(options.top_k))
    if options.top_p < 1:
        found.append(TopPLogitsWarper(options.top_p))
    if options.min_p:
        found.append(MinPLogitsWarper(options.min_p))
    return found
