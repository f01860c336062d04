"""What a model would see of all the rows of a run, and how long the run would take."""

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from easytune.config import TrainConfig
from easytune.data import dataset, tokenizer
from easytune.data.dataset import Dataset
from easytune.data.encoding import EncodedSet, Encoder
from easytune.data.insight import pace
from easytune.data.preview import Bin, histogram
from easytune.data.progress import Progress, silent
from easytune.data.rows import Problem, Row
from easytune.data.sources import Notice
from easytune.data.step_order import StepOrder, total_steps
from easytune.data.tokenizer import TemplateSource

_CHUNK = 2048
_PROBLEMS_KEPT = 50
_PERCENTILES = {"p5": 5, "p25": 25, "p50": 50, "p75": 75, "p95": 95, "p99": 99, "max": 100}


class Measured(BaseModel):
    """The whole dataset of a run in the tokens of its model.

    Counts of rows and tokens are those of one epoch, repetitions by weight included. When only a
    sample was measured (`sampled` rows), they are scaled up from it.
    """

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    read: int
    used: int
    """Rows to learn from that reach the model."""
    held_out: int
    replayed: int = 0
    """General rows among those to learn from, mixed in so that less is forgotten."""
    truncated: int
    """Of the used and held-out rows, those cut to `max_length`."""
    dropped: int
    left_out: int
    """Rows that the row limit left aside."""
    reasons: dict[str, int]
    """Why rows are dropped: code (text `data.reason.<code>`) -> rows, the most frequent first."""
    problems: list[Problem]
    """The first 50 rows that are dropped."""
    notices: list[Notice]
    supervised_tokens: int
    total_tokens: int
    """Tokens of the used rows after cutting, per epoch; padding not counted."""
    lengths: list[Bin]
    """Tokens of the used and held-out rows before cutting."""
    percentiles: dict[str, int]
    """p5, p25, p50, p75, p95, p99, max: tokens of those rows before cutting; empty without one."""
    max_length: int
    packing: bool
    padding_tokens: int
    """Tokens of padding in an epoch when rows are padded to the longest of their batch."""
    padding_share: float
    """Those as a share of all tokens that padding would compute; what packing avoids."""
    largest_batch_tokens: int
    """Tokens computed at once in the largest micro-batch of the first epoch, as packing is set."""
    steps_per_epoch: int
    total_steps: int
    tokens_per_second: float | None
    """Pace of the latest run on this base model in this home; None when there was none."""
    pace_run: str | None
    """The id of that run."""
    seconds: float | None
    """Estimate for all steps at that pace, without loading and evaluating."""
    sampled: int | None
    """How many rows were measured, when not all were."""
    template_source: TemplateSource


@dataclass
class _Tokenised:
    """What became of the measured rows, by their identity: rows that repeat are told once.

    `tokens` before cutting and `learned` ones of each that can be used.
    """

    tokens: dict[int, int] = field(default_factory=dict)
    learned: dict[int, int] = field(default_factory=dict)
    dropped: dict[int, Problem] = field(default_factory=dict)
    notices: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, rows: Sequence[Row], encoded: EncodedSet) -> None:
        """Count rows that were encoded together."""
        for example in encoded.examples:
            self.tokens[id(example.row)] = example.full_length
            self.learned[id(example.row)] = int(example.trained.sum())
        unused = [id(row) for row in rows if id(row) not in self.tokens]
        self.dropped.update(zip(unused, encoded.dropped, strict=True))
        for code, values in encoded.notices:
            earlier = self.notices.get(code, {}).get("rows", 0)
            rows_so_far = {"rows": earlier + values["rows"]} if "rows" in values else {}
            self.notices[code] = values | rows_so_far


@dataclass(frozen=True)
class _Part:
    """The measured rows of a set, repetitions included, and how many rows stand behind each."""

    rows: list[Row]
    scale: float

    def usable(self, found: _Tokenised) -> list[int]:
        """Return the identities of the rows that reach the model, in their order."""
        return [id(row) for row in self.rows if id(row) in found.tokens]

    def scaled(self, count: float) -> int:
        """Return how many there are in the whole set when there are `count` in the sample."""
        return round(count * self.scale)


def measure(
    config: TrainConfig,
    folder: Path,
    home: Path,
    progress: Progress = silent,
    limit: int | None = None,
) -> Measured:
    """Read, render and tokenise the rows of a run with the model in `folder`.

    `limit`: measure about so many rows, chosen at random, and scale. Raises what `dataset.load`
    and `tokenizer.load` raise, and TaskCancelled. A dataset of which no row can be used by this
    model is no error: its counts say why.
    """
    progress("loading", 0, None)
    model_tokenizer = tokenizer.load(folder, config.data.chat_template)
    loaded = dataset.load(config.data, config.schedule.seed, home)
    distinct = [_distinct(part) for part in (loaded.train, loaded.held_out)]
    rows = sum(map(len, distinct))
    share = min(1.0, limit / rows) if limit is not None and rows else 1.0
    chosen = [row for part in distinct for row in _drawn(part, share, config.schedule.seed)]
    found = _tokenised(chosen, Encoder(model_tokenizer, config.data), progress)
    kept = {id(row) for row in chosen}
    train, held_out = _part(loaded.train, kept), _part(loaded.held_out, kept)
    return Measured(
        **_rows(loaded, train, held_out, found, config),
        **_tokens(train, held_out, found, config),
        **_time(train, found, config, home),
        sampled=len(chosen) if len(chosen) < rows else None,
        template_source=model_tokenizer.template_source,
    )


