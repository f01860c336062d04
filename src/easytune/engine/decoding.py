"""The decoding loop: several answers as one batch, each with its own options and end.

Rows are padded on the left. A row that ends, or is cancelled, leaves the batch at once, so the
others go faster. Long prompts are read in pieces, between which a row can be cancelled too; prompts
of different lengths are read apart, for padding takes as long as text.
"""

import inspect
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from easytune.engine.answer_text import AnswerText, Shown
from easytune.engine.growing_cache import GrowingLayer, joined
from easytune.engine.sampling import Sampler, chance
from easytune.wire import EndReason

_READ_AT_ONCE = 512
# Tokens of padding that are not worth another pass. Elsewhere reading is quick, beginning is not.
_LITTLE = {"cpu": 64}
_LITTLE_ELSEWHERE = 1024


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
    use: Callable[[Sequence[int]], None] = lambda places: None
    """Told which rows are computed next, by their places in `rows` as given."""
    _padding: list[int] = field(default_factory=list)
    _places: list[int] = field(default_factory=list)
    _place: int = 0

    def run(self) -> Iterator[News]:
        """Yield what every step brings, until all rows have ended."""
        self._places = list(range(len(self.rows)))
        self._keeps_logits = "logits_to_keep" in inspect.signature(self.model.forward).parameters
        logits = yield from self._read()
        while self.rows:
            assert logits is not None
            tokens = self._choose(logits)
            ending = yield from self._take(tokens, logits)
            kept = self._leave(ending)
            tokens = [tokens[place] for place in kept]
            gone = yield from self._drop_cancelled()
            tokens = tokens if gone is None else [tokens[place] for place in gone]
            if self.rows:
                logits = self._forward(torch.tensor(tokens, device=self.model.device)[:, None])

    def _read(self) -> Generator[News, None, Tensor | None]:
        """Read the prompts; return the logits after them, None when nobody wants them any more."""
        lengths = [len(row.prompt) for row in self.rows]
        little = _LITTLE.get(self.model.device.type, _LITTLE_ELSEWHERE)
        parts = alike(lengths, little) if _can_be_joined(new_cache(self.model)) else []
        if len(parts) < 2:
            return (yield from self._read_together())
        read = []
        for part in parts:
            if {row.column for row in self.rows} <= set(self.cancelled()):
                yield from self._drop_cancelled()
                return None
            read.append(self._read_part(part))
        self.use(self._places)
        self._cache = joined([cache for cache, _ in read])
        self._place = max(lengths)
        self._padding = [self._place - length for length in lengths]
        return torch.cat([logits for _, logits in read])

    def _read_part(self, part: slice) -> tuple[DynamicCache, Tensor]:
        """Read the prompts of some rows, which stand side by side."""
        self.use(self._places[part])
        ids = self._begin(self.rows[part])
        for piece in ids.split(_READ_AT_ONCE, dim=1)[:-1]:
            self._forward(piece)
        logits = self._forward(ids[:, self._place :])
        return self._cache, logits

    def _read_together(self) -> Generator[News, None, Tensor | None]:
        """Read all prompts as one batch; a row that is cancelled leaves it."""
        ids = self._begin(self.rows)
        piece = _READ_AT_ONCE if reads_in_pieces(self._cache) else ids.shape[1]
        logits = None
        for begin in range(0, ids.shape[1], piece):
            kept = yield from self._drop_cancelled()
            ids = ids if kept is None else ids[kept]
            if not self.rows:
                return None
            logits = self._forward(ids[:, begin : begin + piece])
        return logits

    def _begin(self, rows: Sequence[Row]) -> Tensor:
        """Begin a cache for these rows; return their prompts, padded on the left."""
        width = max(len(row.prompt) for row in rows)
        self._padding = [width - len(row.prompt) for row in rows]
        self._cache, self._place = new_cache(self.model), 0
        padded = zip(self._padding, rows, strict=True)
        ids = [[self.pad_id] * padding + list(row.prompt) for padding, row in padded]
        return torch.tensor(ids, device=self.model.device)

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
        self._places = [self._places[place] for place in kept]
        if self.rows:
            if self._place:
                self._cache.batch_select_indices(torch.tensor(kept, device=self.model.device))
            self.use(self._places)
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


def alike(lengths: Sequence[int], little: int) -> list[slice]:
    """Part rows, as they stand, so that none is padded with more than `little` tokens in all."""
    parts, begin = [], 0
    for end in range(1, len(lengths)):
        part = lengths[begin : end + 1]
        if max(part) * len(part) - sum(part) > little:
            parts.append(slice(begin, end))
            begin = end
    return [*parts, slice(begin, len(lengths))]


def _can_be_joined(cache: DynamicCache) -> bool:
    """Tell whether rows that were read apart can go on together."""
    return all(isinstance(layer, GrowingLayer) for layer in cache.layers)
