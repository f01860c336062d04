"""The jobs of one kind in a home: found, followed, stopped, renamed, removed. All read from files.

A kind of job is a folder of folders, an order in each, and a story that is folded from it. What is
particular to a kind is in its subclass.
"""

import shutil
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import Field, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from pydantic import BaseModel

from easytune import job, records
from easytune.errors import EasyTuneError
from easytune.job import NAME_FILE, JobFolder
from easytune.services import evidence as proof
from easytune.services import folders, log
from easytune.services.evidence import ACTIVE, ENDED, State

_MOST_LETTERS = 80
GRACE_S = 120.0


class Told(Protocol):
    """What is known of a job, as far as a shelf asks; a dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def state(self) -> State:
        """How it fares."""
        ...

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will come."""
        ...


Folder = TypeVar("Folder", bound=JobFolder)
Order = TypeVar("Order", bound=BaseModel)
Story = TypeVar("Story", bound=Told)


@dataclass(frozen=True)
class JobSummary(Generic[Folder, Order]):
    """One line in a list of jobs."""

    id: str
    name: str
    state: State
    created: datetime
    order: Order
    folder: Folder


@dataclass(frozen=True)
class Kind(Generic[Folder]):
    """What distinguishes one kind of job from another."""

    place: Callable[[Path], Path]
    """The folder of folders, below the home."""
    folder: Callable[[Path], Folder]
    missing: Callable[[str], EasyTuneError]
    """Raised, made of the id, where there is no such job."""
    active: Callable[[str], EasyTuneError]
    """Raised, made of the id, for what can only be done after its end."""


