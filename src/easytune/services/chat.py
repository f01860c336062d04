"""Answers questions: finds the models, holds them in memory, streams what they say."""

import itertools
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from easytune import wire
from easytune.generation import LoadingSection
from easytune.inference_errors import PromptEmpty, TooManyColumns
from easytune.services import hosts, slots
from easytune.services.answering import Answering, Group
from easytune.services.catalogue import Catalogue, Model
from easytune.services.pool import Pool
from easytune.services.questions import LoadingModel, Question, Update, Waiting
from easytune.services.runs import Runs
from easytune.services.slots import Slot, Unloaded

__all__ = [
    "MOST_COLUMNS", "Answering", "Chat", "HeldModel", "LoadingModel", "Question", "Unloaded",
    "Update", "Waiting",
]  # fmt: skip

MOST_COLUMNS = 8
AUTOMATIC = LoadingSection()


@dataclass(frozen=True)
class HeldModel:
    """A base model that is in memory, on its way there, or failed to get there."""

    id: str
    title: str
    state: Literal["loading", "ready", "answering", "failed"]
    phase: str
    share: float | None
    memory_gb: float
    loading: LoadingSection
    ready: wire.Ready | None
    adapters: tuple[str, ...]
    """Ids of the adapters in memory with it."""
    requests: int
    """Requests that run or wait."""
    last_used: datetime
    failure: tuple[str, dict[str, Any]] | None
    """Code and values of the error."""
    wanted_by: str | None = None
    """Run that waits for memory this model holds, because somebody is being answered."""


class Chat:
    """All models in memory and all that is being answered. One per web process or command."""

    def __init__(
        self,
        home: Path,
        runs: Runs,
        command: Sequence[str] = hosts.COMMAND,
        catalogue: Catalogue | None = None,
        hear: Callable[[str, Update], None] | None = None,
    ) -> None:
        """Serve the models of `home`, or those of a `catalogue`. Loads when somebody asks.

        `hear` gets each update of every answering, with its id. Tests give another host `command`
        than the engine's.
        """
        self.catalogue = catalogue or Catalogue(home, runs)
        self._hear = hear
        self._versions = itertools.count(1)
        self._version = 0
        self._pool = Pool(home, self._changed, command)
        self._lock = threading.Lock()
        self._answerings: dict[str, Answering] = {}

    def ask(self, questions: Sequence[Question], owner: str = "") -> Answering:
        """Begin to answer; returns at once.

        Columns on one base are computed as one batch, other bases in turn. Raises PromptEmpty,
        TooManyColumns, ModelUnknown, AdapterMismatch, BaseMissing or the problem of a model
        before anything starts; later problems end their column with reason "failed".
        """
        if not 1 <= len(questions) <= MOST_COLUMNS:
            raise TooManyColumns(have=len(questions))
        seeded = tuple(_seeded(question) for question in questions)
        groups = self._grouped(seeded)
        with self._lock:
            answering = Answering(seeded, groups, self._pool, owner, self._forget, self._hear)
            self._answerings[answering.id] = answering
        self._changed()
        return answering

    def load(
        self, model: str, loading: LoadingSection = AUTOMATIC, base: str | None = None
    ) -> None:
        """Begin to load the base of a model; returns at once.

        Raises as `ask` does, or MemoryShort.
        """
        chosen = self.catalogue.base_of(self.catalogue.find(model), base)
        self._pool.release(self._pool.take(chosen, loading))

    def unload(self, base_id: str) -> None:
        """End the processes that hold a base model. What they still answer is cancelled."""
        self._pool.unload(base_id)

    def held(self) -> list[HeldModel]:
        """Return the models in memory, the last used first."""
        found = self._pool.slots()
        names = self.catalogue.by_folder() if any(slot.adapters for slot in found) else {}
        return [_shown(slot, names) for slot in found]

    def given_back(self) -> tuple[str, float] | None:
        """Return (base id, GB) of what the last unload gave back."""
        last = next(iter(self._pool.unloaded()), None)
        return (last.id, last.memory_gb) if last else None

    def unloaded(self) -> tuple[Unloaded, ...]:
        """Return the models that were given up since the start, and why, the last first."""
        return self._pool.unloaded()

    def version(self) -> int:
        """Return a number that changes when `held()` or `answering()` do."""
        return self._version

    def answering(self) -> list[Answering]:
        """Return what is being answered now."""
        with self._lock:
            return [*self._answerings.values()]

    def stop(self, answering_id: str, column: int | None = None) -> None:
        """Stop an answering, or one column of it; one that has ended is left alone."""
        with self._lock:
            answering = self._answerings.get(answering_id)
        if answering is not None:
            answering.stop(column)

    def start(self) -> None:
        """Begin to unload idle models, and to make room for training runs."""
        self._pool.start()

    def close(self) -> None:
        """Stop answering and end every host."""
        for answering in self.answering():
            answering.stop()
        self._pool.close()

    def _grouped(self, questions: Sequence[Question]) -> list[Group]:
        """Return the questions by the host that answers them, in the order they were asked."""
        found: dict[tuple[str, LoadingSection], tuple[Model, list[tuple[int, wire.Column]]]] = {}
        for index, question in enumerate(questions):
            _check_asked(question)
            model = self.catalogue.find(question.model)
            base = self.catalogue.base_of(model, question.base)
            _, columns = found.setdefault((base.id, question.loading), (base, []))
            columns.append((index, _column(question, model)))
        return [Group(base, key[1], tuple(columns)) for key, (base, columns) in found.items()]

    def _forget(self, answering: Answering) -> None:
        with self._lock:
            self._answerings.pop(answering.id, None)
        self._changed()

    def _changed(self) -> None:
        self._version = next(self._versions)


def _check_asked(question: Question) -> None:
    """Make sure that something was asked. Raises PromptEmpty."""
    if question.prompt is not None:
        is_empty = not question.prompt.strip()
    elif question.continued:
        is_empty = not any(turn.content.strip() for turn in question.messages)
    else:
        is_empty = not question.messages or not question.messages[-1].content.strip()
    if is_empty:
        raise PromptEmpty


def _seeded(question: Question) -> Question:
    if question.sampling.seed is not None:
        return question
    seed = random.randrange(2**32)
    return replace(question, sampling=question.sampling.model_copy(update={"seed": seed}))


def _column(question: Question, model: Model) -> wire.Column:
    return wire.Column(
        adapter=str(model.folder) if model.is_adapter else None,
        messages=question.messages,
        prompt=question.prompt,
        continued=question.continued,
        sampling=question.sampling,
        logprobs=question.logprobs,
    )


def _shown(slot: Slot, names: dict[str, str]) -> HeldModel:
    return HeldModel(
        id=slot.base.id,
        title=slot.base.title,
        state=slot.state,
        phase=slot.phase,
        share=slot.share,
        memory_gb=slot.memory_gb(),
        loading=slot.loading,
        ready=slot.ready,
        adapters=tuple(names.get(folder, folder) for folder in slot.adapters),
        requests=slot.host.requests if slot.host else 0,
        last_used=slot.last_used,
        failure=slots.failure_of(slot),
        wanted_by=slot.wanted_by,
    )
