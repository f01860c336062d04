"""The story of a run: a fold over what it reported and how its process fares.

Nothing is remembered that the files do not say, so any process can tell the same story at any
time: after a reload, in a second browser, after the app was killed.
"""

import math
from collections import deque
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from easytune import job
from easytune.events import (
    Checkpoint,
    Evaluated,
    Event,
    Failed,
    Finished,
    Forgetting,
    Notice,
    Phase,
    Resources,
    Sampled,
    Started,
    Step,
    Stopped,
)
from easytune.services import evidence as proof
from easytune.services.evidence import State, StopStage
from easytune.services.job_following import Following

RATE_WINDOW = 30
RESOURCES_KEPT = 120


@dataclass
class Story:
    """What is known of one run. Curves are lists of (optimizer step, value)."""

    run_id: str
    state: State = "queued"
    phase: str = ""
    """What it does when not stepping, as in `events.Phase`; empty before the first report."""
    step: int = 0
    total_steps: int = 0
    first_step: int = 0
    """Steps that were done before this run began: those of the checkpoint it goes on from."""
    device: str = ""
    epoch: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    learning_rates: list[tuple[int, float]] = field(default_factory=list)
    held_out: list[tuple[int, float]] = field(default_factory=list)
    best: tuple[int, float] | None = None
    """The evaluation with the lowest held-out loss, that before the first step left aside."""
    forgetting: list[Forgetting] = field(default_factory=list)
    """What was measured on the general probe, in the order of the steps."""
    final_forgetting: Forgetting | None = None
    """The measurement reported last: once the run has ended, that of the weights it kept."""
    tokens_per_second: float | None = None
    memory_gb: float | None = None
    resources: Resources | None = None
    resource_history: list[Resources] = field(default_factory=list)
    samples: list[Sampled] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    failure: Failed | None = None
    """Why it failed, crashed or was lost; its text is `error.<code>`."""
    stop_stage: StopStage | None = None
    """How far stopping has gone, or had to go."""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    seconds_left: float | None = None
    """At the pace of the last steps of this run; None before there are two."""
    queue_position: int | None = None
    """1 is next; None unless queued."""
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def has_ended(self) -> bool:
        """Tell whether nothing more will come."""
        return self.state in proof.ENDED

    def after(self, earlier: "Story", step: int) -> "Story":
        """Return this story with the curves of an earlier run, up to `step`, before its own."""
        held_out = _upto(earlier.held_out, step) + self.held_out
        measured = [one for one in earlier.forgetting if one.step <= step]
        return replace(
            self,
            losses=_upto(earlier.losses, step) + self.losses,
            learning_rates=_upto(earlier.learning_rates, step) + self.learning_rates,
            held_out=held_out,
            forgetting=_measured(measured, self.forgetting),
            final_forgetting=self.final_forgetting or next(reversed(measured), None),
            best=_best(held_out),
            samples=[shown for shown in earlier.samples if shown.step <= step] + self.samples,
            step=max(self.step, step),
            first_step=max(self.first_step, step),
            total_steps=self.total_steps or earlier.total_steps,
        )


class Fold:
    """Follows one job folder: each `tell` reads only what is new since the one before."""

    def __init__(self, folder: job.JobFolder) -> None:
        """Begin at the start of the folder's events."""
        self._following = Following(folder)
        self._story = Story(folder.id)
        self._started = False
        self._pace: deque[tuple[datetime, int]] = deque(maxlen=RATE_WINDOW)

    def tell(self) -> Story:
        """Return the story so far; the caller owns the copy."""
        look = self._following.look(self._apply, lambda: self._started)
        story = replace(
            self._story,
            state=look.state,
            failure=look.failure,
            stop_stage=look.stop_stage,
            started_at=look.started_at,
            ended_at=look.ended_at,
            notices=self._story.notices + look.remarks,
        )
        if look.state in ("running", "stopping"):
            story.seconds_left = self._seconds_left()
        return _copied(story)

    def _apply(self, event: Event) -> None:
        story = self._story
        match event:
            case Started():
                self._started = True
                story.total_steps, story.first_step = event.total_steps, event.first_step
                story.step, story.device = event.first_step, event.device
            case Phase(name=name):
                story.phase = name
            case Step():
                self._apply_step(event)
            case Evaluated(step=step, loss=loss) if math.isfinite(loss):
                story.held_out.append((step, loss))
                story.best = _best(story.held_out)
            case Forgetting(score=score, low=low, high=high) if all(
                map(math.isfinite, (score, low, high))
            ):
                story.forgetting = _measured(story.forgetting, [event])
                story.final_forgetting = event
            case Sampled():
                story.samples.append(event)
            case Resources():
                story.resources = event
                story.resource_history = [*story.resource_history[1 - RESOURCES_KEPT :], event]
            case Checkpoint():
                story.checkpoints.append(event)
            case Notice():
                story.notices.append(event)
            case Finished(metrics=metrics) | Stopped(metrics=metrics):
                story.metrics = metrics

    def _apply_step(self, event: Step) -> None:
        story = self._story
        story.step, story.epoch = event.step, event.epoch
        self._pace.append((event.at, event.step))
        # A job never writes these; a damaged file must not reach the plots as NaN.
        if math.isfinite(event.loss):
            story.losses.append((event.step, event.loss))
        if math.isfinite(event.learning_rate):
            story.learning_rates.append((event.step, event.learning_rate))
        story.tokens_per_second = event.tokens_per_second or story.tokens_per_second
        story.memory_gb = event.memory_gb or story.memory_gb

    def _seconds_left(self) -> float | None:
        if len(self._pace) < 2:
            return None
        (began, first), (ended, last) = self._pace[0], self._pace[-1]
        seconds = (ended - began).total_seconds()
        if last <= first or seconds <= 0:
            return None
        return seconds / (last - first) * max(0, self._story.total_steps - last)


def step_of(checkpoint: str | Path) -> int | None:
    """Return N of a folder `checkpoint-N`; None for other names."""
    name, _, number = Path(checkpoint).name.partition("-")
    return int(number) if name == "checkpoint" and number.isdigit() else None


def _best(held_out: list[tuple[int, float]]) -> tuple[int, float] | None:
    return min((p for p in held_out if p[0]), key=lambda point: point[1], default=None)


def _upto(curve: list[tuple[int, float]], step: int) -> list[tuple[int, float]]:
    return [point for point in curve if point[0] <= step]


def _measured(earlier: list[Forgetting], later: list[Forgetting]) -> list[Forgetting]:
    """Return measurements in the order of steps, of each step the later one.

    A run that ends with the weights of an earlier step measures that step once more.
    """
    by_step = {one.step: one for one in [*earlier, *later]}
    return [by_step[step] for step in sorted(by_step)]


def _copied(story: Story) -> Story:
    """Return a copy whose lists no later event will touch."""
    lists = {
        name: list(value) for name, value in vars(story).items() if isinstance(value, list)
    }  # fmt: skip
    return replace(story, **lists)
