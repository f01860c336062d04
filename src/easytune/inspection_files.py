"""What the check of an adapter or a model from elsewhere finds: the records, and where they lie.

`<home>/inspections/<id>/` is a job folder and is kept; what is examined waits meanwhile in the
quarantine `<home>/imports/.incoming-<id>/`, and lies in `<home>/imports/<id>/` once it is accepted.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from easytune import job
from easytune.job import JobFolder, Record, installed_versions

Severity = Literal["critical", "high", "medium", "note"]
"""Critical ones refuse, high and medium ones warn, notes change nothing."""
Verdict = Literal["passed", "warnings", "refused"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "note")
IMPORT_RECORD = "record.json"
"""In the folder of an accepted import: an `ImportRecord`."""
INCOMING = ".incoming-"
"""How the names of quarantines begin, which nobody takes for models."""
MODEL = "model"
"""The files themselves, below a quarantine or the folder of an import."""
UNSEEN = ("intent", "triggers", "training", "template_logic")
"""What no check of files and a few prompts can see; texts `inspection.unseen.<code>`."""


class Finding(Record):
    """One thing that was found; its text is `inspection.finding.<code>`."""

    code: str
    severity: Severity
    file: str = ""
    """Relative to the folder; empty when it is about all of it."""
    values: dict[str, Any] = Field(default={})


class CheckedFile(Record):
    """One file that would be kept."""

    path: str
    bytes: int
    sha256: str = ""


class ComparedTemplate(Record):
    """A chat template that came along, beside the base's own."""

    place: str
    """File, with the template's name after a `#` where a file has several."""
    text: str
    diff: tuple[str, ...] = ()
    """Lines of a unified diff from the base's own; empty when both are the same."""
    same: bool = False


class Pinned(Record):
    """The base model that the user chose; what the adapter names is never followed."""

    id: str
    title: str
    folder: str
    fingerprint: str
    """Short hash of its weights, see `Catalogue.fingerprint`."""


class StaticReport(Record):
    """What the files say, before anything of them is loaded."""

    kind: Literal["adapter", "model", "unknown"] = "unknown"
    findings: tuple[Finding, ...] = ()
    files: tuple[CheckedFile, ...] = ()
    left_out: tuple[str, ...] = ()
    """Files that are no part of an adapter or a model, and are not imported."""
    declared: dict[str, Any] = Field(default={})
    """What the adapter says of itself: base, rank, alpha, target modules."""
    templates: tuple[ComparedTemplate, ...] = ()
    tensors: int = 0
    numbers: int = 0
    """How many weights there are."""
    pickles: tuple[str, ...] = ()
    """Weights in pickles that could be converted, if nothing else is against it."""
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """Return what the findings amount to."""
        return verdict_of(self.findings)

    @property
    def can_convert(self) -> bool:
        """Tell whether converting pickled weights is all that stands in the way by now."""
        against = {one.code for one in self.findings if one.severity == "critical"}
        return bool(self.pickles) and against <= {"pickle_weights", "pickle_file"}


class ModuleHealth(Record):
    """What an adapter does to one layer."""

    module: str
    norm: float
    """Frobenius norm of the update."""
    relative: float | None = None
    """The same by the norm of the base's weight; None where that is not stored plainly."""
    effective_rank: float
    """Exponential of the entropy of the singular values."""
    rank: int
    outlier: bool = False
    """Far above the other layers of its kind."""


class Peer(Record):
    """The same figures of an adapter that was trained here with the same settings."""

    title: str
    relative: float
    effective_rank: float


class Health(Record):
    """The health card of an update: figures to look at, no verdict."""

    modules: tuple[ModuleHealth, ...] = ()
    relative: float | None = None
    """Of all layers together."""
    effective_rank: float = 0.0
    """Median over the layers."""
    whole: tuple[str, ...] = ()
    """Modules that replace the base's own."""
    peers: tuple[Peer, ...] = ()


class BehaviourPair(Record):
    """What the base and the import answer to one prompt."""

    prompt: str
    language: str
    group: str
    base: str
    answer: str
    kl: float | None = None
    """Mean over the base's answer, in nats per token."""
    refused_before: bool = False
    refused_now: bool = False
    language_changed: bool = False


class Behaviour(Record):
    """The import beside its base on a few prompts."""

    pairs: tuple[BehaviourPair, ...] = ()
    kl: float | None = None
    same_answers: int = 0


class Conversion(Record):
    """How a pickle became safetensors."""

    file: str
    ok: bool
    tensors: int = 0
    code: str = ""
    reason: str = ""
    isolation: tuple[str, ...] = ()
    """Which locks held: `limits`, `network`, `environment`, `session`."""


class Inspection(Record):
    """The content of `out/inspection.json`."""

    static: StaticReport
    findings: tuple[Finding, ...] = ()
    """What loading added to those of the files."""
    base: Pinned | None = None
    conversions: tuple[Conversion, ...] = ()
    health: Health | None = None
    behaviour: Behaviour | None = None
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))

    @property
    def all_findings(self) -> tuple[Finding, ...]:
        """Return every finding, the worst first."""
        both = (*self.static.findings, *self.findings)
        return tuple(sorted(both, key=lambda one: SEVERITIES.index(one.severity)))

    @property
    def verdict(self) -> Verdict:
        """Return what all findings amount to."""
        return verdict_of(self.all_findings)


class InspectionOrder(Record):
    """What a check is asked to do: the content of `job.yaml`."""

    task: Literal["inspect"] = "inspect"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    name: str
    source: str
    """Where it came from, as a person would say it; never opened again."""
    quarantine: str
    """Absolute folder of what is examined."""
    base: Pinned | None = None
    convert_pickle: bool = False
    author: str = ""
    peers: tuple[str, ...] = ()
    """Absolute folders of adapters of this machine to compare with."""
    versions: dict[str, str] = Field(default_factory=lambda: installed_versions())


class ImportRecord(Record):
    """`record.json` in the folder of an accepted import."""

    id: str
    name: str
    kind: Literal["adapter", "model"]
    source: str
    folder: str = "model"
    """Where the files lie, beside the record."""
    base: str = ""
    """Id of the base model that the user chose: the adapter's own word is never followed."""
    base_title: str = ""
    base_folder: str = ""
    base_fingerprint: str = ""
    verdict: Verdict
    findings: tuple[Finding, ...]
    files: tuple[CheckedFile, ...]
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    author: str = ""


@dataclass(frozen=True)
class InspectionFolder(JobFolder):
    """The files of one check, and who writes each."""

    @property
    def static(self) -> Path:
        """`static.json`: a `StaticReport`, written when the check was asked for."""
        return self.path / "static.json"

    @property
    def decision(self) -> Path:
        """`decision.json`: what became of it, written by the app: imported or discarded."""
        return self.path / "decision.json"

    @property
    def result(self) -> Path:
        """`out/inspection.json`: an `Inspection`, written by the job."""
        return self.out / "inspection.json"

    def order(self) -> InspectionOrder:
        """Return what was asked for. Raises OSError, YAMLError, ValidationError."""
        return InspectionOrder.model_validate(job.parsed(self.job))


def verdict_of(findings: tuple[Finding, ...]) -> Verdict:
    """Return what findings amount to."""
    worst = {one.severity for one in findings}
    if "critical" in worst:
        return "refused"
    return "warnings" if worst & {"high", "medium"} else "passed"
