"""What a model predicts on a sequence of the probe, and how far that is from its base.

Per token, p is the base's prediction and q the tuned model's: the difference of their NLL,
KL(p ‖ q), and whether the likeliest token is still the same. Figures of a sequence are means over
its scored tokens, in nats per token.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from easytune.data.encoding import Example
from easytune.data.probe import ProbeRow
from easytune.data.rows import Row
from easytune.engine import loss
from easytune.engine.models import Loaded
from easytune.engine.trainer import collator, unchanged_random_state

EXACT_BYTES = 64 << 20
"""Room for the base's log-probabilities; when all of them fit, KL is exact."""
LIKELIEST = 128
"""Tokens kept of each prediction otherwise."""
_TOKENS_AT_ONCE, _CHUNK_BYTES = 1024, 64 << 20
_LEAST = 1e-9

_Found = TypeVar("_Found")
_Pieces = Iterator[tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class BaseFigures:
    """What the base predicts on one sequence, on the processor.

    `log_probs` (tokens, kept) are log p, of the whole vocabulary when `places` is None, else of the
    tokens in `places`, the likeliest ones.
    """

    nll: float
    likeliest: Tensor
    log_probs: Tensor
    places: Tensor | None = None


@dataclass(frozen=True)
class Figures:
    """How far the tuned model is from its base on one sequence.

    `difference` is the NLL of the tuned model minus that of the base. `kl` is KL(p ‖ q): exact, or
    where only the likeliest tokens of p were kept, those and all others taken together as one
    token, which is a lower bound. `unchanged` counts tokens whose likeliest prediction is still
    the base's.
    """

    nll: float
    difference: float
    kl: float
    unchanged: int
    tokens: int


@dataclass(frozen=True)
class Loss:
    """What a model predicts of one sequence: NLL in nats, summed over its scored tokens.

    `correct` counts the tokens that were the likeliest ones.
    """

    nll: float
    tokens: int
    correct: int


class Reader:
    """Reads sequences with a model as it is now, and leaves it and chance as they were.

    Evaluation mode, no gradients, in the run's own number format and packing.
    """

    def __init__(self, loaded: Loaded, pad_id: int) -> None:
        self.loaded, self._collate = loaded, collator(loaded.plan.packed, pad_id)
        self.vocabulary = int(loaded.base.get_input_embeddings().weight.shape[0])  # type: ignore[index, arg-type]

    def base(self, rows: Sequence[ProbeRow], exact: bool) -> list[BaseFigures]:
        """Return what the model predicts; all of it when `exact`, else its likeliest tokens."""
        return self._read(rows, lambda _, pieces: _base_figures(pieces, exact))

    def compare(self, rows: Sequence[ProbeRow], bases: Sequence[BaseFigures]) -> list[Figures]:
        """Return how far the model is from `bases`, which belong to `rows` one by one."""
        return self._read(rows, lambda place, pieces: _figures(pieces, bases[place]))

    def losses(self, rows: Sequence[ProbeRow]) -> list[Loss]:
        """Return how well the model predicts each sequence."""
        return self._read(rows, lambda _, pieces: _loss(pieces))

    def batches(self, rows: Sequence[ProbeRow]) -> Iterator[Sequence[ProbeRow]]:
        """Yield `rows` in parts that are read at once."""
        # A model that computes its own logits computes them at every token.
        size = 1 if self.loaded.plan.finish is None else _TOKENS_AT_ONCE // _longest(rows)
        for start in range(0, len(rows), max(size, 1)):
            yield rows[start : start + max(size, 1)]

    def _read(
        self, rows: Sequence[ProbeRow], figure: Callable[[int, _Pieces], _Found]
    ) -> list[_Found]:
        batch = self._collate([_as_example(row) for row in rows])
        counts = [int(row.scored[1:].sum()) for row in rows]
        device = self.loaded.device
        with _looking(self.loaded):
            states, finish = self._states(batch)
            wanted = batch["targets"].to(device).split(counts)
            return [
                figure(place, self._pieces(state, targets, finish))
                for place, (state, targets) in enumerate(
                    zip(states.split(counts), wanted, strict=True)
                )
            ]

    def _states(self, batch: dict[str, Any]) -> tuple[Tensor, loss.Finish | None]:
        """Return hidden states where a token is predicted; without a `finish`, logits."""
        device, base = self.loaded.device, self.loaded.base
        inputs = {
            name: value.to(device) if isinstance(value, Tensor) else value
            for name, value in batch.items()
            if name not in ("predict", "targets")
        } | {"use_cache": False, "return_dict": True}
        predict, finish = batch["predict"].to(device), self.loaded.plan.finish
        if finish is None:
            return base(**inputs).logits.flatten(0, 1).index_select(0, predict), None
        hidden = loss.backbone(base)(**inputs).last_hidden_state
        return hidden.flatten(0, 1).index_select(0, predict), finish

    def _pieces(self, states: Tensor, targets: Tensor, finish: loss.Finish | None) -> _Pieces:
        """Yield log-probabilities and targets, few enough at once to fit anywhere."""
        size = max(16, _CHUNK_BYTES // (4 * self.vocabulary))
        head = loss.head(self.loaded.base)
        for state, wanted in zip(states.split(size), targets.split(size), strict=True):
            logits = state if finish is None else finish(head(state))
            yield logits.float().log_softmax(-1), wanted


def fits_exactly(rows: Sequence[ProbeRow], vocabulary: int) -> bool:
    """Tell whether the log-probabilities of all scored tokens fit in the room for them."""
    return 4 * vocabulary * sum(int(row.scored.sum()) for row in rows) <= EXACT_BYTES


def _loss(pieces: _Pieces) -> Loss:
    nll, tokens, correct = 0.0, 0, 0
    for log_probs, targets in pieces:
        nll += _nll(log_probs, targets)
        correct += int((log_probs.argmax(-1) == targets).sum())
        tokens += len(targets)
    return Loss(nll, tokens, correct)


def _base_figures(pieces: _Pieces, exact: bool) -> BaseFigures:
    nll, likeliest, kept, places = 0.0, [], [], []
    for log_probs, targets in pieces:
        nll += _nll(log_probs, targets)
        likeliest.append(log_probs.argmax(-1).cpu())
        if exact or log_probs.shape[-1] <= LIKELIEST:
            kept.append(log_probs.cpu())
        else:
            top = log_probs.topk(LIKELIEST, dim=-1)
            kept.append(top.values.cpu())
            places.append(top.indices.int().cpu())
    found = torch.cat(likeliest)
    where = torch.cat(places) if places else None
    return BaseFigures(nll / len(found), found, torch.cat(kept), where)


def _figures(pieces: _Pieces, base: BaseFigures) -> Figures:
    nll, kl, unchanged, start = 0.0, 0.0, 0, 0
    for log_probs, targets in pieces:
        part = slice(start, start + len(targets))
        nll += _nll(log_probs, targets)
        kl += _divergence(log_probs, base, part)
        same = log_probs.argmax(-1) == base.likeliest[part].to(log_probs.device)
        unchanged += int(same.sum())
        start += len(targets)
    mean = nll / start
    return Figures(mean, mean - base.nll, max(kl / start, 0.0), unchanged, start)


def _nll(log_probs: Tensor, targets: Tensor) -> float:
    # float64: thousands of terms are added, and the difference of two such sums is what counts.
    return -float(log_probs.gather(1, targets[:, None]).double().sum())


def _divergence(log_q: Tensor, base: BaseFigures, part: slice) -> float:
    """Return the sum over tokens of KL(p ‖ q)."""
    log_p = base.log_probs[part].to(log_q.device)
    if base.places is not None:
        places = base.places[part].to(log_q.device).long()
        log_p, log_q = _with_rest(log_p), _with_rest(log_q.gather(1, places))
    return float((log_p.exp() * (log_p - log_q)).double().sum())


def _with_rest(log_probs: Tensor) -> Tensor:
    """Return log-probabilities with one more column, that of all other tokens together."""
    rest = (1 - log_probs.double().exp().sum(-1, keepdim=True)).clamp_min(_LEAST)
    return torch.cat([log_probs.double(), rest.log()], -1)


def _as_example(row: ProbeRow) -> Example:
    whole = Row(number=0, source=row.id, text="")
    return Example(row.input_ids, row.scored, len(row.input_ids), whole)


def _longest(rows: Sequence[ProbeRow]) -> int:
    return max((len(row.input_ids) for row in rows), default=1)


@contextlib.contextmanager
def _looking(loaded: Loaded) -> Iterator[None]:
    """Switch dropout off, in the number format of training."""
    training, half = loaded.model.training, loaded.dtype if loaded.autocast else None
    loaded.model.eval()
    try:
        with (
            unchanged_random_state(),
            torch.no_grad(),
            torch.autocast(loaded.device.type, half, enabled=half is not None),
        ):
            yield
    finally:
        loaded.model.train(training)


def shortened(rows: Sequence[ProbeRow], longest: int) -> list[ProbeRow]:
    """Return the rows cut to `longest` tokens, without those of which nothing is scored then."""
    cut = [
        ProbeRow(row.id, row.category, row.input_ids[:longest], row.scored[:longest])
        for row in rows
    ]
    return [row for row in cut if bool(np.any(row.scored[1:]))]
