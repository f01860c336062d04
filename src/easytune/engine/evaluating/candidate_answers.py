"""Asks every candidate every row that has no answer yet, and keeps each answer at once.

Candidates that share a base are asked together, some rows at a time, the longest first: first how
likely they hold what is known, one candidate after another, then all their answers in mixed
batches.
"""

import os
import sys
import time
import traceback
from collections.abc import Iterator, Sequence

from easytune.engine import hardware
from easytune.engine.evaluating import asking
from easytune.engine.evaluating.asking import Answer
from easytune.engine.evaluating.batches import BatchSize
from easytune.engine.evaluating.candidates import Asked, Group, adapter_of
from easytune.engine.evaluating.likelihood import Likelihood, Likelihoods
from easytune.engine.evaluating.records import Answers, wanted
from easytune.engine.evaluating.session import Session
from easytune.engine.failures import classify
from easytune.errors import DiskFull, EasyTuneError
from easytune.evaluation_files import RowAnswer, TestRow
from easytune.events import Answered, Started
from easytune.wire import Column

_ROWS_AT_ONCE = 512
_SAY_SECONDS = 0.25
_LARGEST_SEED = 2**32


def ask(session: Session, answers: Answers) -> None:
    """Answer what is not in `answers` yet, until a stop is asked.

    A model that cannot be asked becomes a finding and the others go on. Raises EasyTuneError when
    none of them can.
    """
    asking_all = _Asking(session, answers)
    for group in session.groups:
        if session.stop.asked():
            break
        asking_all.group(group)
    asking_all.end()


class _Asking:
    """The asking of one evaluation."""

    def __init__(self, session: Session, answers: Answers) -> None:
        self._session, self._answers = session, answers
        self._config, self._wanted = session.order.config, wanted(session.order.config)
        self._progress = _Progress(session, answers)
        self._problems: list[EasyTuneError] = []
        self._asked_any = bool(len(answers))
        self._without_likelihood: set[int] = set()

    def group(self, group: Group) -> None:
        """Ask the candidates of one base."""
        if not any(self._lacking(place) for place in group.places):
            return
        try:
            with self._session.base(group.base) as asked:
                self._progress.start(asked)
                self._ask(asked, group)
        # An edge: a model that cannot be loaded must not keep the others from being asked.
        except Exception as error:
            known = self._known(error)
            if isinstance(known, DiskFull):
                raise
            for place in group.places:
                self._unusable(place, known)

    def end(self) -> None:
        """Tell the last of the progress. Raises the first problem when no model could be asked."""
        self._progress.end()
        if self._problems and not self._asked_any:
            raise self._problems[0]

    def _lacking(self, place: int) -> list[int]:
        count = len(self._session.rows)
        return [row for row in range(count) if (place, row) not in self._answers]

    def _ask(self, asked: Asked, group: Group) -> None:
        usable = [place for place in group.places if self._is_usable(asked, place)]
        self._asked_any |= bool(usable)
        lacking = {place: set(self._lacking(place)) for place in usable}
        rows = self._session.rows
        todo = sorted(set().union(*lacking.values()), key=lambda row: (-_length(rows[row]), row))
        size = BatchSize(asked.held, self._config.test.batch_size)
        for start in range(0, len(todo), _ROWS_AT_ONCE):
            part = todo[start : start + _ROWS_AT_ONCE]
            wishes = [(place, row) for row in part for place in usable if row in lacking[place]]
            self._ask_some(asked, wishes, size)
            if self._session.stop.asked():
                break
        largest = max(size.largest or 0, self._session.result.batch_size or 0)
        self._session.result.batch_size = largest or None

    def _ask_some(self, asked: Asked, wishes: Sequence[tuple[int, int]], size: BatchSize) -> None:
        known = dict(self._likelihoods(asked, wishes))
        if self._session.stop.asked():
            return
        if not self._wanted.text:
            found = [_record(place, Answer(), known.get(place)) for place in wishes]
            self._answers.add(found)
            self._progress.tell(wishes[-1][0], size)
            return
        columns = [self._column(place, row) for place, row in wishes]
        for number, answer in asking.answers(asked, columns, size, self._session.stop.asked):
            place = wishes[number]
            self._answers.add([_record(place, answer, known.get(place))])
            self._progress.tell(place[0], size)

    def _likelihoods(
        self, asked: Asked, wishes: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[tuple[int, int], Likelihood]]:
        if not self._wanted.likelihood:
            return
        for place in sorted({place for place, _ in wishes}):
            numbers = [row for other, row in wishes if other == place]
            rows = [self._session.rows[row] for row in numbers]
            yield from zip(
                [(place, row) for row in numbers], self._measured(asked, place, rows), strict=True
            )

    def _measured(self, asked: Asked, place: int, rows: Sequence[TestRow]) -> list[Likelihood]:
        nothing = [Likelihood() for _ in rows]
        if place in self._without_likelihood:
            return nothing
        candidate, thinking = self._session.order.candidates[place], self._config.sampling.thinking
        stop = self._session.stop.asked
        try:
            return Likelihoods(asked, adapter_of(candidate), thinking, stop).measure(rows)
        # An edge: a model that can only be asked is asked all the same.
        except Exception as error:  # noqa: BLE001
            self._without_likelihood.add(place)
            self._session.failed("no_likelihood", self._known(error), model=candidate.title)
        asked.give_back()
        return nothing

    def _column(self, place: int, row: int) -> Column:
        test, sampling = self._session.rows[row], self._config.sampling
        seed = self._config.test.seed if sampling.seed is None else sampling.seed
        return Column(
            adapter=adapter_of(self._session.order.candidates[place]),
            messages=test.messages,
            prompt=test.prompt,
            # With one seed for all, chance would favour the same places of every answer.
            sampling=sampling.model_copy(update={"seed": (seed + row) % _LARGEST_SEED}),
        )

    def _is_usable(self, asked: Asked, place: int) -> bool:
        if adapter := adapter_of(self._session.order.candidates[place]):
            try:
                asked.attached.get(adapter)
            except EasyTuneError as error:
                self._unusable(place, error)
                return False
        return True

    def _unusable(self, place: int, known: EasyTuneError) -> None:
        candidate = self._session.order.candidates[place]
        self._problems.append(known)
        self._session.failed("model_unusable", known, model=candidate.title)

    def _known(self, error: Exception) -> EasyTuneError:
        known = classify(error, None, self._session.folder.path)
        if known is not error:
            traceback.print_exception(error, file=sys.stderr)
        return known