def _distinct(rows: list[Row]) -> list[Row]:
    """Return the rows without the repetitions that weights make."""
    return list({id(row): row for row in rows}.values())


def _drawn(rows: list[Row], share: float, seed: int) -> list[Row]:
    """Return a share of the rows, at least one of them."""
    if share >= 1 or not rows:
        return rows
    return random.Random(seed).sample(rows, max(1, round(share * len(rows))))


def _tokenised(rows: list[Row], encoder: Encoder, progress: Progress) -> _Tokenised:
    found = _Tokenised()
    for start in range(0, len(rows), _CHUNK):
        progress("measuring", start, len(rows))
        chunk = rows[start : start + _CHUNK]
        # Lengths only are kept: the tokens of a million rows would not fit.
        found.add(chunk, encoder.encode(chunk))
    progress("measuring", len(rows), len(rows))
    return found


def _part(rows: list[Row], kept: set[int]) -> _Part:
    measured = [row for row in rows if id(row) in kept]
    return _Part(measured, len(rows) / len(measured) if measured else 0.0)


def _rows(
    loaded: Dataset, train: _Part, held_out: _Part, found: _Tokenised, config: TrainConfig
) -> dict[str, Any]:
    """Return the figures that count rows."""
    limit = config.data.max_length
    lost = Counter(problem.code for problem in loaded.problems)
    truncated = 0
    for part in (train, held_out):
        codes = Counter(found.dropped[id(r)].code for r in part.rows if id(r) in found.dropped)
        lost.update({code: part.scaled(count) for code, count in codes.items()})
        truncated += part.scaled(sum(found.tokens[row] > limit for row in part.usable(found)))
    problems = [*loaded.problems, *found.dropped.values()]
    problems.sort(key=lambda problem: (problem.source, problem.number))
    return {
        "read": loaded.read,
        "used": train.scaled(len(train.usable(found))),
        "held_out": held_out.scaled(len(held_out.usable(found))),
        "replayed": loaded.replayed,
        "truncated": truncated,
        "dropped": lost.total(),
        "left_out": loaded.left_out,
        "reasons": dict(lost.most_common()),
        "problems": problems[:_PROBLEMS_KEPT],
        "notices": [*loaded.notices, *found.notices.items()],
    }


def _tokens(
    train: _Part, held_out: _Part, found: _Tokenised, config: TrainConfig
) -> dict[str, Any]:
    """Return the figures that count tokens."""
    limit = config.data.max_length
    used = train.usable(found)
    everywhere = [found.tokens[row] for row in (*used, *held_out.usable(found))]
    bins = histogram(everywhere)
    measured = len(train.rows) + len(held_out.rows)
    scale = sum(part.scaled(len(part.rows)) for part in (train, held_out)) / max(measured, 1)
    return {
        "supervised_tokens": train.scaled(sum(found.learned[row] for row in used)),
        "total_tokens": train.scaled(sum(min(found.tokens[row], limit) for row in used)),
        "lengths": [replace(each, rows=round(each.rows * scale)) for each in bins],
        "percentiles": _percentiles(everywhere),
        "max_length": limit,
    }


def _percentiles(lengths: list[int]) -> dict[str, int]:
    if not lengths:
        return {}
    places = np.percentile(lengths, [*_PERCENTILES.values()], method="nearest")
    return dict(zip(_PERCENTILES, map(int, places), strict=True))


def _time(train: _Part, found: _Tokenised, config: TrainConfig, home: Path) -> dict[str, Any]:
    """Return the figures of steps and time, laid out as the engine will lay the rows out."""
    lengths = [min(found.tokens[row], config.data.max_length) for row in train.usable(found)]
    tokens = sum(lengths)
    padded, packed = (list(_order(lengths, config, way).tokens_at_once()) for way in (False, True))
    padding = sum(padded) - tokens
    steps_per_epoch = -(-train.scaled(len(lengths)) // config.effective_batch_size)
    steps = total_steps(config.schedule, steps_per_epoch) if lengths else 0
    known = pace.latest(home, config.model)
    all_tokens = train.scaled(tokens) * steps / max(steps_per_epoch, 1)
    return {
        "packing": config.data.packing,
        "padding_tokens": train.scaled(padding),
        "padding_share": padding / max(tokens + padding, 1),
        "largest_batch_tokens": max(packed if config.data.packing else padded, default=0),
        "steps_per_epoch": steps_per_epoch,
        "total_steps": steps,
        "tokens_per_second": known.tokens_per_second if known else None,
        "pace_run": known.run if known else None,
        "seconds": round(all_tokens / known.tokens_per_second, 1) if known else None,
    }


def _order(lengths: list[int], config: TrainConfig, packed: bool) -> StepOrder:
    schedule = config.schedule
    return StepOrder(lengths, schedule.batch_size, config.micro_batches, schedule.seed, packed)
