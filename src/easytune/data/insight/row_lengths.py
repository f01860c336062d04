"""How long the rows of a run are in the tokens of its model, row by row."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from easytune.config import TrainConfig
from easytune.data import dataset, tokenizer
from easytune.data.encoding import Encoder
from easytune.data.progress import Progress, silent
from easytune.data.rows import Row
from easytune.data.step_order import total_steps
from easytune.shapes import DataShape

T = TypeVar("T")
SAMPLED_ABOVE = 20_000
_CHUNK = 1_000
_UNCUT = 1_048_576
_EPOCHS_LOOKED_AT = 3


@dataclass(frozen=True)
class RowLengths:
    """Tokens of each row to learn from, repetitions included, in the order of the run.

    `tokens` before cutting; `prompt` of them lie before the first learned one; `supervised` of them
    are learned. `general` tells which rows are replayed ones. `held_out` are the tokens of held-out
    rows. Of more than `SAMPLED_ABOVE` rows a sample was counted, and `scale` and `held_out_scale`
    rows stand behind each.
    """

    tokens: np.ndarray
    prompt: np.ndarray
    supervised: np.ndarray
    held_out: np.ndarray
    general: np.ndarray
    scale: float = 1.0
    held_out_scale: float = 1.0


@dataclass(frozen=True)
class _Cut:
    """The rows that reach the model at some `max_length`: their tokens, and the learned ones."""

    tokens: np.ndarray
    learned: np.ndarray
    general: np.ndarray
    truncated: int


def count(config: TrainConfig, folder: Path, home: Path, progress: Progress = silent) -> RowLengths:
    """Read, render and tokenise the rows of a run with the model in `folder`.

    Raises what `dataset.load` and `tokenizer.load` raise, and TaskCancelled.
    """
    progress("loading", 0, None)
    model_tokenizer = tokenizer.load(folder, config.data.chat_template)
    loaded = dataset.load(config.data, config.schedule.seed, home)
    uncut = config.data.model_copy(update={"max_length": _UNCUT})
    encoder = Encoder(model_tokenizer, uncut)
    # The general rows come last.
    own = len(loaded.train) - loaded.replayed
    numbered = [(row, number >= own) for number, row in enumerate(loaded.train)]
    train = _sampled(numbered, config.schedule.seed)
    held_out = _sampled(loaded.held_out, config.schedule.seed)
    found = _counted([*(row for row, _ in train), *held_out], encoder, progress)
    usable = [(*found[id(row)], general) for row, general in train if id(row) in found]
    columns = np.array(usable, dtype=np.int64).reshape(-1, 4).T
    return RowLengths(
        tokens=columns[0],
        prompt=columns[1],
        supervised=columns[2],
        held_out=np.array([found[id(r)][0] for r in held_out if id(r) in found], dtype=np.int64),
        general=columns[3].astype(bool),
        scale=len(loaded.train) / max(len(train), 1),
        held_out_scale=len(loaded.held_out) / max(len(held_out), 1),
    )


def shape_of(lengths: RowLengths, config: TrainConfig) -> DataShape:
    """Return what one epoch of a run holds, laid out as the engine will lay it out.

    Quick: batch size, accumulation, packing, epochs and `max_length` may change meanwhile.
    """
    cut = _cut(lengths, config.data.max_length)
    rows = round(len(cut.tokens) * lengths.scale)
    steps_per_epoch = -(-rows // config.effective_batch_size)
    batches = [_batches(cut, config, order) for order in _orders(len(cut.tokens), config)]
    return DataShape(
        rows=rows,
        held_out=round(len(lengths.held_out) * lengths.held_out_scale),
        supervised_tokens=round(int(cut.learned.sum()) * lengths.scale),
        total_tokens=round(int(cut.tokens.sum()) * lengths.scale),
        longest=int(cut.tokens.max(initial=0)),
        mean=float(cut.tokens.mean()) if len(cut.tokens) else 0.0,
        p95=int(np.percentile(cut.tokens, 95, method="nearest")) if len(cut.tokens) else 0,
        truncated=round(cut.truncated * lengths.scale),
        steps_per_epoch=steps_per_epoch,
        total_steps=total_steps(config.schedule, steps_per_epoch) if rows else 0,
        largest_batch=max((int(tokens.max()) for tokens, _, _ in batches), default=0),
        largest_supervised=max((int(learned.max()) for _, learned, _ in batches), default=0),
        largest_squares=max((int(squares.max()) for _, _, squares in batches), default=0),
        sampled=lengths.scale > 1,
        replayed_rows=round(int(cut.general.sum()) * lengths.scale),
        replayed_tokens=round(int(cut.learned[cut.general].sum()) * lengths.scale),
    )


def _sampled(rows: Sequence[T], seed: int) -> Sequence[T]:
    if len(rows) <= SAMPLED_ABOVE:
        return rows
    return random.Random(seed).sample(rows, SAMPLED_ABOVE)


def _counted(
    rows: Sequence[Row], encoder: Encoder, progress: Progress
) -> dict[int, tuple[int, int, int]]:
    """Return tokens, those before the first learned one, and learned ones, by row identity."""
    distinct = list({id(row): row for row in rows}.values())
    found: dict[int, tuple[int, int, int]] = {}
    for start in range(0, len(distinct), _CHUNK):
        progress("measuring", start, len(distinct))
        for example in encoder.encode(distinct[start : start + _CHUNK]).examples:
            learned = int(example.trained.sum())
            found[id(example.row)] = (example.full_length, int(example.trained.argmax()), learned)
    progress("measuring", len(distinct), len(distinct))
    return found


def _cut(lengths: RowLengths, limit: int) -> _Cut:
    """Cut rows as the encoder does, and leave out those without anything left to learn.

    Of the learned tokens of a cut row the part is left that lies before the cut: exactly when they
    follow each other, as in a row with one answer, about so when they are spread.
    """
    behind = np.maximum(lengths.tokens - lengths.prompt, 1)
    left = np.clip(limit - lengths.prompt, 0, behind)
    learned = np.ceil(lengths.supervised * left / behind).astype(np.int64)
    usable = learned > 0
    tokens = np.minimum(lengths.tokens, limit)
    is_cut = (lengths.tokens > limit) & usable
    return _Cut(tokens[usable], learned[usable], lengths.general[usable], int(is_cut.sum()))


def _orders(rows: int, config: TrainConfig) -> Iterator[np.ndarray]:
    """Yield the order of rows in the first epochs, as far as the run goes; see `StepOrder`."""
    if not rows:
        return
    left = config.schedule.max_steps or math.ceil(
        config.schedule.epochs * -(-rows // config.effective_batch_size)
    )
    for epoch in range(_EPOCHS_LOOKED_AT):
        order = np.random.default_rng((config.schedule.seed, epoch)).permutation(rows)
        yield order[: left * config.effective_batch_size]
        left -= -(-rows // config.effective_batch_size)
        if left <= 0:
            return


def _batches(
    cut: _Cut, config: TrainConfig, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return tokens computed at once, learned ones and squares of every micro-batch of an epoch.

    The arithmetic of `StepOrder`, for all steps at once: it takes 30 times as long one by one.
    """
    per_step = config.effective_batch_size
    whole = len(order) // per_step * per_step
    found = [_shared_out(cut, config, order[:whole].reshape(-1, per_step))] if whole else []
    if len(order) > whole:
        found.append(_shared_out(cut, config, order[whole:].reshape(1, -1)))
    tokens, learned, squares = zip(*found, strict=True)
    return np.concatenate(tokens), np.concatenate(learned), np.concatenate(squares)


def _shared_out(
    cut: _Cut, config: TrainConfig, steps: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Share out the rows of steps of equal size, (steps, rows), over their micro-batches."""
    longest_first = np.argsort(-cut.tokens[steps], axis=1, kind="stable")
    rows = np.take_along_axis(steps, longest_first, axis=1)
    tokens, learned = cut.tokens[rows], cut.learned[rows]
    size = config.schedule.batch_size
    count = -(-rows.shape[1] // size)
    if not config.data.packing:
        starts = np.arange(0, rows.shape[1], size)
        sizes = np.diff([*starts, rows.shape[1]])
        longest, answers = tokens[:, starts], np.add.reduceat(learned, starts, axis=1)
        return (longest * sizes).ravel(), answers.ravel(), (longest**2 * sizes).ravel()
    packs, answers, squares = (np.zeros((len(rows), count), np.int64) for _ in range(3))
    every = np.arange(len(rows))
    for place in range(rows.shape[1]):
        emptiest = packs.argmin(axis=1)
        packs[every, emptiest] += tokens[:, place]
        answers[every, emptiest] += learned[:, place]
        squares[every, emptiest] += tokens[:, place] ** 2
    return packs.ravel(), answers.ravel(), squares.ravel()
