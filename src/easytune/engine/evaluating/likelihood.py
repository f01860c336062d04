"""How likely a model holds the references of rows, and which of their choices is the likeliest.

The reference is scored as training learns it: under the chat template, behind the prompt, its own
tokens with the end token. NLL is in nats, summed; perplexity is exp(sum of NLL / sum of tokens).
Multiple choice takes the answer of the highest mean log-likelihood per token, as in Brown et al.
2020, "Language Models are Few-Shot Learners".
"""

import math
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from easytune.config import DataSection
from easytune.data.encoding import Encoder
from easytune.data.probe import ProbeRow
from easytune.data.rows import Message, Row
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine.evaluating.candidates import Asked
from easytune.engine.failures import classify
from easytune.engine.forgetting_figures import Loss
from easytune.errors import OutOfMemory, TemplateInvalid
from easytune.evaluation_files import TestRow

_TOKENS_AT_ONCE = 2048
_NO_LIMIT = 1 << 30


@dataclass(frozen=True)
class Likelihood:
    """What a model holds of one row; as the fields of `RowAnswer`."""

    nll: float | None = None
    reference_tokens: int = 0
    correct_tokens: int = 0
    choice: int | None = None


class Likelihoods:
    """Measures rows with one candidate's weights; a reference that cannot be measured is left out.

    That is one whose conversation the template refuses, or that is longer than the model's context.
    """

    def __init__(
        self,
        asked: Asked,
        adapter: str | None,
        thinking: Literal["auto", "on", "off"] = "auto",
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """`thinking` is how prompts are rendered. Raises as `Asked.template`."""
        self._asked, self._adapter, self._stop = asked, adapter, stop
        options = DataSection(thinking=thinking, mask_history=True)
        self._options = options.model_copy(update={"max_length": _NO_LIMIT})
        self._tokens_at_once = _TOKENS_AT_ONCE

    def measure(self, rows: Sequence[TestRow]) -> list[Likelihood]:
        """Return the likelihood of every row; of a row without reference and choices it is empty.

        Ends early when a stop is asked: then what was not read is empty, too.
        """
        texts = [_texts(row) for row in rows]
        wanted = [(place, text) for place, some in enumerate(texts) for text in some]
        sequences = self._sequences([(rows[place], text) for place, text in wanted])
        losses = self._losses(sequences)
        by_row: list[dict[str, Loss]] = [{} for _ in rows]
        for (place, text), loss in zip(wanted, losses, strict=True):
            if loss is not None:
                by_row[place][text] = loss
        return [_likelihood(row, found) for row, found in zip(rows, by_row, strict=True)]

    def _sequences(self, wanted: Sequence[tuple[TestRow, str]]) -> list[ProbeRow | None]:
        """Return each row with one answer in tokens, that answer scored."""
        try:
            tokenizer = self._asked.tokenizer(self._adapter)
        except TemplateInvalid:
            # Plain text needs none.
            tokenizer = None
        found = [
            _plain(row, text, self._asked.held.tokenizer) if row.prompt is not None else None
            for row, text in wanted
        ]
        if tokenizer is not None:
            talks = [place for place, (row, _) in enumerate(wanted) if row.prompt is None]
            asked = [_conversation(place, *wanted[place]) for place in talks]
            for example in Encoder(tokenizer, self._options).encode(asked).examples:
                place = example.row.number
                found[place] = ProbeRow(str(place), "", example.input_ids, example.trained)
        context = self._asked.held.context or _NO_LIMIT
        return [one if one is not None and len(one.input_ids) <= context else None for one in found]

    def _losses(self, sequences: Sequence[ProbeRow | None]) -> list[Loss | None]:
        found: list[Loss | None] = [None] * len(sequences)
        known = [(place, one) for place, one in enumerate(sequences) if one is not None]
        waiting = deque(sorted(known, key=lambda each: -len(each[1].input_ids)))
        while waiting and not self._stop():
            short = self._read(waiting, found)
            if short:
                # Out here the failed computation's frames, and what they held, are gone.
                self._asked.give_back()
                self._tokens_at_once = max(1, self._tokens_at_once // 2)
                # One that does not fit alone is left out.
                waiting.extendleft(reversed(short[1:] if len(short) == 1 else short))
        return found

    def _read(
        self, waiting: deque[tuple[int, ProbeRow]], found: list[Loss | None]
    ) -> list[tuple[int, ProbeRow]]:
        """Read what waits until a stop is asked; return what memory was too short for."""
        batch: list[tuple[int, ProbeRow]] = []
        try:
            with self._asked.reading(self._adapter) as reader:
                while waiting and not self._stop():
                    batch = self._next(waiting)
                    losses = reader.losses([one for _, one in batch])
                    for (place, _), loss in zip(batch, losses, strict=True):
                        found[place] = loss if math.isfinite(loss.nll) else None
        # An edge: torch has several ways of saying that memory is short.
        except Exception as problem:
            if isinstance(classify(problem, None, self._asked.held.folder), OutOfMemory):
                return batch
            raise
        return []

    def _next(self, waiting: deque[tuple[int, ProbeRow]]) -> list[tuple[int, ProbeRow]]:
        """Take as many sequences as may be read at once, one at least."""
        longest = len(waiting[0][1].input_ids)
        # A model that computes its own logits computes them at every token.
        whole = self._asked.loaded.plan.finish is None
        count = 1 if whole else max(1, self._tokens_at_once // longest)
        return [waiting.popleft() for _ in range(min(count, len(waiting)))]


def _texts(row: TestRow) -> list[str]:
    """Return the answers whose likelihood is wanted, each once."""
    own = [row.reference] if row.reference else []
    return [text for text in dict.fromkeys([*own, *row.choices]) if text.strip()]


def _likelihood(row: TestRow, found: dict[str, Loss]) -> Likelihood:
    own = found.get(row.reference or "")
    means = [
        found[text].nll / found[text].tokens if text in found else np.inf for text in row.choices
    ]
    choice = int(np.argmin(means)) if means and np.isfinite(means).any() else None
    if own is None:
        return Likelihood(choice=choice)
    return Likelihood(own.nll, own.tokens, own.correct, choice)


def _conversation(place: int, row: TestRow, text: str) -> Row:
    turns = [Message(turn.role, turn.content) for turn in row.messages]
    return Row(place, row.id, messages=(*turns, Message("assistant", text)))


def _plain(row: TestRow, text: str, tokenizer: ModelTokenizer) -> ProbeRow:
    """Return prompt and answer, whose tokens begin where those of the prompt end."""
    before = tokenizer.backend.encode(row.prompt or "").ids
    ids = tokenizer.backend.encode(f"{row.prompt}{text}").ids
    if ids[: len(before)] != before:
        # The last token of the prompt would swallow the beginning of the answer.
        ids = before + tokenizer.backend.encode(text, add_special_tokens=False).ids
    whole = np.array([*ids, tokenizer.eos_id], dtype=np.int32)
    scored = np.arange(len(whole)) >= max(1, len(before))
    return ProbeRow(row.id, "", whole, scored)
