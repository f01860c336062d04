"""An export's folder: what was asked, what is being written, and the certificate of it.

It is a job folder (`job.JobFolder` names the files that all jobs have) in `<home>/exports`. The job
is the only writer below `out/`. The artefact grows in `out/part` and is renamed to `out/model` only
after the parity gate has passed, so that what lies there is whole and proved.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_origin

from pydantic import Field, ValidationError

from easytune import job, records
from easytune.export import ExportConfig, Target, options
from easytune.found_model import FoundModel
from easytune.job import JobFolder, Record, installed_versions

CERTIFICATE = "certificate.json"
# What a target is where nothing is said of it.
_PLAIN = ("as-base", "model", "adapter")
LOADABLE = ("adapter", "merged", "quantized")
"""Targets that transformers reads, and so EasyTune itself; others have runtimes of their own."""


class Source(FoundModel):
    """A model that is exported."""

    base_fingerprint: str = ""
    """Short hash of the base model's weights."""
    trained_bits: int | None = None
    """To how many bits the base was quantized while an adapter was trained; None: not at all."""
    weight: float = 1.0
    """Its share where several adapters are merged."""


class ExportOrder(Record):
    """What an export is asked to do: the content of `job.yaml`."""

    task: Literal["export"] = "export"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    config: ExportConfig
    sources: tuple[Source, ...]
    allow_remote_code: bool = False
    versions: dict[str, str] = Field(default_factory=lambda: installed_versions())
    continues: str | None = None
    """Id of the export whose whole files are taken over, when it goes on."""
    name: str = ""
    """What it is called while nobody has chosen a name; unlike the names of all before it."""


class Limits(Record):
    """What the parity gate lets through."""

    kl: float
    """Largest mean KL divergence from the trained model, in nats per token."""
    greedy: float
    """Least share of answer tokens that agree, 0 to 1."""
    logit: float | None
    """Largest difference of a logit; None where the format makes that meaningless."""
    perplexity: float
    """Largest relative difference of perplexity."""
    learned: float = 0.1
    """Largest departure from 1 of the share of what was learned."""


class Departure(Record):
    """Where an export departs from the trained model."""

    prompt: int
    """Number of the prompt, from 0."""
    position: int
    """Token of the answer, or of the prompt, from 0."""
    text: str
    """What came before, shortened."""
    expected: str
    """What the trained model goes on with."""
    got: str
    """What the export goes on with."""
    difference: float
    """Largest difference of a logit there."""


class Parity(Record):
    """What the parity gate found in one runtime."""

    runtime: str
    version: str
    prompts: int
    tokens: int
    same_answers: int | None = None
    """Prompts whose whole answer agrees; None where that was not counted."""
    greedy_agreement: float
    """Share of answer tokens that agree, 0 to 1."""
    top1: float | None
    """Share of places where both have the same likeliest token, 0 to 1."""
    kl: float | None
    """Mean over all places, in nats; None, like the other figures, of a runtime that only writes
    text."""
    largest_logit_difference: float | None
    perplexity_trained: float | None
    perplexity_exported: float | None
    learned: float | None = None
    """Share of what the adapter changes that is found again: 1 is all, 0 is the bare base. None
    where nothing was learned, or too little to tell it from rounding."""
    limits: Limits
    passed: bool
    departure: Departure | None = None
    advice: str = ""
    """Code of what to do then; its text is `export.advice.<code>`."""
    reason: str = ""
    """Code of why it did not pass; its text is `export.parity.<code>`. "" when it did."""


class FileFact(Record):
    """One file of the artefact; `path` is relative to it, with slashes."""

    path: str
    bytes: int
    sha256: str


class Published(Record):
    """Where an export was pushed to, and what was found there afterwards."""

    hub: str
    repository: str
    url: str
    revision: str
    """The branch."""
    commit: str
    private: bool
    files: int
    """How many files were compared by their hashes, all of them the same."""


