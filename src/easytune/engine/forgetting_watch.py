"""When forgetting is measured in a run, and what follows from it: a warning, or an early end."""

from collections.abc import Callable, Sequence
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from easytune import forgetting
from easytune.config import MonitorSection
from easytune.engine.forgetting import Meter
from easytune.engine.reporting import Reporter
from easytune.engine.rhythm import Rhythm
from easytune.engine.trainer import PackedTrainer
from easytune.events import Forgetting

LOGGED = "forgetting"
"""Name of the score in transformers' log history, which a checkpoint keeps."""


class Watch(TrainerCallback):
    """Measures at the start and at evaluations; ends the run above a limit."""

    def __init__(
        self,
        trainer: PackedTrainer,
        meter: Meter,
        rhythm: Rhythm,
        monitor: MonitorSection,
        report: Reporter,
    ) -> None:
        self.trainer, self.meter, self.rhythm = trainer, meter, rhythm
        self.limit, self.report, self.clock = monitor.forgetting_limit, report, Clock(meter.now)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Begin the curve, unless an earlier run has."""
        if state.global_step == 0 and (event := self.meter.start()):
            self._log(event)

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Start the clock of a step."""
        self.clock.start()

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Stop the clock: other things that follow a step are not training time."""
        self.clock.stop()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        """Measure when it is due; save what may be returned to, end above the limit."""
        step = state.global_step
        later = self.rhythm.evaluations_after(step)
        if not self.meter.is_due(later, self.clock.projected(self.rhythm.total - step)):
            return
        before = [score for _, score in curve(state)]
        event = self.meter.measure(step)
        if event is None:
            return
        self._log(event)
        if event.score > forgetting.SEVERE >= max(before, default=0.0):
            kept = round(100 * forgetting.retention(event.score))
            self.report.notice("forgetting_severe", step=step, score=_told(event), retention=kept)
        if self.limit is None:
            return
        control.should_save = True
        if event.score > self.limit and later:
            control.should_training_stop = True
            values = {"step": step, "score": _told(event), "limit": self.limit}
            self.report.notice("forgetting_limit", **values)

    def step_to_return_to(self, state: TrainerState, kept: Sequence[int]) -> int | None:
        """Return which of the `kept` steps did best within the limit.

        The one that forgot least when none is within; None when the last score is within, or none
        was measured, or there is no limit.
        """
        scores = [point for point in curve(state) if point[0] > 0]
        if self.limit is None or not scores or scores[-1][1] <= self.limit:
            return None
        found = forgetting.within(held_out(state), scores, kept, self.limit)
        if found is not None:
            return found
        measured = [(score, step) for step, score in scores if step in kept]
        return min(measured, default=(0.0, None))[1]

    def passed_over(self, state: TrainerState, kept: Sequence[int]) -> list[int]:
        """Return which of the `kept` steps to measure after all, the newest first.

        Where the run ends above its limit, and no kept step that was measured is within it.
        """
        scores = dict(curve(state))
        over = self.limit is not None and bool(scores) and scores[max(scores)] > self.limit
        if self.limit is None or not over or self.worth_keeping(state, kept) is not None:
            return []
        return sorted(set(kept) - scores.keys(), reverse=True)

    def measure_kept(self, state: TrainerState, step: int) -> bool:
        """Measure the model, which has the weights of an earlier step; tell if it is in the limit.

        True also when it cannot be measured: then no other step can.
        """
        event = self.meter.measure(step)
        if event is None:
            return True
        state.log_history.append({LOGGED: event.score, "step": step})
        return self.limit is not None and event.score <= self.limit

    def worth_keeping(self, state: TrainerState, kept: Sequence[int]) -> int | None:
        """Return which of the `kept` steps the run would return to, were the limit exceeded now."""
        if self.limit is None:
            return None
        return forgetting.within(held_out(state), curve(state), kept, self.limit)

    def _log(self, event: Forgetting) -> None:
        self.trainer.log({LOGGED: event.score})


class Clock:
    """Adds up the time of steps by the clock `now`, and nothing of what happens between them."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.seconds, self._steps, self._first, self._began = 0.0, 0, 0.0, 0.0

    def start(self) -> None:
        """Begin a step."""
        self._began = self._now()

    def stop(self) -> None:
        """End a step."""
        taken = self._now() - self._began
        self.seconds += taken
        self._steps += 1
        if self._steps == 1:
            self._first = taken

    def projected(self, steps: int) -> float:
        """Return the seconds of all steps, once that many more have been made."""
        if self._steps < 2:
            return self.seconds * (1 + steps)
        # The first step of a process waits for much that happens once.
        return self.seconds + steps * (self.seconds - self._first) / (self._steps - 1)


def curve(state: TrainerState) -> list[tuple[int, float]]:
    """Return (step, score) of every measurement by step, those before a resume included."""
    return sorted((int(e["step"]), e[LOGGED]) for e in state.log_history if LOGGED in e)


def held_out(state: TrainerState) -> list[tuple[int, float]]:
    """Return (step, loss) of every evaluation on held-out rows."""
    return [(int(e["step"]), e["eval_loss"]) for e in state.log_history if "eval_loss" in e]


def _told(event: Forgetting) -> float:
    return round(event.score, 3)
