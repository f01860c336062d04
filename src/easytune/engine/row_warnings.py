"""What is wrong with rows that could be trained on all the same."""

import numpy as np

from easytune.config import TrainConfig
from easytune.data.encoding import Example
from easytune.engine.preparing import Material
from easytune.engine.reporting import Reporter

_NOTHING_LEARNED = ("nothing_to_learn", "truncated_away")


def report_all(config: TrainConfig, material: Material, report: Reporter) -> None:
    """Warn about rows that teach nothing, and about answers that never end."""
    lost = sum(problem.code in _NOTHING_LEARNED for problem in material.train.dropped)
    if lost:
        rows = len(material.train.examples) + len(material.train.dropped)
        report.notice("check_unsupervised", count=lost, rows=rows)
    if token := endless(material):
        report.notice("check_never_ends", token=token, model=config.model.base_model)


def endless(material: Material) -> str | None:
    """Return what answers end with where that ends no answer; None where most end as they should.

    Rows that were cut lack their end for another reason, and do not count.
    """
    tokenizer = material.tokenizer
    last = [_last_learned(e) for e in material.train.examples if len(e.input_ids) == e.full_length]
    wrong = [token for token in last if token not in tokenizer.eos_ids]
    if 2 * len(wrong) <= len(last):
        return None
    return tokenizer.token(max(set(wrong), key=wrong.count))


def _last_learned(example: Example) -> int:
    return int(example.input_ids[np.flatnonzero(example.trained)[-1]])
