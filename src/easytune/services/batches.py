"""Works through the prompts of a batch in the background, one prompt after the other.

Each prompt goes to all its columns through `Chat.ask`, so that somebody who chats gets a turn
between two prompts. Every answer is in the database before the next prompt begins: whatever
happens to this process, the batch can be gone on with.
"""

import logging
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from easytune.errors import EasyTuneError, Unexpected
from easytune.inference_errors import (
    BatchRuns,
    ComparisonMissing,
    ConversationUnrenderable,
    PromptEmpty,
    PromptTooLong,
)
from easytune.services.answer import Answer
from easytune.services.batch_owner import Owner
from easytune.services.chat import Answering, Chat
from easytune.services.comparison import BatchProgress, BatchState, Comparison, StoredAnswer
from easytune.services.comparison_archive import ComparisonArchive
from easytune.services.comparison_questions import questions_for, stored_answers, with_places
from easytune.services.prompts import Prompt

if TYPE_CHECKING:
    from easytune.services.comparison_tables import ComparisonRow

PATIENCE = 3
"""So many prompts in a row may fail for the same cause in the host before a batch ends."""
OF_THE_PROMPT = tuple(
    error.code() for error in (PromptEmpty, PromptTooLong, ConversationUnrenderable)
)
"""Failures that belong to the prompt: another try would meet them again."""
_UPDATE_S = 0.1
_STOP_CHECK_S = 0.5
_STOP_PATIENCE_S = 15.0

_log = logging.getLogger(__name__)
Failure = tuple[str, dict[str, Any]]


class Batches:
    """The batches of a home; this process works on those that were started here."""

    def __init__(self, archive: ComparisonArchive, chat: Chat) -> None:
        """Read prompts from and write answers to `archive`; ask the models of `chat`."""
        self._archive = archive
        self._chat = chat
        self._me = Owner.here()
        self._workers: dict[str, _Worker] = {}
        self._lock = threading.Lock()

    def start(self, comparison: str, prompts: Sequence[Prompt]) -> None:
        """Add prompts to a comparison and work through all that are not answered yet.

        Raises PromptEmpty when there is none, or one without a question, and BatchRuns.
        """
        if not prompts or not all(p.messages and p.messages[-1].content.strip() for p in prompts):
            raise PromptEmpty
        self._begin(comparison, prompts)

    def resume(self, comparison: str) -> None:
        """Go on with what is missing, was cut off, or failed in the host."""
        self._begin(comparison, ())

    def progress(self, comparison: str) -> BatchProgress:
        """Return how far a batch is; the same in every process. Raises ComparisonMissing."""
        # The lock: a batch that is about to begin has an owner, but no living worker yet.
        with self._lock:
            found = self._look(comparison)
            # It may have ended between reading its row and looking for its owner.
            return self._look(comparison) if found.state == "interrupted" else found

    def stop(self, comparison: str) -> None:
        """Stop a batch, of whichever process, and wait until it has. Raises ComparisonMissing."""
        with self._archive.writing() as rows:
            rows.row(comparison).batch_stop = True
        with self._lock:
            worker = self._workers.get(comparison)
        if worker is not None:
            worker.stop("stopped")
        give_up = time.monotonic() + _STOP_PATIENCE_S
        while self.progress(comparison).state == "running" and time.monotonic() < give_up:
            time.sleep(0.02)

    def close(self) -> None:
        """Interrupt the batches of this process."""
        with self._lock:
            workers = list(self._workers.values())
        for worker in workers:
            worker.stop("interrupted")
        for worker in workers:
            worker.join(_STOP_PATIENCE_S)

    def _look(self, comparison: str) -> BatchProgress:
        with self._archive.reading() as rows:
            row = rows.row(comparison)
            done, total = rows.counts(comparison)
        state = self._state_of(row)
        failure = (row.batch_failure[0], row.batch_failure[1]) if row.batch_failure else None
        seconds_left = _seconds_left(row, total - done) if state == "running" else None
        return BatchProgress(state, done, total, seconds_left, failure)

    def _begin(self, comparison: str, prompts: Sequence[Prompt]) -> None:
        with self._lock:
            with self._archive.writing() as rows:
                row = rows.row(comparison)
                if row.kind != "batch":
                    raise ValueError(f"comparison {comparison} is a conversation, not a batch")
                if self._state_of(row) == "running":
                    raise BatchRuns(comparison=comparison)
                rows.reopen(comparison, OF_THE_PROMPT)
                if prompts:
                    rows.add_entries(comparison, prompts)
                rows.begin_batch(comparison, str(self._me))
            worker = _Worker(self._archive, self._chat, comparison)
            self._workers[comparison] = worker
            worker.start()

    def _state_of(self, row: "ComparisonRow") -> BatchState:
        state: BatchState = row.batch_state  # type: ignore[assignment]
        if state != "running":
            return state
        if row.batch_owner == str(self._me):
            worker = self._workers.get(row.id)
            return "running" if worker is not None and worker.is_alive() else "interrupted"
        return "running" if Owner.of(row.batch_owner).is_alive() else "interrupted"


