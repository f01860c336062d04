"""The decoding loop: several answers as one batch, each with its own options and end.

Rows are padded on the left. A row that ends, or is cancelled, leaves the batch at once, so the
others go faster. Long prompts are read in pieces, between which a row can be cancelled too.
"""

import inspect
from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from easytune.engine.answer_text import AnswerText, Shown
from easytune.engine.growing_cache import GrowingLayer
from easytune.engine.sampling import Sampler, chance
from easytune.wire import EndReason

_READ_AT_ONCE = 512


@dataclass
class Row:
    """One answer while it is computed."""

    column: int
    prompt: tuple[int, ...]
    limit: int
    sampler: Sampler
    text: AnswerText
    logprobs: int | None = None
    tokens: int = 0


@dataclass(frozen=True)
class News:
    """What one step brought to a row; `ended` with its last one."""

    row: Row
    shown: Shown
    ended: EndReason | None = None


@dataclass
class Decoding:
    """Computes the answers of some rows. `cancelled` is asked before every step."""

    model: PreTrainedModel
    rows: list[Row]
    eos_ids: Collection[int]
    pad_id: int
    backend: Any
    cancelled: Callable[[], Collection[int]]
    left: Callable[[list[int]], None] = lambda kept: None
    """Told which rows of the batch go on, by their places, whenever some leave."""
    _padding: list[int] = field(default_factory=list)
    _place: int = 0

    def run(self) -> Iterator[News]:
        """Yield what every step brings, until all rows have ended."""
        device = self.model.device
        width = max(len(row.prompt) for row in self.rows)
        self._padding = [width - len(row.prompt) for row in self.rows]
        self._cache = new_cache(self.model)
        self._keeps_logits = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        ids = torch.tensor(
            [
                [self.pad_id] * padding + list(row.prompt)
                for row, padding in zip(self.rows, self._padding, strict=True)
            ],
            device=device,
        )
        piece = _READ_AT_ONCE if reads_in_pieces(self._cache) else width
        logits = None
        for begin in range(0, width, piece):
            kept = yield from self._drop_cancelled()
            ids = ids if kept is None else ids[kept]
            if not self.rows:
                return
            logits = self._forward(ids[:, begin : begin + piece])
        while self.rows:
            assert logits is not None
            tokens = self._choose(logits)
            ending = yield from self._take(tokens, logits)
            kept = self._leave(ending)
            tokens = [tokens[place] for place in kept]
            gone = yield from self._drop_cancelled()
            tokens = tokens if gone is None else [tokens[place] for place in gone]
            if self.rows:
                logits = self._forward(torch.tensor(tokens, device=device)[:, None])

    def _choose(self, logits: Tensor) -> list[int]:
        likeliest = logits.argmax(-1).tolist()
        return [
            token if row.sampler.takes_likeliest else row.sampler.choose(scores)
            for row, token, scores in zip(self.rows, likeliest, logits, strict=True)
        ]

    def _take(self, tokens: list[int], logits: Tensor) -> Generator[News, None, list[int]]:
        """Give each row its token; return the places of rows that ended with it."""
        ending = []
        for place, (row, token) in enumerate(zip(self.rows, tokens, strict=True)):
            news = self._news(row, token, logits[place])
            if news.ended:
                ending.append(place)
            yield news
        return ending

    def _news(self, row: Row, token: int, logits: Tensor) -> News:
        if token in self.eos_ids:
            return News(row, row.text.rest(), "stop")
        row.tokens += 1
        known = None
        if row.logprobs is not None:
            known = chance(logits, token, row.logprobs, self.backend)
        shown = row.text.add(token, known)
        if shown.stopped:
            return News(row, shown, "stop")
        if row.tokens >= row.limit:
            rest = row.text.rest()
            both = Shown(shown.text + rest.text, shown.chances + rest.chances)
            return News(row, both, "length")
        return News(row, shown)

    def _drop_cancelled(self) -> Generator[News, None, list[int] | None]:
        """End the rows that nobody wants any more; return the places that stay, or None."""
        unwanted = self.cancelled()
        gone = [place for place, row in enumerate(self.rows) if row.column in unwanted]
        if not gone:
            return None
        for place in gone:
            row = self.rows[place]
            yield News(row, row.text.rest(), "cancelled")
        return self._leave(gone)

    def _leave(self, gone: list[int]) -> list[int]:
        kept = [place for place in range(len(self.rows)) if place not in gone]
        if not gone:
            return kept
        self.rows = [self.rows[place] for place in kept]
        self._padding = [self._padding[place] for place in kept]
        if self.rows:
            if self._place:
                self._cache.batch_select_indices(torch.tensor(kept, device=self.model.device))
            self.left(kept)
        return kept

    @torch.inference_mode()
    def _forward(self, ids: Tensor) -> Tensor:
        """Return the fp32 logits after the last of `ids`, (rows, vocabulary)."""
        end = self._place + ids.shape[1]
        device = ids.device
        padding = torch.tensor(self._padding, device=device)[:, None]
        places = torch.arange(self._place, end, device=device)[None]
        mask = None
        if any(self._padding):
            mask = (torch.arange(end, device=device)[None] >= padding).long()
        found = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(places - padding).clamp_(min=0),
            past_key_values=self._cache,
            use_cache=True,
            **({"logits_to_keep": 1} if self._keeps_logits else {}),
        )
        self._place = end
        return found.logits[:, -1].float()


def new_cache(model: PreTrainedModel) -> DynamicCache:
    """Return an empty cache with the kinds of layers that a model has."""
    cache = DynamicCache(config=model.config.get_text_config(decoder=True))
    cache.layers = [GrowingLayer() if type(one) is DynamicLayer else one for one in cache.layers]
    return cache


def reads_in_pieces(cache: DynamicCache) -> bool:
    """Tell whether the model keeps attention states only, which take a prompt in any pieces."""
    return all(isinstance(layer, DynamicLayer) for layer in cache.layers)
