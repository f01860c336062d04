"""Answers of the models in memory, in batches that fit, the longest prompts first."""

import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from easytune.engine.answer_text import AnswerText, Detokenizer
from easytune.engine.decoding import Decoding, Row
from easytune.engine.evaluating.batches import BatchSize
from easytune.engine.evaluating.candidates import Asked
from easytune.engine.failures import classify
from easytune.engine.prompting import Prompt
from easytune.engine.sampling import Sampler
from easytune.errors import EasyTuneError, OutOfMemory
from easytune.inference_errors import HostOutOfMemory
from easytune.thinking import split_thinking
from easytune.wire import Column, EndReason

# A user who has stopped does not wait longer for the batch that is computed.
_PATIENCE_S = 15.0


@dataclass
class Answer:
    """What a model did with one column.

    `text` is without thoughts; `code` and `values` are the error of one that has none.
    """

    text: str = ""
    thinking: str = ""
    reason: EndReason = "stop"
    tokens: int = 0
    seconds: float = 0.0
    code: str = ""
    values: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Asked:
    """A column that can be answered."""

    place: int
    column: Column
    prompt: Prompt
    written: list[str] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        """Return the tokens it may come to."""
        return len(self.prompt.ids) + self.prompt.limit


def answers(
    asked: Asked, columns: Sequence[Column], size: BatchSize, stop: Callable[[], bool]
) -> Iterator[tuple[int, Answer]]:
    """Yield (place in `columns`, answer) as answers end; columns are mixed where they can be.

    A batch that does not fit is halved, down to one, which then fails with its code. After a stop
    the batch is finished, for a few seconds, and the rest is left out.
    """
    ready: list[_Asked] = []
    prompts = _Prompts(asked)
    for place, column in enumerate(columns):
        try:
            ready.append(_Asked(place, column, prompts.of(column)))
        except EasyTuneError as error:
            yield place, _failed(error)
    for group in _groups(asked, ready):
        yield from _group(asked, group, size, _Patience(stop))


class _Prompts:
    """Makes prompts; models with one template that are asked the same read the same."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._made: dict[object, Prompt] = {}

    def of(self, column: Column) -> Prompt:
        """Return the prompt of a column. Raises as `Prompter.prompt`."""
        template = self._asked.template(column.adapter)
        key = (id(template), column.messages, column.prompt, column.continued, column.sampling)
        if key not in self._made:
            self._made[key] = self._asked.prompter.prompt(column, template)
        return self._made[key]


class _Patience:
    """Whether to stop: at the next batch, and after some seconds in the middle of one."""

    def __init__(self, stop: Callable[[], bool]) -> None:
        self._stop, self._since = stop, 0.0

    def is_asked(self) -> bool:
        """Tell whether no further batch shall begin."""
        if not self._since and self._stop():
            self._since = time.monotonic()
        return bool(self._since)

    def is_over(self) -> bool:
        """Tell whether this batch shall not be finished either."""
        return self.is_asked() and time.monotonic() > self._since + _PATIENCE_S


def _groups(asked: Asked, ready: Sequence[_Asked]) -> list[list[_Asked]]:
    """Put together what can share a batch, the longest first, a row's columns side by side."""
    together: dict[str | None, list[_Asked]] = {}
    for one in sorted(ready, key=lambda one: -len(one.prompt.ids)):
        adapter = one.column.adapter
        key = "mixed" if asked.attached.can_mix(adapter) else adapter
        together.setdefault(key, []).append(one)
    return list(together.values())


def _group(
    asked: Asked, group: Sequence[_Asked], size: BatchSize, patience: _Patience
) -> Iterator[tuple[int, Answer]]:
    waiting = deque(group)
    while waiting and not patience.is_asked():
        batch = [waiting.popleft() for _ in range(min(len(waiting), size.of(waiting[0].tokens)))]
        done: set[int] = set()
        error: EasyTuneError | None = None
        try:
            for place, answer in _batch(asked, batch, patience):
                done.add(place)
                yield place, answer
            size.fitted(len(batch))
        # An edge: whatever one batch does wrong, the next one must be asked.
        except Exception as problem:  # noqa: BLE001
            error = _known(problem, asked)
        if error is None:
            continue
        # Out here the failed computation's frames, and what they held, are gone.
        asked.give_back()
        left = [one for one in batch if one.place not in done]
        if isinstance(error, HostOutOfMemory) and size.halve(len(batch)):
            for one in reversed(left):
                one.written.clear()
                waiting.appendleft(one)
        else:
            yield from ((one.place, _failed(error)) for one in left)


def _batch(
    asked: Asked, batch: Sequence[_Asked], patience: _Patience
) -> Iterator[tuple[int, Answer]]:
    held, began = asked.held, time.perf_counter()
    by_place = {one.place: one for one in batch}
    with asked.attached.applied([one.column.adapter for one in batch]) as use:
        decoding = Decoding(
            model=held.model,
            rows=[_row(asked, one) for one in batch],
            eos_ids=held.tokenizer.eos_ids,
            pad_id=held.tokenizer.pad_id,
            backend=held.tokenizer.backend,
            cancelled=lambda: by_place if patience.is_over() else (),
            use=use,
        )
        for news in decoding.run():
            one = by_place[news.row.column]
            one.written.append(news.shown.text)
            if news.ended and news.ended != "cancelled":
                seconds = time.perf_counter() - began
                yield one.place, _answer(one, news.ended, news.row.tokens, seconds)


def _row(asked: Asked, one: _Asked) -> Row:
    sampling, prompt = one.column.sampling, one.prompt
    before = prompt.ids if prompt.goes_on else ()
    detokenizer = Detokenizer(asked.held.tokenizer.backend, before)
    return Row(
        column=one.place,
        prompt=prompt.ids,
        limit=prompt.limit,
        sampler=Sampler(sampling, prompt.ids, asked.held.device),
        text=AnswerText(detokenizer, sampling.stop),
    )


def _answer(one: _Asked, reason: EndReason, tokens: int, seconds: float) -> Answer:
    thinking, text = split_thinking("".join(one.written), one.prompt.opens_thinking)
    return Answer(text, thinking, reason, tokens, round(seconds, 4))


def _failed(error: EasyTuneError) -> Answer:
    return Answer(reason="failed", code=error.code(), values=error.values)


def _known(problem: Exception, asked: Asked) -> EasyTuneError:
    known = classify(problem, None, asked.held.folder)
    if isinstance(known, OutOfMemory):
        return HostOutOfMemory(device=asked.held.device.type)
    if known is not problem:
        traceback.print_exception(problem, file=sys.stderr)
    return known