class _Worker(threading.Thread):
    """Works through one batch."""

    def __init__(self, archive: ComparisonArchive, chat: Chat, comparison: str) -> None:
        super().__init__(name=f"batch {comparison}", daemon=True)
        self._archive = archive
        self._chat = chat
        self._comparison = comparison
        self._stop_as: BatchState | None = None
        self._checked = 0.0
        self._clock_runs = False

    def stop(self, state: BatchState) -> None:
        """End within a step, and leave the batch in this state."""
        self._stop_as = state

    def run(self) -> None:
        """Ask until nothing is missing, somebody stops it, or it makes no sense to go on."""
        state: BatchState = "failed"
        failure: Failure | None = _facts(Unexpected(reason="the batch ended unexpectedly"))
        try:
            state, failure = self._work()
        except ComparisonMissing:
            _log.info("comparison %s was deleted while its batch ran", self._comparison)
        except EasyTuneError as error:
            state, failure = "failed", _facts(error)
        finally:
            self._end(state, failure)

    def _work(self) -> tuple[BatchState, Failure | None]:
        streaks: dict[tuple[int, str], int] = {}
        while True:
            with self._archive.reading() as rows:
                open_prompt = rows.next_open(self._comparison)
            if open_prompt is None:
                return "finished", None
            answers = self._answer(*open_prompt)
            if answers is None:
                return self._stop_as or "stopped", None
            streaks = _longer(streaks, answers)
            for (place, _), length in streaks.items():
                if length >= PATIENCE:
                    return "failed", (answers[place].code, answers[place].values)

    def _answer(self, comparison: Comparison, missing: list[int]) -> dict[int, StoredAnswer] | None:
        """Ask one prompt and keep the answers; None when the batch was stopped meanwhile."""
        if self._has_to_stop():
            return None
        entry = comparison.entries[0]
        questions = questions_for(comparison, entry, missing)
        with self._chat.ask(questions, owner=f"batch:{comparison.id}") as answering:
            folded, stopped = self._follow(answering)
            asked = answering.questions
        columns = [comparison.columns[place] for place in missing]
        said = with_places(self._chat, columns, stored_answers(folded, asked, entry.reference))
        answers = dict(zip(missing, said, strict=True))
        if stopped:
            # What was cut off is asked again when somebody goes on.
            answers = {p: each for p, each in answers.items() if each.reason != "cancelled"}
        with self._archive.writing() as rows:
            rows.put_answers(comparison.id, entry.position, answers)
            rows.count_prompt(comparison.id)
        return None if stopped else answers

    def _follow(self, answering: Answering) -> tuple[list[Answer], bool]:
        answers = [Answer() for _ in answering.questions]
        stopped = False
        for updates in answering.updates(_UPDATE_S):
            for update in updates:
                answers[update.column].add(update)
            if not stopped and self._has_to_stop():
                stopped = True
                answering.stop()
            if not self._clock_runs and any(answer.prompt_tokens for answer in answers):
                self._start_clock()
        return answers, stopped

    def _start_clock(self) -> None:
        # Loading the model is not part of the speed from which the rest is estimated.
        self._clock_runs = True
        with self._archive.writing() as rows:
            rows.row(self._comparison).batch_clock = datetime.now(UTC)

    def _has_to_stop(self) -> bool:
        if self._stop_as is None and time.monotonic() - self._checked > _STOP_CHECK_S:
            self._checked = time.monotonic()
            with self._archive.reading() as rows:
                if rows.row(self._comparison).batch_stop:
                    self._stop_as = "stopped"
        return self._stop_as is not None

    def _end(self, state: BatchState, failure: Failure | None) -> None:
        try:
            with self._archive.writing() as rows:
                rows.end_batch(self._comparison, state, failure)
        except EasyTuneError as error:
            # Without a note of its end the batch counts as interrupted, which is what it is.
            _log.warning("the end of batch %s could not be noted: %s", self._comparison, error)


def _longer(
    streaks: dict[tuple[int, str], int], answers: dict[int, StoredAnswer]
) -> dict[tuple[int, str], int]:
    """Return for how many prompts in a row each column has failed for the same cause."""
    failed = [
        (place, answer.code)
        for place, answer in answers.items()
        if answer.reason == "failed" and answer.code not in OF_THE_PROMPT
    ]
    return {key: streaks.get(key, 0) + 1 for key in failed}


def _seconds_left(row: "ComparisonRow", left: int) -> float | None:
    """Estimate from the prompts done in this sitting; None before the first."""
    if row.batch_clock is None or row.batch_latest is None or row.batch_counted == 0:
        return None
    each = (row.batch_latest - row.batch_clock).total_seconds() / row.batch_counted
    since = (datetime.now(UTC) - row.batch_latest).total_seconds()
    return max(each * left - since, each * (left - 1), 0.0)


def _facts(error: EasyTuneError) -> Failure:
    return error.code(), error.values
