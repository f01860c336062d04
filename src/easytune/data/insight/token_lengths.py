"""How long the rows of a version are in the tokens of a model."""

import random
from pathlib import Path

import numpy as np

from easytune.config import DataSection
from easytune.data import tokenizer
from easytune.data.encoding import Encoder
from easytune.data.formats import Layout
from easytune.data.insight.row_facts import row_of
from easytune.data.progress import Progress, silent
from easytune.data.rows import Row
from easytune.data.versions.rows import Rows

_CHUNK = 1_000
_SEED = 42


def sample(
    rows: Rows, usable: np.ndarray, folder: Path, at_most: int, progress: Progress = silent
) -> np.ndarray:
    """Return the tokens of usable rows, uncut, as the model's chat template renders them.

    Of more than `at_most` rows so many are drawn at random. Rows that the template cannot render
    are left out. Raises ModelIncomplete, TemplateInvalid, TaskCancelled.
    """
    model_tokenizer = tokenizer.load(folder)
    drawn = usable
    if len(usable) > at_most:
        chosen = random.Random(_SEED).sample(range(len(usable)), at_most)
        drawn = usable[np.sort(np.array(chosen))]
    lengths: list[int] = []
    for start in range(0, len(drawn), _CHUNK):
        progress("tokens", start, len(drawn))
        stored = rows.at(drawn[start : start + _CHUNK])
        found = [row_of(row.value, rows.facts.layouts.get(row.source, Layout())) for row in stored]
        lengths += _lengths([row for row in found if row], model_tokenizer)
    return np.array(lengths, dtype=np.int64)


def _lengths(rows: list[Row], model_tokenizer: tokenizer.ModelTokenizer) -> list[int]:
    lengths: list[int] = []
    for stage, of_stage in (
        ("sft", [row for row in rows if row.messages is not None]),
        ("pretrain", [row for row in rows if row.messages is None]),
    ):
        options = DataSection.model_validate({"stage": stage})
        examples = Encoder(model_tokenizer, options).encode(of_stage).examples
        lengths += [example.full_length for example in examples]
    return lengths
