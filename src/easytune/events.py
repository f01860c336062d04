"""What a job reports while it works: one JSON object per line in `events.jsonl`.

The job is the only writer. A reader keeps a byte offset, takes whole lines only and skips kinds it
does not know, so old pages can read newer jobs.
"""

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


def _now() -> datetime:
    return datetime.now(UTC)


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    at: datetime = Field(default_factory=_now)
    """When it happened, UTC."""


class Started(_Event):
    """The training loop begins."""

    kind: Literal["started"] = "started"
    pid: int
    total_steps: int
    """Optimizer steps of the whole run, those before a resume included."""
    first_step: int = 0
    """Steps already done when this job began: 0, or the step of the checkpoint resumed from."""
    device: str
    versions: dict[str, str] = {}


class Phase(_Event):
    """What the job does when it is not stepping."""

    kind: Literal["phase"] = "phase"
    name: Literal[
        "importing",
        "loading_data",
        "loading_model",
        "training",
        "evaluating",
        "saving",
        "finishing",
        "answering",
        "scoring",
        "judging",
        "probing",
        "benchmarking",
        "preparing",
        "merging",
        "writing",
        "converting",
        "quantizing",
        "checking",
        "uploading",
    ]


class Answered(_Event):
    """How far an evaluation is with its answers; of a later phase, with what that asks."""

    kind: Literal["answered"] = "answered"
    done: int
    """Answers there are, those taken over from before included."""
    total: int
    candidate: int
    """Place of the model that is being asked."""
    batch_size: int | None = None
    rows_per_second: float | None = None


class Written(_Event):
    """How far an export is with its phase."""

    kind: Literal["written"] = "written"
    done: int
    """Bytes, those taken over from before included."""
    total: int
    bytes_per_second: float | None = None


class Compared(_Event):
    """How far an export is with comparing, or a curve with its strengths."""

    kind: Literal["compared"] = "compared"
    done: int
    """Prompts answered, by the trained model and by the exported one; or strengths measured."""
    total: int


class Step(_Event):
    """One logged optimizer step."""

    kind: Literal["step"] = "step"
    step: int
    epoch: float
    loss: float
    """Mean cross-entropy over the supervised tokens since the last logged step, in nats."""
    learning_rate: float
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    """Input tokens without padding."""
    memory_gb: float | None = None
    """Peak of the device's memory; on the processor, of the process."""


class Evaluated(_Event):
    """Loss on held-out rows."""

    kind: Literal["evaluated"] = "evaluated"
    step: int
    epoch: float
    loss: float
    best: bool = False
    """Whether no earlier evaluation of this run was better."""


class CategoryForgetting(BaseModel):
    """Forgetting on the sequences of one category of the probe."""

    score: float
    low: float
    high: float
    sequences: int


class Forgetting(_Event):
    """How far the model has moved from its base on a general probe."""

    kind: Literal["forgetting"] = "forgetting"
    step: int
    score: float
    """CF score: mean difference of NLL to the base, in nats per token."""
    low: float
    high: float
    """95% interval of the score, from the paired differences per sequence."""
    kl: float | None = None
    """Mean KL divergence from the base's predictions, in nats per token."""
    agreement: float | None = None
    """Share of tokens whose likeliest next token is still the base's."""
    sequences: int = 0
    tokens: int = 0
    categories: dict[str, CategoryForgetting] = {}
    seconds: float = 0.0
    """What this measurement cost."""


class Sample(BaseModel):
    """A fixed prompt and how the model answers it now."""

    prompt: str
    answer: str


class Sampled(_Event):
    """Answers to the fixed prompts."""

    kind: Literal["sampled"] = "sampled"
    step: int
    samples: list[Sample]


class Resources(_Event):
    """Use of the machine, every few seconds."""

    kind: Literal["resources"] = "resources"
    cpu_percent: float
    """Of all cores, by the whole machine."""
    memory_gb: float
    """Main memory held by the job."""
    memory_total_gb: float
    gpu_percent: float | None = None
    gpu_memory_gb: float | None = None
    gpu_memory_total_gb: float | None = None


class Checkpoint(_Event):
    """A checkpoint was saved whole."""

    kind: Literal["checkpoint"] = "checkpoint"
    step: int
    path: str
    """Relative to the job folder."""


class Notice(_Event):
    """Something the user should know that does not stop the job; text `notice.<code>`."""

    kind: Literal["notice"] = "notice"
    code: str
    values: dict[str, Any] = {}


class Trial(_Event):
    """One try of a launch check: a configuration, and what two real steps of it took."""

    kind: Literal["trial"] = "trial"
    rung: int
    """0 is the configuration as given; each next one needs less memory."""
    changes: dict[str, Any] = {}
    """`section.option` -> value, where it differs from what was given."""
    outcome: Literal["fits", "out_of_memory", "failed"]
    code: str = ""
    """Why it failed; text `error.<code>`."""
    values: dict[str, Any] = {}
    peak_memory_gb: float | None = None
    limit_gb: float | None = None
    """Memory that was free for it."""
    step_seconds: float | None = None
    """Time of the last step, longest rows."""
    tokens_per_second: float | None = None
    losses: list[float] = []
    grad_norms: list[float] = []
    tokens_at_once: int | None = None
    """Tokens of the largest micro-batch that was tried."""


class Swept(_Event):
    """One step of a learning-rate range test, or of a trial at the chosen rate."""

    kind: Literal["swept"] = "swept"
    sweep: Literal["range", "chosen"]
    step: int
    learning_rate: float
    loss: float


class Finished(_Event):
    """The job did all it was asked to."""

    kind: Literal["finished"] = "finished"
    step: int = 0
    metrics: dict[str, float] = {}


class Stopped(_Event):
    """The job ended early because the user asked, and kept what it had."""

    kind: Literal["stopped"] = "stopped"
    step: int = 0
    metrics: dict[str, float] = {}


class Failed(_Event):
    """The job could not go on; text `error.<code>`."""

    kind: Literal["failed"] = "failed"
    code: str
    values: dict[str, Any] = {}
    detail: str = ""
    """The traceback, for the report."""


Event = Annotated[
    Started | Phase | Answered | Written | Compared | Step | Evaluated | Forgetting | Sampled
    | Resources | Checkpoint | Notice | Trial | Swept | Finished | Stopped | Failed,
    Field(discriminator="kind"),
]  # fmt: skip
_ADAPTER: TypeAdapter[Event] = TypeAdapter(Event)


def append(path: Path, event: _Event) -> None:
    """Add one event to a job's file.

    Raises ValueError for a non-finite number, which JSON cannot hold.
    """
    content = event.model_dump(mode="json")
    if any(isinstance(v, float) and not math.isfinite(v) for v in event.model_dump().values()):
        raise ValueError(f"non-finite number in {event!r}")
    # One write keeps lines whole for a reader in another process.
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")


def read(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Return the events after byte `offset`, and the offset to ask for next time.

    A half-written last line is left for the next read; unknown kinds are skipped.
    """
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        block = file.read()
    whole = block[: block.rfind(b"\n") + 1]
    found = [event for line in whole.splitlines() if (event := _parse(line)) is not None]
    return found, offset + len(whole)


def _parse(line: bytes) -> Event | None:
    try:
        return _ADAPTER.validate_json(line)
    except ValidationError:
        return None
