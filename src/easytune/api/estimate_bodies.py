"""What calls about estimates, intents and launch checks send and get."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from easytune.api.bodies import Body
from easytune.config import TrainConfig
from easytune.errors import EasyTuneError
from easytune.estimate import Change, Estimate
from easytune.events import Notice, Trial
from easytune.i18n import t
from easytune.intents import Intent, IntentProblem, Intents
from easytune.job import CheckWishes
from easytune.services.advice import Advised
from easytune.services.checks import CheckStory
from easytune.shapes import DataShape, Device

LONGEST_PATIENCE_SECONDS = 60
Options = dict[str, Any]


class Said(BaseModel):
    """What went wrong or should be known: a code for programs, a sentence for people."""

    code: str
    message: str

    @classmethod
    def error(cls, error: EasyTuneError, lang: str) -> "Said":
        """Return an error in words."""
        return cls.failure(error.code(), error.values, lang)

    @classmethod
    def failure(cls, code: str, values: dict[str, Any], lang: str) -> "Said":
        """Return a recorded failure in words."""
        return cls(code=code, message=t(f"error.{code}", lang, **values))

    @classmethod
    def notice(cls, notice: Notice, lang: str) -> "Said":
        """Return a notice in words."""
        said = t(f"notice.{notice.code}", lang, **notice.values)
        return cls(code=notice.code, message=said)


class EstimateIn(Body):
    """The run to estimate."""

    config: TrainConfig = TrainConfig()
    patience_seconds: Annotated[float, Field(ge=0, le=LONGEST_PATIENCE_SECONDS)] = 10.0


class LighterOut(BaseModel):
    """One change that needs less memory."""

    options: Options
    peak_gb: float

    @classmethod
    def of(cls, change: Change) -> "LighterOut":
        """Return a change as calls get it."""
        return cls(options=change.options, peak_gb=change.peak_gb)


class EstimateOut(BaseModel):
    """What a run will take; null where that is not known."""

    measuring: bool
    verdict: str | None
    device: str
    peak_gb: float | None
    free_gb: float
    parts: dict[str, float]
    changes: list[LighterOut]
    seconds: float | None
    tokens_per_second: float | None
    pace_source: str | None
    pace_run: str | None
    total_steps: int | None
    disk_gb: float | None
    disk_free_gb: float
    rows: int | None
    supervised_tokens: int | None
    total_tokens: int | None
    longest: int | None
    truncated: int | None
    problem: Said | None

    @classmethod
    def of(cls, advised: Advised, lang: str) -> "EstimateOut":
        """Return what is known of a run as calls get it."""
        problem, machine = advised.problem, advised.machine
        known = _of_estimate(advised.estimate) | _of_rows(advised.data)
        return cls(
            measuring=advised.is_measuring,
            device=machine.device,
            free_gb=machine.free_gb,
            disk_free_gb=machine.disk_free_gb,
            changes=[LighterOut.of(change) for change in advised.changes],
            problem=None if problem is None else Said.error(problem, lang),
            **known,
        )


class IntentOut(BaseModel):
    """What somebody may want of a model."""

    id: str
    title: str
    summary: str
    metrics: list[str]

    @classmethod
    def of(cls, intent: Intent, lang: str) -> "IntentOut":
        """Return an intent as calls get it."""
        return cls(
            id=intent.id,
            title=intent.title_in(lang),
            summary=intent.summary_in(lang),
            metrics=list(intent.metrics),
        )


class IntentProblemOut(BaseModel):
    """What is wrong in an intent's file."""

    file: str
    line: int
    message: str

    @classmethod
    def of(cls, problem: IntentProblem) -> "IntentProblemOut":
        """Return a problem as calls get it."""
        return cls(file=problem.path.name, line=problem.line, message=problem.message)


class IntentsOut(BaseModel):
    """The reply to `GET /api/intents`."""

    intents: list[IntentOut]
    broken: list[IntentProblemOut]

    @classmethod
    def of(cls, intents: Intents, lang: str) -> "IntentsOut":
        """Return all intents as calls get them."""
        return cls(
            intents=[IntentOut.of(intent, lang) for intent in intents.found.values()],
            broken=[IntentProblemOut.of(problem) for problem in intents.problems],
        )


class CheckIn(Body):
    """The run to check, and what to try."""

    config: TrainConfig = TrainConfig()
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    ladder: bool = True
    steady: bool = False
    range_test: bool = False
    device: Device | None = None

    @property
    def wishes(self) -> CheckWishes:
        """Return what shall be tried as the service takes it."""
        return CheckWishes.model_validate(self.model_dump(exclude={"config"}))


class TrialOut(BaseModel):
    """One configuration that was tried."""

    changes: Options
    outcome: str
    reason: Said | None
    peak_memory_gb: float | None
    limit_gb: float | None
    step_seconds: float | None
    tokens_per_second: float | None
    tokens_at_once: int | None
    losses: list[float]
    grad_norms: list[float]

    @classmethod
    def of(cls, trial: Trial, lang: str) -> "TrialOut":
        """Return a try as calls get it."""
        reason = None
        if trial.code:
            said = t(f"error.{trial.code}", lang, **trial.values)
            reason = Said(code=trial.code, message=said)
        plain = trial.model_dump(include=set(cls.model_fields) - {"reason"})
        return cls(**plain, reason=reason)


class CheckOut(BaseModel):
    """A launch check: how far it is, and what it found."""

    id: str
    state: str
    phase: str
    trials: list[TrialOut]
    given_fits: bool
    fits: TrialOut | None
    total_seconds: float | None
    total_steps: int | None
    tokens_per_second: float | None
    warnings: list[Said]
    range_curve: list[tuple[float, float]]
    suggested_rate: float | None
    steady_curve: list[tuple[float, float]]
    failure: Said | None

    @classmethod
    def of(cls, story: CheckStory, lang: str) -> "CheckOut":
        """Return a check as calls get it."""
        failed = story.failure
        plain = ("id", "state", "phase", "given_fits", "total_seconds", "total_steps",
                 "tokens_per_second", "range_curve", "suggested_rate", "steady_curve")  # fmt: skip
        return cls(
            **{name: getattr(story, name) for name in plain},
            trials=[TrialOut.of(trial, lang) for trial in story.trials],
            fits=TrialOut.of(story.fits, lang) if story.fits else None,
            warnings=[Said.notice(notice, lang) for notice in story.warnings],
            failure=Said.failure(failed.code, failed.values, lang) if failed else None,
        )


def _of_estimate(found: Estimate | None) -> dict[str, Any]:
    names = ("verdict", "peak_gb", "seconds", "tokens_per_second", "pace_source", "pace_run",
             "total_steps", "disk_gb")  # fmt: skip
    parts = {} if found is None else {str(part): value for part, value in found.parts.items()}
    return {name: getattr(found, name, None) for name in names} | {"parts": parts}


def _of_rows(found: DataShape | None) -> dict[str, Any]:
    names = ("rows", "supervised_tokens", "total_tokens", "longest", "truncated")
    return {name: getattr(found, name, None) for name in names}
