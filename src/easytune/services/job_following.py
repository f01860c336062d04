"""What the stories of all jobs share: reading what is new, and judging what it proves.

Nothing is remembered that the files do not say, so any process can tell the same story at any
time: after a reload, in a second browser, after the app was killed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Generic, TypeVar

from easytune import events, records
from easytune.errors import EasyTuneError
from easytune.events import Event, Failed, Finished, Notice, Stopped
from easytune.job import JobFolder
from easytune.services import evidence as proof
from easytune.services.evidence import State, StopStage

GETTING_READY = ("importing", "loading_data", "loading_model", "preparing")
"""Phases before a job does what it was asked to."""
# Their own words tell to go on from a checkpoint, which only a run has.
_FROM_OUTSIDE = ("interrupted", "killed_from_outside", "machine_restarted")
Content = TypeVar("Content")


@dataclass(frozen=True, kw_only=True)
class JobStory:
    """What is known of one job, whatever it does."""

    id: str
    name: str
    """What it is called: as renamed, as its config says, or after what it is about."""
    state: State
    phase: str = ""
    """What it does, as in `events.Phase`; empty before the first report and after the end."""
    notices: tuple[Notice, ...] = ()
    """What the user should know; texts `notice.<code>`."""
    failure: Failed | None = None
    """Why it failed, crashed or was lost; its text is `error.<code>`."""
    stop_stage: StopStage | None = None
    queue_position: int | None = None
    """1 is next; None unless queued."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will come."""
        return self.state in proof.ENDED


@dataclass(frozen=True)
class Look:
    """What the files prove at one moment."""

    state: State
    failure: Failed | None
    stop_stage: StopStage | None
    remarks: list[Notice]
    """What the user should know of an end that was not as it should be."""
    started_at: datetime | None
    ended_at: datetime | None
    """None while it goes on."""

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will come."""
        return self.state in proof.ENDED


class Following:
    """Follows one job folder: each `look` reads only what is new since the one before."""

    def __init__(self, folder: JobFolder) -> None:
        """Begin at the start of the folder's events."""
        self._folder, self._offset = folder, 0
        self.ending: Finished | Stopped | Failed | None = None
        """The last word of the job, once it has said it."""

    def look(self, add: Callable[[Event], None], is_started: Callable[[], bool]) -> Look:
        """Hand what is new to `add`, then judge; `is_started` tells whether its work has begun."""
        # Before the events, or a job that just ended looks crashed.
        evidence = proof.gather(self._folder)
        found, self._offset = events.read(self._folder.events, self._offset)
        for event in found:
            if isinstance(event, Finished | Stopped | Failed):
                self.ending = event
            add(event)
        verdict = proof.judge(self._folder, evidence, self.ending, started=is_started())
        look = Look(
            state=verdict.state,
            failure=verdict.failure,
            stop_stage=verdict.stop_stage,
            remarks=proof.remarks(self.ending, verdict.state, evidence),
            started_at=evidence.begun,
            ended_at=None,
        )
        ended = evidence.exit.ended if evidence.exit else None
        return replace(look, ended_at=self._ended_at(ended)) if look.has_ended else look

    def _ended_at(self, exited: datetime | None) -> datetime | None:
        # A job that has said its last word is done, though its process takes a while to go.
        if self.ending:
            return self.ending.at
        return exited or proof.modified(self._folder.events)


class Outcome(Generic[Content]):
    """What a job has written about what came of it; read again only when its files change."""

    def __init__(self, read: Callable[[], Content | None], *files: Path) -> None:
        """Watch these files, one of which `read` reads."""
        self._files, self._read = files, read
        self._known: tuple[str, Content | None] = ("", None)

    def get(self) -> Content | None:
        """Return what came of it; None while there is nothing."""
        mark = " ".join(records.mark(file) for file in self._files)
        if mark != self._known[0]:
            self._known = mark, self._read()
        return self._known[1]


def own_words(look: Look, kind: str, interrupted: EasyTuneError) -> Look:
    """Return a look with the texts of a kind of job that has no checkpoints to go on from.

    Remarks become `notice.<kind>_<code>`; `interrupted` is said where it was ended from outside.
    """
    failure = look.failure
    if failure is not None and failure.code in _FROM_OUTSIDE:
        failure = failure.model_copy(
            update={"code": interrupted.code(), "values": interrupted.values}
        )
    remarks = [
        one.model_copy(update={"code": f"{kind}_{one.code}"}) for one in look.remarks
    ]  # fmt: skip
    return replace(look, failure=failure, remarks=remarks)
