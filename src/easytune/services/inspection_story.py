"""The story of the check of an import: a fold over what its job reported, and what was decided."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from easytune import records
from easytune.events import Answered, Event, Notice, Phase
from easytune.inspection_errors import InspectionInterrupted
from easytune.inspection_files import (
    Inspection,
    InspectionFolder,
    InspectionOrder,
    StaticReport,
    Verdict,
)
from easytune.services import job_following
from easytune.services.job_following import GETTING_READY, Following, JobStory, Outcome

Decision = Literal["", "imported", "discarded", "converting"]
Standing = Literal["passed", "warnings", "refused", "going", "short"]
"""A verdict, or that the check goes on or was cut short; texts `inspection.verdict.<standing>`."""


@dataclass(frozen=True, kw_only=True)
class InspectionStory(JobStory):
    """What is known of one check."""

    order: InspectionOrder
    inspection: Inspection
    """Before the job has ended, what the files alone have told."""
    is_whole: bool = False
    """Whether the job has said all it will; a check that was cut short is no ground to import."""
    decision: Decision = ""
    imported: str = ""
    """Id of what it became, or of the check that goes on after a conversion."""
    done: int = 0
    total: int = 0
    folder: InspectionFolder

    @property
    def verdict(self) -> Verdict:
        """Return what has been found so far."""
        return self.inspection.verdict

    @property
    def standing(self) -> Standing:
        """Return the verdict of a check that has been done to its end, else how far it is."""
        if self.verdict == "refused" or self.is_whole:
            return self.verdict
        return "short" if self.has_ended else "going"

    @property
    def can_import(self) -> bool:
        """Tell whether it may be imported, warnings accepted."""
        open_ = self.has_ended and self.is_whole and not self.decision
        return open_ and self.verdict != "refused" and Path(self.order.quarantine).is_dir()

    @property
    def can_convert(self) -> bool:
        """Tell whether converting pickled weights is what could be done next."""
        is_open = self.has_ended and not self.decision and not self.inspection.conversions
        return is_open and self.inspection.static.can_convert


@dataclass
class _Told:
    phase: str = ""
    answered: Answered | None = None
    is_started: bool = False
    notices: list[Notice] = field(default_factory=list)

    def add(self, event: Event) -> None:
        match event:
            case Phase(name=name):
                self.phase = name
                self.is_started = self.is_started or name not in GETTING_READY
            case Answered():
                self.answered = event
            case Notice():
                self.notices.append(event)
            case _:
                return


class InspectionFold:
    """Follows one folder: each `tell` reads only what is new since the one before."""

    def __init__(self, folder: InspectionFolder, order: InspectionOrder) -> None:
        """Begin at the start of the folder's events."""
        self._folder, self._order = folder, order
        self._following, self._told = Following(folder), _Told()
        self._static = Outcome(lambda: read_static(folder), folder.static)
        self._result = Outcome(lambda: read_result(folder), folder.result)
        self._decision = Outcome(lambda: records.read(folder.decision), folder.decision)

    def tell(self, name: str) -> InspectionStory:
        """Return the story so far of what is now called `name`."""
        told = self._told
        look = self._following.look(told.add, lambda: told.is_started)
        look = job_following.own_words(look, "inspection", InspectionInterrupted())
        result = self._result.get()
        static = self._static.get() or StaticReport()
        decided = self._decision.get() or {}
        going = not look.has_ended and told.answered is not None
        return InspectionStory(
            id=self._folder.id,
            name=name,
            state=look.state,
            order=self._order,
            inspection=result or Inspection(static=static, base=self._order.base),
            is_whole=result is not None and look.state == "finished",
            decision=decided.get("decision", ""),
            imported=str(decided.get("id", "")),
            phase="" if look.has_ended else told.phase,
            notices=(*told.notices, *look.remarks),
            failure=look.failure,
            stop_stage=look.stop_stage,
            done=told.answered.done if going and told.answered else 0,
            total=told.answered.total if going and told.answered else 0,
            started_at=look.started_at,
            ended_at=look.ended_at,
            folder=self._folder,
        )


def read_static(folder: InspectionFolder) -> StaticReport | None:
    """Return what the files alone have told; None while there is nothing."""
    try:
        return StaticReport.model_validate_json(folder.static.read_bytes())
    except (OSError, ValidationError):
        return None


def read_result(folder: InspectionFolder) -> Inspection | None:
    """Return what the job has found; None while there is nothing."""
    try:
        return Inspection.model_validate_json(folder.result.read_bytes())
    except (OSError, ValidationError):
        return None