class JobShelf(ABC, Generic[Folder, Order, Story]):
    """The jobs of one kind. Any number of processes may have one; threads may share one."""

    kind: Kind[Any]

    def __init__(self, home: Path) -> None:
        """Look at the jobs under `home`, which need not exist yet."""
        self._home = home
        self._lock = threading.RLock()
        self._tellers: dict[str, Callable[[str], Story]] = {}
        self._orders: dict[str, Order] = {}
        self._ended: dict[str, State] = {}

    # --- what a kind of job says for itself ---

    @abstractmethod
    def _folders(self) -> "list[Folder]":
        """Return the folder of every such job, oldest first."""

    @abstractmethod
    def _read(self, folder: Folder) -> Order | None:
        """Return what a job was asked to do; None when its file is damaged."""

    @abstractmethod
    def _teller(self, folder: Folder, order: Order) -> Callable[[str], Story]:
        """Return what follows a folder: called with the job's name, it tells the story so far."""

    @abstractmethod
    def _own_name(self, order: Order) -> str:
        """Return what a job is called while nobody has renamed it."""

    @abstractmethod
    def _text(self, one: JobSummary[Folder, Order]) -> str:
        """Return all that a job is found by."""

    def _watched(self, folder: Folder) -> tuple[Path, ...]:
        """Return the files whose change is news, besides those that every job has."""
        return ()

    def _grace_s(self, story: Story) -> float:
        """Return the seconds that a job gets to end by itself."""
        return GRACE_S

    def _forget(self, folder: Folder) -> None:
        """Drop what is remembered of a job that is being deleted."""

    # --- what all have ---

    def story(self, job_id: str) -> Story:
        """Return what is known of a job. Raises the kind's `missing`."""
        folder = self.folder(job_id)
        order = self._order(folder)
        with self._lock:
            if job_id not in self._tellers:
                self._tellers[job_id] = self._teller(folder, order)
            story = self._tellers[job_id](self._name(folder, order))
        if story.state != "queued":
            return story
        return replace(story, queue_position=folders.queue_position(self._home, folder))

    def version(self, job_id: str) -> str:
        """Return a token that changes when the story does; far cheaper. Raises as `story`."""
        folder = self.folder(job_id)
        files = (
            folder.events, folder.process, folder.exit, folder.stop, folder.stopping,
            folder.revoked, folder.path / NAME_FILE, *self._watched(folder),
        )  # fmt: skip
        marks = [records.mark(file) for file in files]
        # A killed runner leaves no trace in any file, only a lock that nobody holds.
        marks.append("" if folder.exit.exists() else str(proof.gather(folder).alive))
        if not folder.process.exists():
            marks.append(str(folders.queue_position(self._home, folder)))
        return " ".join(marks)

    def latest(self) -> str | None:
        """Return the job to show first: the one that runs, else the newest; None without one."""
        newest = self._folders()[::-1]
        running = (folder for folder in newest if folders.runs_now(folder))
        return next((f.id for f in (*running, *newest) if self._known(f)), None)

    def folder(self, job_id: str) -> Folder:
        """Return a job's folder. Raises as `story`."""
        folder = self.kind.folder(self.kind.place(self._home) / job_id)
        is_plain = Path(job_id).name == job_id and not job_id.startswith(".")
        if not is_plain or not folder.job.is_file() or self._known(folder) is None:
            raise self.kind.missing(job_id)
        return folder

    def order(self, job_id: str) -> Order:
        """Return what was asked for. Raises as `story`."""
        return self._order(self.folder(job_id))

    def state(self, job_id: str) -> State:
        """Return how a job fares, far cheaper than its story. Raises as `story`."""
        return self._state(self.folder(job_id))

    def log_tail(self, job_id: str, lines: int = 50) -> "list[str]":
        """Return the last lines that the job printed. Raises as `story`."""
        return log.tail(self.folder(job_id).log, lines)

    def stop(self, job_id: str, now: bool = False) -> None:
        """Ask a job to end and keep what it has; with `now`, to end at once.

        A queued one will not begin, one that has ended is left alone. Raises as `story`.
        """
        folder, story = self.folder(job_id), self.story(job_id)
        if story.has_ended:
            return
        wish: dict[str, Any] = (
            {"mode": "now"} if now else {"mode": "keep", "grace_s": self._grace_s(story)}
        )
        records.write(folder.stop, wish)
        if story.state == "queued":
            # Written second: should the job begin just now, it finds the request to stop.
            folder.revoked.touch()

    def rename(self, job_id: str, name: str) -> None:
        """Call a job otherwise; an empty name gives back its own. Raises as `story`."""
        folder = self.folder(job_id)
        records.write(folder.path / NAME_FILE, {"name": " ".join(name.split())[:_MOST_LETTERS]})

    def delete(self, job_id: str) -> None:
        """Remove a job and all it made. Raises as `story`, or the kind's `active`."""
        folder = self.folder(job_id)
        if folders.runs_now(folder):
            raise self.kind.active(job_id)
        if folders.waits(folder):
            folder.revoked.touch()
        # Out of sight in one step, so that nobody meets half a folder.
        hidden = folder.path.rename(folder.path.with_name(f".deleted-{job_id}"))
        with self._lock:
            for known in (self._tellers, self._orders, self._ended):
                known.pop(job_id, None)
        self._forget(folder)
        shutil.rmtree(hidden)

    def _create(self, order: Order, created: datetime) -> str:
        """Queue a job and return its id. Raises FolderUnwritable."""
        parent = self.kind.place(self._home)
        return job.create_named(parent, order, self._own_name(order), created).name

    def _require_ended(self, job_id: str) -> Story:
        """Return the story of a job that has ended. Raises as `story`, or the kind's `active`."""
        story = self.story(job_id)
        if not story.has_ended:
            raise self.kind.active(job_id)
        return story

    def _chosen_name(self, folder: Folder) -> str:
        """Return what somebody has renamed a job to; "" where nobody has."""
        return str((records.read(folder.path / NAME_FILE) or {}).get("name") or "")

    def _name(self, folder: Folder, order: Order) -> str:
        return self._chosen_name(folder) or self._own_name(order)

    def _summary(self, folder: Folder) -> JobSummary[Folder, Order] | None:
        order = self._known(folder)
        if order is None:
            return None
        name, state = self._name(folder, order), self._state(folder)
        created: datetime = order.created  # type: ignore[attr-defined]
        return JobSummary(folder.id, name, state, created, order, folder)

    def _state(self, folder: Folder) -> State:
        """Return a job's state without reading all its events, unless it runs."""
        if folder.id in self._ended:
            return self._ended[folder.id]
        evidence = proof.gather(folder)
        verdict = proof.judge(folder, evidence, proof.last_word(folder), started=True)
        if verdict.state in ACTIVE:
            return self.story(folder.id).state
        if verdict.state in ENDED and evidence.exit:
            self._ended[folder.id] = verdict.state
        return verdict.state

    def _order(self, folder: Folder) -> Order:
        order = self._known(folder)
        if order is None:
            raise self.kind.missing(folder.id)
        return order

    def _known(self, folder: Folder) -> Order | None:
        """Return what was asked for; read once, for pages ask every second."""
        if folder.id not in self._orders and (order := self._read(folder)):
            self._orders[folder.id] = order
        return self._orders.get(folder.id)

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self, search: str = "") -> "list[JobSummary[Folder, Order]]":
        """Return the jobs in whose names and contents all words occur, newest first.

        Case makes no difference.
        """
        words = search.casefold().split()
        summaries = [one for folder in self._folders()[::-1] if (one := self._summary(folder))]
        return [one for one in summaries if all(word in self._text(one) for word in words)]
