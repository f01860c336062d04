"""The story of an evaluation: a fold over what its job reported and how its process fares.

Nothing is remembered that the files do not say, so any process can tell the same story at any
time: after a reload, in a second browser, after the app was killed.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime

from pydantic import ValidationError

from easytune import events, records
from easytune.evaluation_errors import EvaluationInterrupted
from easytune.evaluation_files import Candidate, EvaluationFolder, Order, Result
from easytune.events import Answered, Event, Failed, Finished, Notice, Phase, Started, Stopped
from easytune.services import evidence as proof
from easytune.services.evidence import Evidence, State, StopStage

_PACE_WINDOW = 40
ASKING_MORE = ("probing", "benchmarking", "judging")
"""Phases after the answers, which count what they ask themselves."""
_GETTING_READY = ("importing", "loading_data", "loading_model")
# Their own words tell to go on from a checkpoint, which an evaluation has none of.
_FROM_OUTSIDE = ("interrupted", "killed_from_outside", "machine_restarted")


@dataclass(frozen=True)
class EvaluationStory:
    """What is known of one evaluation."""

    id: str
    name: str
    """What it is called: as renamed, as its config says, or after its models and test sets."""
    state: State
    order: Order
    phase: str = ""
    """What it does, as in `events.Phase`; empty before the first report and after the end."""
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
    notices: tuple[Notice, ...] = ()
    """What the user should know; texts `notice.<code>`."""
    failure: Failed | None = None
    """Why it failed, crashed or was lost; its text is `error.<code>`."""
    stop_stage: StopStage | None = None
    queue_position: int | None = None
    """1 is next; None unless queued."""
    result: Result | None = None
    """None until the job has written it: at its end, or when it was stopped."""
    started_at: datetime | None = None
    ended_at: datetime | None = None

    @property
    def asked(self) -> tuple[Candidate, ...]:
        """Return the models that are being asked: those of one base take turns row by row."""
        known = self.order.candidates
        if self.candidate is None or self.candidate >= len(known):
            return ()
        return tuple(one for one in known if one.base == known[self.candidate].base)

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will come."""
        return self.state in proof.ENDED


@dataclass
class _Told:
    """What the events so far add up to."""

    phase: str = ""
    last: Answered | None = None
    part: Answered | None = None
    """Of the phase, where it counts something else than answers to rows."""
    is_started: bool = False
    notices: list[Notice] = field(default_factory=list)
    ending: Finished | Stopped | Failed | None = None
    pace: deque[Answered] = field(default_factory=lambda: deque(maxlen=_PACE_WINDOW))

    def add(self, event: Event) -> None:
        match event:
            case Phase(name=name):
                self.phase, self.part = name, None
                self.pace.clear()
                self.is_started = self.is_started or name not in _GETTING_READY
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
            case Finished() | Stopped() | Failed():
                self.ending = event
            case _:
                return


class EvaluationFold:
    """Follows one folder: each `tell` reads only what is new since the one before."""

    def __init__(self, folder: EvaluationFolder, order: Order) -> None:
        """Begin at the start of the folder's events."""
        self._folder, self._order = folder, order
        self._offset = 0
        self._told = _Told()
        self._result: tuple[str, Result | None] = ("-", None)

    def tell(self, name: str) -> EvaluationStory:
        """Return the story so far of what is now called `name`."""
        evidence = proof.gather(self._folder)
        found, self._offset = events.read(self._folder.events, self._offset)
        for event in found:
            self._told.add(event)
        told = self._told
        verdict = proof.judge(self._folder, evidence, told.ending, started=told.is_started)
        remarks = map(_in_own_words, proof.remarks(told.ending, verdict.state, evidence))
        story = EvaluationStory(
            id=self._folder.id,
            name=name,
            state=verdict.state,
            order=self._order,
            phase=told.phase,
            notices=(*told.notices, *remarks),
            failure=_cause(verdict.failure),
            stop_stage=verdict.stop_stage,
            result=self.result(),
            started_at=evidence.begun,
        )
        now = None if story.has_ended else told.part
        return self._timed(_counted(story, now or told.last), evidence)

    def result(self) -> Result | None:
        """Return what came of it; read again only when the file has changed."""
        mark = records.mark(self._folder.result)
        if mark != self._result[0]:
            self._result = mark, _read_result(self._folder)
        return self._result[1]

    def _timed(self, story: EvaluationStory, evidence: Evidence) -> EvaluationStory:
        if story.has_ended:
            return replace(story, phase="", ended_at=self._ended_at(evidence))
        if story.state not in ("running", "stopping") or not story.total:
            return story
        pace = _pace(self._told)
        left = (story.total - story.done) / pace if pace else None
        return replace(story, rows_per_second=pace, seconds_left=left)

    def _ended_at(self, evidence: Evidence) -> datetime | None:
        # A job that has said its last word is done, though its process takes a while to go.
        if self._told.ending:
            return self._told.ending.at
        if evidence.exit and evidence.exit.ended:
            return evidence.exit.ended
        return proof.modified(self._folder.events)


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


def _in_own_words(remark: Notice) -> Notice:
    """Return a remark on how a job ended with the text for evaluations, which keep answers."""
    return remark.model_copy(update={"code": f"evaluation_{remark.code}"})


def _cause(failure: Failed | None) -> Failed | None:
    """Return why an evaluation did not end well, in words that fit one."""
    if failure is None or failure.code not in _FROM_OUTSIDE:
        return failure
    ended = EvaluationInterrupted()
    return Failed(code=ended.code(), values=ended.values, detail=failure.detail)
