"""Answers being computed: one thread asks the hosts in turn, one consumer reads what they say."""

import queue
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from easytune.errors import EasyTuneError
from easytune.generation import LoadingSection
from easytune.services import slots
from easytune.services.catalogue import Model
from easytune.services.pool import Pool
from easytune.services.questions import LoadingModel, Question, Update, Waiting
from easytune.services.slots import Slot
from easytune.wire import Began, Column, Ended, Piece, Queued

_LOOK_S = 0.05
# A host stops within a step; who waits longer is told that it has ended, whatever the host does.
_PATIENCE_S = 2.0


@dataclass(frozen=True)
class Group:
    """Columns that one host answers as one batch: (index of the question, what is asked)."""

    base: Model
    loading: LoadingSection
    columns: tuple[tuple[int, Column], ...]


class Answering:
    """Answers being computed, one per question. A context manager: leaving it stops them."""

    def __init__(
        self,
        questions: tuple[Question, ...],
        groups: list[Group],
        held: Pool,
        owner: str,
        on_end: Callable[["Answering"], None],
        hear: Callable[[str, Update], None] | None = None,
    ) -> None:
        """Begin to answer on a thread of its own.

        `hear` gets our id and each update as well, from other threads; it must be quick.
        """
        self.id = uuid.uuid4().hex[:12]
        self.owner = owner
        self.questions = questions
        self._groups, self._pool, self._on_end, self._hear = groups, held, on_end, hear
        self._lock = threading.Lock()
        self._open = set(range(len(questions)))
        self._stopped: dict[int, float] = {}
        self._asked: tuple[Slot, str, list[int]] | None = None
        self._news: queue.SimpleQueue[Update] = queue.SimpleQueue()
        self._moved = threading.Event()
        threading.Thread(target=self._run, name=f"answering-{self.id}", daemon=True).start()

    @property
    def has_ended(self) -> bool:
        """Tell whether every column has ended."""
        return not self._open

    def updates(self, every: float = 0.05) -> Iterator[list[Update]]:
        """Yield what happened, at least every `every` seconds (perhaps nothing), to the end."""
        while True:
            is_last = self.has_ended
            found: list[Update] = []
            try:
                found.append(self._news.get(timeout=0 if is_last else every))
                while True:
                    found.append(self._news.get_nowait())
            except queue.Empty:
                pass
            if found or not is_last:
                yield found
            if is_last:
                return

    def stop(self, column: int | None = None) -> None:
        """End one column, or all of them, within a step."""
        with self._lock:
            chosen = self._open & ({column} if column is not None else self._open)
            fresh = [index for index in sorted(chosen) if index not in self._stopped]
            self._stopped.update(dict.fromkeys(fresh, time.monotonic()))
            asked = self._asked
        for index in fresh:
            if asked is not None and index in asked[2]:
                self._pool.cancel(asked[0], asked[1], asked[2].index(index))
            else:
                self._end(index, reason="cancelled")

    def close(self) -> None:
        """Stop what still goes on."""
        self.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            for group in self._groups:
                if self._left(group):
                    self._answer(group)
        finally:
            # Whatever happens here, nobody may wait for ever.
            for index in sorted(self._open):
                self._end(index, reason="cancelled")
            self._on_end(self)

    def _answer(self, group: Group) -> None:
        try:
            slot = self._pool.take(group.base, group.loading)
        except EasyTuneError as problem:
            self._fail(group, (problem.code(), problem.values))
            return
        try:
            self._wait_until_loaded(group, slot)
            request = self._ask(group, slot)
        finally:
            # From here on the request itself keeps the model: the moment it ends, another may come.
            self._pool.release(slot)
        if request is not None:
            self._wait_for_end(group)
            self._pool.forget(slot, request)

    def _wait_until_loaded(self, group: Group, slot: Slot) -> None:
        shown: tuple[str, float | None] | None = None
        while self._left(group) and not slot.settled.is_set():
            if shown != (slot.phase, slot.share):
                shown = (slot.phase, slot.share)
                self._tell_loading(group, *shown)
            slot.settled.wait(_LOOK_S)

    def _ask(self, group: Group, slot: Slot) -> str | None:
        """Send what is left of a group to its host; return the request, None when there is none."""
        columns = self._left(group)
        if not columns:
            return None
        failure = slots.failure_of(slot)
        if failure is not None:
            self._fail(group, failure)
            return None
        indexes = [index for index, _ in columns]
        asked = tuple(column for _, column in columns)
        request = self._pool.generate(slot, asked, lambda reply: self._take(reply, indexes))
        if request is None:
            # Somebody unloaded the model.
            for index in indexes:
                self._end(index, reason="cancelled")
            return None
        with self._lock:
            self._asked = (slot, request, indexes)
            late = [n for n, index in enumerate(indexes) if index in self._stopped]
        for column in late:
            self._pool.cancel(slot, request, column)
        return request

    def _wait_for_end(self, group: Group) -> None:
        while left := self._left(group):
            self._moved.wait(_LOOK_S if self._stopped else 1.0)
            self._moved.clear()
            for index, _ in left:
                since = self._stopped.get(index)
                if since is not None and time.monotonic() - since > _PATIENCE_S:
                    self._end(index, reason="cancelled")
        with self._lock:
            self._asked = None

    def _take(self, reply: Queued | Began | Piece | Ended, indexes: list[int]) -> None:
        """Pass on what the host says, under the caller's own numbers of columns."""
        if isinstance(reply, Queued):
            for index in indexes:
                self._tell(Waiting(index, reply.position))
        elif reply.column < len(indexes):
            self._tell(reply.model_copy(update={"column": indexes[reply.column]}))

    def _tell(self, update: Update) -> None:
        with self._lock:
            if update.column not in self._open:
                return
            self._news.put(update)
            if isinstance(update, Ended):
                self._open.discard(update.column)
        if self._hear is not None:
            self._hear(self.id, update)
        if isinstance(update, Ended):
            self._moved.set()

    def _tell_loading(self, group: Group, phase: str, share: float | None) -> None:
        for index, _ in self._left(group):
            self._tell(LoadingModel(index, group.base.id, phase, share))

    def _fail(self, group: Group, failure: tuple[str, dict[str, Any]]) -> None:
        for index, _ in self._left(group):
            self._end(index, reason="failed", code=failure[0], values=failure[1])

    def _end(self, index: int, **facts: Any) -> None:
        self._tell(Ended(request=self.id, column=index, **facts))

    def _left(self, group: Group) -> list[tuple[int, Column]]:
        return [pair for pair in group.columns if pair[0] in self._open]
