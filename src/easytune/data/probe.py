"""General texts that forgetting is measured on: the bundled ones, or rows of the user.

A plain text is scored on every token but its first, a conversation on its answers, as in
Biderman et al. 2024, "LoRA Learns Less and Forgets Less", where the loss on general text stands
for what a model still knows.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np

from easytune.config import DataSection
from easytune.data.encoding import Encoder
from easytune.data.gathering import FoundRow, gather_as_found
from easytune.data.rows import Problem, reasons_text
from easytune.data.split import at_most
from easytune.data.tokenizer import ModelTokenizer
from easytune.errors import FileEmpty, ProbeUnusable

BUNDLED = "demo/probe"
TOKENS = 128
"""Longest sequence of a probe, in tokens of the model."""
MOST = 512
"""Sequences that a probe has at most; of a larger dataset so many are drawn, always the same."""
OWN = "own"
"""Category of rows that name none."""
_SEED = 42


@dataclass(frozen=True)
class ProbeRow:
    """One sequence of the probe, in tokens.

    `input_ids` (int32) and `scored` (bool) have the same length, at most 128; `scored[i]` says that
    token i counts, so never for i = 0, which nothing predicts. At least one token counts.
    """

    id: str
    category: str
    input_ids: np.ndarray
    scored: np.ndarray


@dataclass(frozen=True)
class Found:
    """The sequences of a probe, and why other rows of it cannot be measured."""

    rows: list[ProbeRow]
    problems: list[Problem]


def load(
    name: str, tokenizer: ModelTokenizer, options: DataSection, home: Path | None = None
) -> Found:
    """Return the sequences of a probe, categories taking turns so that any first part has all.

    `name` is "demo/probe" or any dataset that could be trained on, its rows conversations, plain
    texts or both; `category` (else "own") and `id` (else file and number) come from columns of that
    name. Of a dataset that keeps rows back it is those. `options` say how conversations are
    rendered. Raises ProbeUnusable when no row can be scored, and what `gather_as_found` raises.
    """
    try:
        found, gathered = gather_as_found(name, home, kept_back=True)
    except FileEmpty as empty:
        raise ProbeUnusable(probe=name, reasons="@data.probe.empty") from empty
    chosen = [found[place] for place in at_most(len(found), MOST, _SEED)]
    encoded, dropped = _encoded(chosen, tokenizer, options)
    problems = [*gathered.problems, *dropped]
    if not encoded:
        reasons = reasons_text(problems) or "@data.probe.empty"
        raise ProbeUnusable(probe=name, reasons=reasons)
    rows = _in_turns([row for _, row in encoded], [_group(each) for each, _ in encoded])
    return Found(rows, problems)


def fingerprint(rows: Sequence[ProbeRow]) -> str:
    """Return what changes whenever a sequence does, its tokens or what is scored of them."""
    digest = hashlib.sha256()
    for row in sorted(rows, key=lambda row: row.id):
        digest.update(json.dumps([row.id, row.category]).encode())
        digest.update(row.input_ids.tobytes() + row.scored.tobytes())
    return digest.hexdigest()


def _encoded(
    found: Sequence[FoundRow], tokenizer: ModelTokenizer, options: DataSection
) -> tuple[list[tuple[FoundRow, ProbeRow]], list[Problem]]:
    """Return the rows of which something is scored, in order, and why others are not here."""
    scored = _scored_texts(found, tokenizer)
    conversations = [each.row for each in found if each.row.messages is not None]
    encoder = Encoder(tokenizer, _as_answers(options))
    answers = encoder.encode(conversations)
    scored |= {id(e.row): (e.input_ids, e.trained) for e in answers.examples}
    names = _names(found)
    usable = [
        (each, ProbeRow(name, _category(each), *scored[id(each.row)]))
        for each, name in zip(found, names, strict=True)
        if id(each.row) in scored
    ]
    too_short = [
        Problem(each.row.number, each.row.source, "nothing_to_learn")
        for each in found
        if each.row.messages is None and id(each.row) not in scored
    ]
    return usable, [*answers.dropped, *too_short]


def _scored_texts(
    found: Sequence[FoundRow], tokenizer: ModelTokenizer
) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return ids and marks of plain texts: no end token, since most are cut in mid-sentence."""
    texts = [each.row for each in found if each.row.messages is None]
    encodings = tokenizer.backend.encode_batch([row.text or "" for row in texts])
    scored: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for row, encoding in zip(texts, encodings, strict=True):
        ids = np.array(encoding.ids[:TOKENS], dtype=np.int32)
        if len(ids) > 1:
            scored[id(row)] = ids, np.arange(len(ids)) > 0
    return scored


def _as_answers(options: DataSection) -> DataSection:
    """Return the options under which exactly the answers count, whatever the run learns from."""
    return options.model_copy(
        update={
            "stage": "sft",
            "train_on": "response",
            "mask_history": False,
            "max_length": TOKENS,
        }
    )


def _names(found: Sequence[FoundRow]) -> list[str]:
    """Return a name for each row, its own where it has one that no earlier row has."""
    names: dict[str, None] = {}
    for each in found:
        name = _field(each, "id")
        if not name or name in names:
            name = f"{Path(each.row.source).name}:{each.row.number}"
        names[name if name not in names else f"{name}#{len(names)}"] = None
    return list(names)


def _category(each: FoundRow) -> str:
    return _field(each, "category") or OWN


def _group(each: FoundRow) -> tuple[str, str]:
    return _category(each), _field(each, "language")


def _field(each: FoundRow, name: str) -> str:
    value: Any = each.value.get(name) if isinstance(each.value, dict) else None
    return str(value).strip() if isinstance(value, (str, int)) else ""


def _in_turns(rows: Sequence[ProbeRow], groups: Sequence[tuple[str, str]]) -> list[ProbeRow]:
    """Return the rows so that the groups take turns, each in its own order."""
    waiting: dict[tuple[str, str], list[ProbeRow]] = {}
    for row, group in zip(rows, groups, strict=True):
        waiting.setdefault(group, []).append(row)
    return [row for turn in zip_longest(*waiting.values()) for row in turn if row is not None]
