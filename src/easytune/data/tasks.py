"""Long work on datasets: what is asked for, and the folder in which a process of its own does it.

<home>/data-tasks/20261121-101503-418-import/
  task.json       written once by whoever asks
  process.json    boot id, pid and start time of the worker; written once by whoever starts it
  lock            held by the worker while it lives
  progress.json   how far it is; written by the worker, at most five times a second
  result.json     what came of it; written once by the worker, and only when all is done
  error.json      why nothing came of it: code and values
  cancel          created by the app: the worker ends and keeps nothing
  log.txt         what the worker prints
  out/            files made for the user, such as an export
"""

import errno
import os
import secrets
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from easytune import records
from easytune.config import TrainConfig
from easytune.dataset_errors import StorageFull
from easytune.errors import DiskFull, FolderUnwritable

FOLDER = "data-tasks"
Mode = Literal["new", "replace", "append"]
Form = Literal["jsonl", "json", "csv", "parquet"]
Part = Literal["train", "held_out"]


class _Task(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)

    created: datetime = Field(default_factory=lambda: datetime.now(UTC))


class ImportTask(_Task):
    """Make datasets, or a version of one, of files or of a dataset of a hub."""

    kind: Literal["import"] = "import"
    paths: tuple[str, ...] = ()
    """Absolute paths of files and folders."""
    hub: str = ""
    """Instead of paths: "owner/name", with ":config" and "/split" where it has several."""
    title: str = ""
    """Of the new dataset; empty: after its files."""
    dataset: str | None = None
    """Id of the dataset that gets a new version, with mode "replace" or "append"."""
    mode: Mode = "new"
    columns: dict[str, str] = {}
    """Role -> column, where the columns are not recognised."""
    author: str = ""
    note: str = ""
    uploads: tuple[str, ...] = ()
    """Folders with the files, which are this task's own and go when it has ended."""


class PreprocessTask(_Task):
    """Make a new version, or a new dataset, by steps."""

    kind: Literal["preprocess"] = "preprocess"
    reference: str
    """`dataset:<id>@<number>` of the version to begin with."""
    steps: tuple[dict[str, Any], ...]
    """As in a pipeline's YAML: each has one key, the step, and as value its options."""
    into: str = ""
    """Title of the new dataset; empty: a new version of the same."""
    author: str = ""
    note: str = ""
    seed: int = 42


class FactsTask(_Task):
    """Look at each row once, so that filters and statistics need not."""

    kind: Literal["facts"] = "facts"
    reference: str


class StatisticsTask(_Task):
    """Count what a version is made of."""

    kind: Literal["statistics"] = "statistics"
    reference: str
    model_folder: str | None = None
    """Folder of a model whose tokens are counted."""
    near_duplicates: bool = False
    """Also search for rows that are nearly the same, which takes minutes with many rows."""


class MeasureTask(_Task):
    """Count what a model would learn from, with its tokenizer and these settings."""

    kind: Literal["measure"] = "measure"
    config: TrainConfig
    folder: str
    """Folder of the base model."""
    limit: int | None = None
    """Measure this many rows chosen at random; None: all."""


class LeaksTask(_Task):
    """Find rows of one set that another set has too, or nearly."""

    kind: Literal["leaks"] = "leaks"
    a: str
    b: str
    """References; the same version twice with parts compares its own two parts."""
    part_a: Part | None = None
    part_b: Part | None = None
    threshold: float = Field(default=0.8, gt=0, le=1)


class ExportTask(_Task):
    """Write a version, or a part of it, as a file to download."""

    kind: Literal["export"] = "export"
    reference: str
    form: Form = "jsonl"
    part: Part | None = None
    problems_only: bool = False
    target: str = ""
    """Absolute path of the file; empty: in the task's own folder."""


Task = Annotated[
    ImportTask | PreprocessTask | FactsTask | StatisticsTask | MeasureTask | LeaksTask | ExportTask,
    Field(discriminator="kind"),
]
_TASK: TypeAdapter[Task] = TypeAdapter(Task)
_FULL = {getattr(errno, name) for name in ("ENOSPC", "EDQUOT") if hasattr(errno, name)}


@dataclass(frozen=True)
class TaskFolder:
    """The files of one task; see the top of this module for who writes each."""

    path: Path

    @property
    def id(self) -> str:
        """Return the task's id, which is the folder's name."""
        return self.path.name

    @property
    def task(self) -> Path:
        """`task.json`: what is asked for."""
        return self.path / "task.json"

    @property
    def process(self) -> Path:
        """`process.json`: who works on it."""
        return self.path / "process.json"

    @property
    def lock(self) -> Path:
        """`lock`: held by the worker while it lives."""
        return self.path / "lock"

    @property
    def progress(self) -> Path:
        """`progress.json`: phase, done, total, unit, and when the phase began."""
        return self.path / "progress.json"

    @property
    def result(self) -> Path:
        """`result.json`: there when all is done."""
        return self.path / "result.json"

    @property
    def error(self) -> Path:
        """`error.json`: code and values of the problem."""
        return self.path / "error.json"

    @property
    def cancel(self) -> Path:
        """`cancel`: there when the task shall end without a result."""
        return self.path / "cancel"

    @property
    def log(self) -> Path:
        """`log.txt`: what the worker prints."""
        return self.path / "log.txt"

    @property
    def out(self) -> Path:
        """`out/`: files made for the user."""
        return self.path / "out"

    @property
    def home(self) -> Path:
        """Return the home that the task belongs to."""
        return self.path.parent.parent

    def read(self) -> Task:
        """Return what is asked for. Raises OSError or ValueError for a damaged folder."""
        return _TASK.validate_json(self.task.read_bytes())


def folder_of(home: Path) -> Path:
    """Return the folder with one folder per task."""
    return home / FOLDER


def create(home: Path, task: Task) -> TaskFolder:
    """Write a new task folder whole, and return it. Its name sorts by time of creation.

    Raises FolderUnwritable or StorageFull.
    """
    stem = f"{task.created:%Y%m%d-%H%M%S-%f}"[:-3] + f"-{task.kind}-{secrets.token_hex(2)}"
    draft = folder_of(home) / f".{stem}.{os.getpid()}"
    try:
        draft.mkdir(parents=True)
        records.write_text(draft / "task.json", task.model_dump_json())
        return TaskFolder(draft.rename(draft.with_name(stem)))
    except OSError as error:
        raise unwritable(home, error) from error


def statistics_file(home: Path, dataset: str, number: int, fingerprint: str) -> Path:
    """Return where the figures of a version are kept; the file may not be there.

    The fingerprint tells it from a version of a deleted dataset of the same name.
    """
    return home / "data-results" / f"{dataset}@{number}-{fingerprint[:16]}.json"


def unwritable(folder: Path, error: OSError) -> StorageFull | FolderUnwritable:
    """Return the problem behind a write that failed."""
    return storage_full(folder, error) or FolderUnwritable(
        str(folder), error.strerror or str(error)
    )


def storage_full(folder: Path, error: BaseException) -> StorageFull | None:
    """Return a full disk as the problem it is; None when the error is another one."""
    is_full = isinstance(error, DiskFull) or getattr(error, "errno", None) in _FULL
    # Libraries in C tell of it in words only.
    if not is_full and "no space left on device" not in str(error).lower():
        return None
    there = next(path for path in (folder, *folder.parents) if path.exists())
    return StorageFull(str(folder), round(shutil.disk_usage(there).free / 1e9, 2))