class _Progress:
    """Tells how far the asking is, a few times a second."""

    def __init__(self, session: Session, answers: Answers) -> None:
        self._session, self._answers = session, answers
        self._total = len(session.rows) * len(session.order.candidates)
        self._began, self._first = time.monotonic(), len(answers)
        self._told = 0.0
        self._last: Answered | None = None
        self._started = False
        if self._first:
            # From an evaluation that this one continues.
            self._last = Answered(done=self._first, total=self._total, candidate=0, batch_size=1)

    def start(self, asked: Asked) -> None:
        """Say what computes, once; the time of loading does not count as asking."""
        self._began, self._first = time.monotonic(), len(self._answers)
        if self._started:
            return
        self._started = True
        self._session.report(
            Started(
                pid=os.getpid(),
                total_steps=self._total,
                first_step=self._first,
                device=hardware.device_name(asked.held.device),
                versions=self._session.order.versions,
            )
        )

    def tell(self, candidate: int, size: BatchSize) -> None:
        """Say how many answers there are, unless that was said just now."""
        done, now = len(self._answers), time.monotonic()
        took = now - self._began
        self._last = Answered(
            done=done,
            total=self._total,
            candidate=candidate,
            batch_size=size.largest or size.now,
            rows_per_second=round((done - self._first) / took, 3) if took else None,
        )
        if now >= self._told + _SAY_SECONDS:
            self._say(now)

    def end(self) -> None:
        """Say what has not been said yet."""
        if self._last is not None:
            self._say(time.monotonic())

    def _say(self, now: float) -> None:
        if self._last is not None:
            self._session.report(self._last)
        self._told, self._last = now, None


def _length(row: TestRow) -> int:
    return len(row.prompt or "") + sum(len(turn.content) for turn in row.messages)


def _record(place: tuple[int, int], answer: Answer, known: Likelihood | None) -> RowAnswer:
    found = known or Likelihood()
    return RowAnswer(
        candidate=place[0],
        row=place[1],
        text=answer.text,
        thinking=answer.thinking,
        reason=answer.reason,
        tokens=answer.tokens,
        seconds=answer.seconds,
        nll=found.nll,
        reference_tokens=found.reference_tokens,
        correct_tokens=found.correct_tokens,
        choice=found.choice,
        code=answer.code,
        values=answer.values,
    )
