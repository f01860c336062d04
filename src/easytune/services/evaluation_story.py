"""The story of an evaluation: a fold over what its job reported and how its process fares."""

from collections import deque
from dataclasses import dataclass, field, replace

from pydantic import ValidationError

from easytune import records
from easytune.evaluation_errors import EvaluationInterrupted
from easytune.evaluation_files import EvaluationFolder, Order, Result
from easytune.events import Answered, Event, Notice, Phase, Started
from easytune.found_model import FoundModel
from easytune.services import job_following
from easytune.services.job_following import GETTING_READY, Following, JobStory, Look, Outcome

_PACE_WINDOW = 40
ASKING_MORE = ("probing", "benchmarking", "judging")
"""Phases after the answers, which count what they ask themselves."""


@dataclass(frozen=True, kw_only=True)
class EvaluationStory(JobStory):
    """What is known of one evaluation."""

    order: Order
    done: int = 0
    """Answers there are, those taken over from before included; in a phase of `ASKING_MORE`, what
    it has asked."""
    total: int = 0
    """Answers that are wanted, of all models together; 0 until that is known."""
    candidate: int | None = None
    """Place of the model that is being asked; None before the first answer."""
    batch_size: int | None = None
    """Answers that are computed at once."""
    rows_per_second: float | None = None
    seconds_left: float | None = None
    """Until all answers are there, at the pace of the last ones; scoring comes after."""
    result: Result | None = None
    """None until the job has written it: at its end, or when it was stopped."""

    @property
    def asked(self) -> tuple[FoundModel, ...]:
        """Return the models that are being asked: those of one base take turns row by row."""
        known = self.order.candidates
        if self.candidate is None or self.candidate >= len(known):
            return ()
        return tuple(one for one in known if one.base == known[self.candidate].base)


@dataclass
class _Told:
    """What the events so far add up to."""

    phase: str = ""
    last: Answered | None = None
    part: Answered | None = None
    """Of the phase, where it counts something else than answers to rows."""
    is_started: bool = False
    notices: list[Notice] = field(default_factory=list)
    pace: deque[Answered] = field(default_factory=lambda: deque(maxlen=_PACE_WINDOW))

    def add(self, event: Event) -> None:
        match event:
            case Phase(name=name):
                self.phase, self.part = name, None
                self.pace.clear()
                self.is_started = self.is_started or name not in GETTING_READY
            case Started():
                self.is_started = True
            case Answered():
                self.is_started = True
                self.pace.append(event)
                if self.phase in ASKING_MORE:
                    self.part = event
                else:
                    self.last = event
            case Notice():
                self.notices.append(event)
            case _:
                return


class EvaluationFold:
    """Follows one folder: each `tell` reads only what is new since the one before."""

    def __init__(self, folder: EvaluationFolder, order: Order) -> None:
        """Begin at the start of the folder's events."""
        self._order, self._following, self._told = order, Following(folder), _Told()
        self._id = folder.id
        self._result = Outcome(lambda: _read_result(folder), folder.result)

    def tell(self, name: str) -> EvaluationStory:
        """Return the story so far of what is now called `name`."""
        told = self._told
        look = self._following.look(told.add, lambda: told.is_started)
        look = job_following.own_words(look, "evaluation", EvaluationInterrupted())
        story = EvaluationStory(
            id=self._id,
            name=name,
            state=look.state,
            order=self._order,
            phase="" if look.has_ended else told.phase,
            notices=(*told.notices, *look.remarks),
            failure=look.failure,
            stop_stage=look.stop_stage,
            result=self._result.get(),
            started_at=look.started_at,
            ended_at=look.ended_at,
        )
        now = None if story.has_ended else told.part
        return self._paced(_counted(story, now or told.last), look)

    def _paced(self, story: EvaluationStory, look: Look) -> EvaluationStory:
        if look.state not in ("running", "stopping") or not story.total:
            return story
        pace = _pace(self._told)
        left = (story.total - story.done) / pace if pace else None
        return replace(story, rows_per_second=pace, seconds_left=left)


def _counted(story: EvaluationStory, last: Answered | None) -> EvaluationStory:
    if last is None:
        return story
    return replace(
        story,
        done=last.done,
        total=last.total,
        candidate=last.candidate,
        batch_size=last.batch_size,
    )


def _pace(told: _Told) -> float | None:
    """Return answers per second: as the job says, else by what it reported when."""
    last = told.part or told.last
    if last and last.rows_per_second:
        return last.rows_per_second
    if len(told.pace) < 2:
        return None
    seconds = (told.pace[-1].at - told.pace[0].at).total_seconds()
    rows = told.pace[-1].done - told.pace[0].done
    return rows / seconds if seconds > 0 and rows > 0 else None


def _read_result(folder: EvaluationFolder) -> Result | None:
    content = records.read(folder.result)
    if content is None:
        return None
    try:
        return Result.model_validate(content)
    except ValidationError:
        return None
