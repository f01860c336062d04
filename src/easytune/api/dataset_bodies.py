"""What calls about datasets send and get."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, Json

from easytune.api.bodies import Body
from easytune.data.stored import StoredRow, row_text
from easytune.data.versions.diff import Change, ChangeKind
from easytune.data.versions.edits import Drop, Edit, Insert, Replace
from easytune.data.versions.manifest import DatasetFacts, VersionFacts
from easytune.i18n import t
from easytune.services.data_tasks import TaskStory

MOST_ROWS = 1000
MOST_EDITS = 10_000
Content = dict[str, Any]


class VersionOut(BaseModel):
    """A version of a dataset."""

    dataset: str
    title: str
    number: int
    current: bool
    created: datetime
    author: str
    note: str
    tags: list[str]
    parent: int | None
    origin: Content
    rows: int
    problems: int
    held_out: int
    fingerprint: str
    size_bytes: int
    reference: str

    @classmethod
    def of(cls, facts: VersionFacts) -> "VersionOut":
        """Return a version as calls get it."""
        kept = facts.model_dump(by_alias=True, include=set(cls.model_fields))
        return cls(**kept, reference=str(facts.reference))


class VersionsOut(BaseModel):
    """The reply to `GET /api/datasets/{id}/versions`."""

    versions: list[VersionOut]


class DatasetOut(BaseModel):
    """A dataset with its current version."""

    id: str
    title: str
    created: datetime
    current: VersionOut
    versions: int
    size_bytes: int

    @classmethod
    def of(cls, facts: DatasetFacts) -> "DatasetOut":
        """Return a dataset as calls get it."""
        plain = facts.model_dump(exclude={"current"})
        return cls(**plain, current=VersionOut.of(facts.current))


class DatasetsOut(BaseModel):
    """The reply to `GET /api/datasets`."""

    datasets: list[DatasetOut]


class Reason(BaseModel):
    """Why something cannot be used, or came to nothing."""

    code: str
    message: str


class RowOut(BaseModel):
    """One row of a version."""

    position: int
    row: Any
    source: str
    number: int
    held_out: bool
    problem: Reason | None

    @classmethod
    def of(cls, row: StoredRow, lang: str) -> "RowOut":
        """Return a row as calls get it."""
        reason = None
        if row.problem:
            values = {"number": row.number, "source": row.source} | row.values
            said = t(f"data.problem.{row.problem}", lang, **values)
            reason = Reason(code=row.problem, message=said)
        return cls(
            position=row.position, row=row.value, source=row.source, number=row.number,
            held_out=row.held_out, problem=reason,
        )  # fmt: skip


class RowsOut(BaseModel):
    """A page of a version's rows."""

    version: int
    total: int
    rows: list[RowOut]


class PreprocessIn(Body):
    """Steps to look at, or to take."""

    steps: Annotated[list[Content | str], Field(min_length=1)]
    version: int | None = None
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS)] = 20
    save: bool = False
    into: str = ""
    author: str = ""
    note: str = ""


class StepOut(BaseModel):
    """What one step did to the rows that were looked at."""

    step: str
    rows_in: int
    rows_out: int
    changed: int
    dropped: int
    details: dict[str, int]


class PairOut(BaseModel):
    """A row before and after the steps."""

    position: int
    original: Any
    processed: Any
    dropped_by: str | None


class PreprocessOut(BaseModel):
    """What steps do to the first rows they change, and the task that takes them over all."""

    looked_at: int
    total: int
    counts: list[StepOut]
    rows: list[PairOut]
    task: str | None = None


class EditIn(BaseModel):
    """One change of a row by hand."""

    action: Literal["replace", "drop", "insert"]
    position: Annotated[int, Field(ge=0)]
    row: Any = None

    def edit(self) -> Edit:
        """Return the change as versions take it. Raises TypeError for a row no JSON can hold."""
        match self.action:
            case "drop":
                return Drop(self.position)
            case "replace":
                return Replace(self.position, row_text(self.row))
            case "insert":
                return Insert(self.position, row_text(self.row))


class VersionIn(Body):
    """A version to make: of changes by hand, or of steps."""

    edits: Annotated[tuple[EditIn, ...], Field(max_length=MOST_EDITS)] = ()
    steps: tuple[Content | str, ...] = ()
    version: int | None = None
    author: str = ""
    note: str = ""


class VersionMade(BaseModel):
    """The new version, or the task that makes it."""

    version: VersionOut | None = None
    task: str | None = None


class RollbackIn(Body):
    """What to remember about a rollback."""

    author: str = ""
    note: str = ""


class ChangeOut(BaseModel):
    """One row that differs."""

    kind: ChangeKind
    before: RowOut | None
    after: RowOut | None

    @classmethod
    def of(cls, change: Change, lang: str) -> "ChangeOut":
        """Return a difference as calls get it."""
        before, after = change.before, change.after
        return cls(
            kind=change.kind,
            before=RowOut.of(before, lang) if before else None,
            after=RowOut.of(after, lang) if after else None,
        )


class DiffOut(BaseModel):
    """How many rows differ between two versions, and a page of them."""

    before: int
    after: int
    added: int
    removed: int
    changed: int
    moved: int
    same: int
    changes: list[ChangeOut]


class UploadFields(BaseModel):
    """What an upload says beside its files."""

    title: str = ""
    dataset: str = ""
    mode: Literal["", "new", "append", "replace"] = ""
    columns: Json[dict[str, str]] = {}
    author: str = ""
    note: str = ""


class TaskOut(BaseModel):
    """A task that runs by itself."""

    id: str
    kind: str
    state: str
    phase: str
    done: int
    total: int | None
    unit: str
    seconds: float
    seconds_left: float | None
    result: Content | None
    problem: Reason | None

    @classmethod
    def of(cls, story: TaskStory, lang: str) -> "TaskOut":
        """Return a task as calls get it."""
        reason = None
        if story.error:
            said = t(f"error.{story.error.code}", lang, **story.error.values)
            reason = Reason(code=story.error.code, message=said)
        return cls(
            id=story.id, kind=story.task.kind, state=story.state, phase=story.phase,
            done=story.done, total=story.total, unit=story.unit, seconds=story.seconds,
            seconds_left=story.seconds_left, result=story.result, problem=reason,
        )  # fmt: skip


class TasksOut(BaseModel):
    """The reply to `GET /api/data-tasks`."""

    tasks: list[TaskOut]
