"""How long a whole run will take, from a few of its steps, a look at held-out rows and an answer.

Nothing is guessed that can be measured in a moment: evaluations and answers to the fixed prompts
take most of the time of a small run.
"""

import time
from dataclasses import dataclass

from easytune.engine.generate import Answers
from easytune.engine.preparing import Prepared
from easytune.engine.trainer import PackedTrainer, unchanged_random_state
from easytune.forgetting import SHARE_OF_TIME

_LOOKED_AT = 4
_ANSWER_TOKENS = 8


@dataclass(frozen=True)
class Costs:
    """What the parts of a run cost, in seconds; `tokens_per_second` does not count padding."""

    tokens_per_second: float
    evaluation: float
    """One look at all held-out rows."""
    first_answers: float
    """Answering the fixed prompts before anything is learned, at full length."""
    answers: float
    """Answering them as the rows do, which is what the run teaches."""

    def of_run(self, prepared: Prepared, startup: float) -> float:
        """Return the seconds of the whole run, `startup` before its first step included."""
        steps = self.training(prepared)
        meter = SHARE_OF_TIME if prepared.config.monitor.forgetting else 0.0
        looks = evaluations(prepared)
        beside = looks * self.answers + self.first_answers
        if looks:
            # Once before the first step.
            beside += (looks + 1) * self.evaluation
        return startup + steps * (1 + meter) + beside

    def training(self, prepared: Prepared) -> float:
        """Return the seconds of all steps."""
        epochs = prepared.rhythm.total / prepared.batches.steps()
        return epochs * sum(prepared.batches.lengths) / self.tokens_per_second


def measure(prepared: Prepared, trainer: PackedTrainer, tokens_per_second: float) -> Costs:
    """Time what happens beside the steps."""
    looks = evaluations(prepared)
    first_answers, answers = _answer_seconds(prepared)
    return Costs(
        tokens_per_second=tokens_per_second,
        evaluation=_evaluation_seconds(prepared, trainer) if looks else 0.0,
        first_answers=first_answers,
        answers=answers,
    )


def evaluations(prepared: Prepared) -> int:
    """Return how often the held-out rows are looked at."""
    if not prepared.material.held_out.examples:
        return 0
    rhythm = prepared.rhythm
    return -(-rhythm.total // rhythm.evaluation)


def _evaluation_seconds(prepared: Prepared, trainer: PackedTrainer) -> float:
    """Time some of the held-out rows, of all lengths, and reckon for all of them."""
    rows = sorted(prepared.material.held_out.examples, key=lambda row: len(row.input_ids))
    size = trainer.args.per_device_train_batch_size
    kept = rows[:: max(1, len(rows) // (_LOOKED_AT * size))]
    trainer.held_out = kept
    began = time.monotonic()
    trainer.evaluate()
    took = time.monotonic() - began
    trainer.held_out = rows
    return took * _tokens(rows) / _tokens(kept)


def _tokens(rows: list) -> int:
    return sum(len(row.input_ids) for row in rows)


def _answer_seconds(prepared: Prepared) -> tuple[float, float]:
    """Time the first tokens of the answers; reckon for the longest, and for those of the rows."""
    rows = prepared.material.held_out.examples
    held_out = [example.row for example in rows]
    config, loaded = prepared.config, prepared.loaded
    answers = Answers(loaded, prepared.material.tokenizer, config, held_out, lambda: False)
    wanted = answers.longest
    if not wanted or not answers.prompts:
        return 0.0, 0.0
    # All are answered at once, so the longest answer decides.
    learned = [int(row.trained.sum()) for row in rows[: len(answers.prompts)]]
    usual = min(wanted, max(learned, default=wanted))
    first = _timed(answers, 1)
    each = max(0.0, _timed(answers, _ANSWER_TOKENS) - first) / (_ANSWER_TOKENS - 1)
    return first + each * (wanted - 1), first + each * (usual - 1)


def _timed(answers: Answers, tokens: int) -> float:
    answers.longest = tokens
    began = time.monotonic()
    with unchanged_random_state():
        answers()
    return time.monotonic() - began