class Certificate(Record):
    """The content of `certificate.json`: what was exported, and how it was proved."""

    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    target: Target
    name: str
    sources: tuple[Source, ...]
    number_format: str
    parity: tuple[Parity, ...] = ()
    files: tuple[FileFact, ...] = ()
    """Every file of the artefact but the certificate itself."""
    versions: dict[str, str] = Field(default={})
    options: dict[str, Any] = Field(default={})
    """Options of `what` and of the target, by section."""
    passed: bool
    notes: tuple[str, ...] = ()
    """Codes of what the user should know; texts `notice.<code>`."""
    continues: str | None = None
    """Id of the export that was interrupted, where this one went on from it."""
    kept: tuple[str, ...] = ()
    """Files that the interrupted one had written whole; their hashes were computed again."""
    published: Published | None = None
    """Set where it was pushed to a hub."""


class StrengthPoint(Record):
    """What a model has learned and forgotten at one strength of its adapter."""

    strength: float
    loss: float | None
    """Mean over the tokens of all answers to learn from, in nats; None without such rows."""
    forgetting: float | None
    """See `forgetting`, in nats per token; None where the probe cannot be read."""
    low: float | None = None
    high: float | None = None
    """95% interval of `forgetting`."""
    kl: float | None = None


class StrengthCurve(Record):
    """The content of `out/strengths.json`, which grows with each strength that is measured."""

    rows: str
    """Test set that learning is measured on; "" where there is none."""
    row_count: int = 0
    probe: str
    """Probe that forgetting is measured on."""
    points: tuple[StrengthPoint, ...] = ()
    """In the order of strength."""
    mark: str = ""
    """What changes whenever other figures would be measured: models, rows, versions, device."""


@dataclass(frozen=True)
class ExportFolder(JobFolder):
    """The files of one export, and who writes each."""

    @property
    def part(self) -> Path:
        """`out/part`: the artefact while it is written and checked."""
        return self.out / "part"

    @property
    def scratch(self) -> Path:
        """`out/scratch`: what is only needed on the way; removed when the job ends."""
        return self.out / "scratch"

    @property
    def artefact(self) -> Path:
        """`out/model`: whole, and proved by the gate."""
        return self.out / "model"

    @property
    def result(self) -> Path:
        """`out/certificate.json`: a `Certificate`, also where the gate did not pass."""
        return self.out / CERTIFICATE

    @property
    def strengths(self) -> Path:
        """`out/strengths.json`: a `StrengthCurve`, where strengths are measured."""
        return self.out / "strengths.json"

    def is_proved(self) -> bool:
        """Tell whether the artefact is there: it gets its name after its certificate."""
        found = read_certificate(self.artefact / CERTIFICATE)
        return found is not None and found.passed

    def curve(self) -> StrengthCurve | None:
        """Return what has been measured at several strengths; None before the first."""
        content = records.read(self.strengths)
        return StrengthCurve.model_validate(content) if content is not None else None

    def order(self) -> ExportOrder:
        """Return what was asked for. Raises OSError, YAMLError, ValidationError."""
        return ExportOrder.model_validate(job.parsed(self.job))

    def certificate(self) -> Certificate | None:
        """Return what came of it; None before the gate has spoken."""
        # A job that was killed when all was done has written the one inside already.
        return read_certificate(self.result) or read_certificate(self.artefact / CERTIFICATE)


def export_name(order: ExportOrder) -> str:
    """Return what an export is called: as chosen, else after its models and their new form."""
    return order.config.result.name.strip() or order.name or _told(order)


def _told(order: ExportOrder) -> str:
    """Return a name that tells model, strength, target and what matters most of its options."""
    what, more = order.config.what, len(order.sources) - 1
    model = order.sources[0].title + (f" +{more}" if more else "")
    if what.strengths:
        return f"{model} · strengths 0–{max(what.strengths):g}"
    how = f" {what.merge}" * (more > 0 and what.merge != "linear")
    how += f" × {what.strength:g}" * (what.strength != 1)
    return " ".join([f"{model}{how} · {what.target}", *_forms(order.config)])


def _forms(config: ExportConfig) -> Iterator[str]:
    """Yield the forms of a target that were chosen, but for those that change nothing."""
    own = (option for option in options() if option.section == config.what.target)
    for option in own:
        value = getattr(config.options, option.name)
        is_form = get_origin(option.field.annotation) is Literal
        if option.knob.level == "essential" and is_form and value not in _PLAIN:
            yield str(value)


def read_certificate(path: Path) -> Certificate | None:
    """Return the certificate in a file; None when there is none, or none of ours."""
    content = records.read(path)
    if content is None:
        return None
    try:
        return Certificate.model_validate(content)
    except ValidationError:
        return None
