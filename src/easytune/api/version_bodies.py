"""What calls about versions of models send and get."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field

from easytune.api.bodies import Body
from easytune.services.registry_comparison import EntryComparison, EvaluationFigure
from easytune.services.registry_dependents import Dependent
from easytune.services.registry_entry import Change, Entry, FileFact, Stage
from easytune.services.registry_trace import Link
from easytune.services.trash import Trashed


class CheckpointIn(Body):
    """A checkpoint that shall be a version."""

    run: str
    step: int = Field(ge=0)
    name: str = ""


class VersionEdit(Body):
    """What shall be changed of a version; null leaves as it is."""

    stage: Stage | None = None
    tags: list[str] | None = None
    notes: str | None = None
    name: str | None = None
    current: bool = False
    revision: int | None = None


class ScoreOut(BaseModel):
    """A forgetting score with its interval."""

    score: float
    low: float
    high: float


class ModelVersionOut(BaseModel):
    """One version."""

    id: str
    version: str
    name: str
    number: int
    stage: Stage
    tags: list[str]
    notes: str
    author: str
    revision: int
    is_current: bool
    kind: str
    model: str | None
    base: str
    run: str | None
    step: int | None
    target: str
    number_format: str
    created: datetime
    size_bytes: int
    loss: float | None
    forgetting: ScoreOut | None
    metrics: dict[str, float]

    @classmethod
    def of(cls, entry: Entry) -> "ModelVersionOut":
        """Return a version as calls get it: without where it lies on this machine."""
        return cls(**_told(entry))


class FileOut(BaseModel):
    """One file of a version."""

    path: str
    bytes: int
    sha256: str | None


class LinkOut(BaseModel):
    """One link of the chain back to rows."""

    kind: str
    id: str
    title: str
    is_here: bool
    rows: int | None
    fingerprint: str
    was: str

    @classmethod
    def of(cls, link: Link) -> "LinkOut":
        """Return a link as calls get it."""
        # A data file is named without the folders before it.
        shown = link.title if link.kind == "file" else link.id
        return cls(
            kind=link.kind, id=shown, title=link.title, is_here=link.is_here, rows=link.rows,
            fingerprint=link.fingerprint, was=link.was,
        )  # fmt: skip


class DependentOut(BaseModel):
    """Something that depends on a version."""

    kind: str
    id: str
    title: str
    is_active: bool
    goes_too: bool


class ModelChangeOut(BaseModel):
    """One change of a version."""

    at: datetime
    who: str
    what: str
    before: Any
    after: Any


class MeasuredOut(BaseModel):
    """A figure of the newest evaluation on a test set."""

    evaluation: str
    metric: str
    set: str
    value: float
    low: float | None
    high: float | None


class VersionSheetOut(BaseModel):
    """All about one version."""

    version: ModelVersionOut
    settings: dict[str, Any]
    files: list[FileOut]
    changed_files: dict[str, str]
    trace: list[LinkOut]
    needed_by: list[DependentOut]
    evaluations: list[MeasuredOut]
    history: list[ModelChangeOut]

    @classmethod
    def with_all(
        cls, entry: Entry, settings: dict[str, Any], files: tuple[tuple[FileFact, ...], Any],
        trace: list[Link], needs: list[Dependent], figures: list[EvaluationFigure],
        history: list[Change],
    ) -> "VersionSheetOut":  # fmt: skip
        """Return everything there is to say about a version."""
        return cls(
            version=ModelVersionOut.of(entry),
            settings=settings,
            files=[FileOut(path=f.path, bytes=f.bytes, sha256=f.sha256 or None) for f in files[0]],
            changed_files=files[1],
            trace=[LinkOut.of(link) for link in trace],
            needed_by=[_of(DependentOut, one) for one in needs],
            evaluations=[_of(MeasuredOut, one) for one in figures],
            history=[_of(ModelChangeOut, one) for one in history],
        )


class ModelVersionsOut(BaseModel):
    """Versions that were asked for."""

    versions: list[ModelVersionOut]
    total: int


class VersionLineOut(BaseModel):
    """The same thing of two versions."""

    part: str
    name: str
    detail: str
    a: Any
    b: Any
    differs: bool


class VersionComparisonOut(BaseModel):
    """Two versions, line by line."""

    a: ModelVersionOut
    b: ModelVersionOut
    lines: list[VersionLineOut]

    @classmethod
    def of(cls, compared: EntryComparison) -> "VersionComparisonOut":
        """Return a comparison as calls get it."""
        return cls(
            a=ModelVersionOut.of(compared.a),
            b=ModelVersionOut.of(compared.b),
            lines=[_of(VersionLineOut, line) for line in compared.lines],
        )


class TrashedOut(BaseModel):
    """One thing in the trash."""

    id: str
    kind: str
    title: str
    at: datetime
    who: str
    bytes: int

    @classmethod
    def of(cls, one: Trashed) -> "TrashedOut":
        """Return a thing in the trash as calls get it."""
        return _of(cls, one)


class TrashOut(BaseModel):
    """What is in the trash."""

    items: list[TrashedOut]
    bytes: int


class TrashedVersionOut(BaseModel):
    """Where a deleted version is now."""

    item: str


class EmptiedOut(BaseModel):
    """What emptying the trash gave back."""

    bytes: int


def _told(entry: Entry) -> dict[str, Any]:
    facts = entry.facts
    score = facts.forgetting
    # An absolute folder is nobody's business; that model is called by its version.
    model = entry.ref if facts.model.startswith(("/", "\\")) or ":" in facts.model else facts.model
    return {
        "id": entry.key, "version": entry.ref, "name": entry.name, "number": entry.number,
        "stage": entry.stage, "tags": list(entry.tags), "notes": entry.notes,
        "author": entry.author, "revision": entry.revision, "is_current": entry.is_current,
        "kind": facts.kind, "model": model or None, "base": entry.base_name, "run": facts.run,
        "step": facts.step, "target": facts.target, "number_format": facts.number_format,
        "created": facts.created, "size_bytes": facts.bytes, "loss": facts.loss,
        "forgetting": ScoreOut(score=score[0], low=score[1], high=score[2]) if score else None,
        "metrics": facts.metrics,
    }  # fmt: skip


def _of(kind: Any, source: Any) -> Any:
    """Return a body filled from the fields of the same names."""
    return kind(**{name: getattr(source, name) for name in kind.model_fields})
