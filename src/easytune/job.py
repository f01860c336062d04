"""A job's folder: the names of its files, and the order that is written into it.

One writer per file, see the table in `JobFolder`. The folder is written under a temporary name and
renamed, so that a reader never meets half a job.
"""

import os
import platform
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from easytune.config import TrainConfig
from easytune.errors import FolderUnwritable

# The one written in C reads a job in a tenth of the time; some builds of PyYAML lack it.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
ENDING_SIGNALS = frozenset({1, 2, 3, 9, 15})
"""By which somebody ends a process; the others are sent for what the process itself did."""
NAME_FILE = "name.json"
"""Written by the app when somebody renames a job."""
VERSIONED = ("easytune", "torch", "transformers", "peft", "accelerate")


class Record(BaseModel):
    """What a file of a job holds. Keys that only later versions write are passed over."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class CheckWishes(BaseModel):
    """What a launch check shall try."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    memory_gb: float | None = Field(default=None, gt=0)
    """Memory to stay within; None: what is free on the device."""
    ladder: bool = True
    """Whether to go on to lighter settings when memory is short."""
    steady: bool = False
    """Whether to make 20 steps at the chosen learning rate, to see whether it diverges."""
    range_test: bool = False
    """Whether to raise the learning rate step by step, to suggest one."""
    device: Literal["cuda", "mps", "cpu"] | None = None
    """What the estimate was made for; a warning says when it is another one now."""


class Job(BaseModel):
    """What a job is asked to do: the content of `job.yaml`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    task: Literal["train", "check"] = "train"
    created: datetime = Field(default_factory=lambda: datetime.now(UTC))
    config: TrainConfig
    versions: dict[str, str] = Field(default_factory=lambda: installed_versions())
    resume_from: str | None = None
    """Absolute path of the checkpoint folder to go on from; None starts at step 0."""
    continues: str | None = None
    """Id of the run whose curve comes before this one's, when resumed."""
    wishes: CheckWishes | None = None
    """What a launch check shall try; None for other tasks."""


@dataclass(frozen=True)
class JobFolder:
    """The files of one job, and who writes each."""

    path: Path

    @property
    def id(self) -> str:
        """Return the run's id, which is the folder's name."""
        return self.path.name

    @property
    def job(self) -> Path:
        """`job.yaml`: written once by whoever submits the job."""
        return self.path / "job.yaml"

    @property
    def process(self) -> Path:
        """`process.json`: boot id, pids and start times; written once by the runner."""
        return self.path / "process.json"

    @property
    def lock(self) -> Path:
        """`lock`: held by the runner while it lives."""
        return self.path / "lock"

    @property
    def exit(self) -> Path:
        """`exit.json`: how the job ended; written once by the runner."""
        return self.path / "exit.json"

    @property
    def stop(self) -> Path:
        """`stop`: created by the app; the job finishes its step and keeps what it has."""
        return self.path / "stop"

    @property
    def stopping(self) -> Path:
        """`stopping.json`: how far stopping has gone; written by the runner."""
        return self.path / "stopping.json"

    @property
    def revoked(self) -> Path:
        """`revoked`: created by the app; a job that has not begun must not begin any more."""
        return self.path / "revoked"

    @property
    def events(self) -> Path:
        """`events.jsonl`: appended by the job only."""
        return self.path / "events.jsonl"

    @property
    def log(self) -> Path:
        """`log.txt`: the job's stdout and stderr."""
        return self.path / "log.txt"

    @property
    def out(self) -> Path:
        """`out/`: adapter, checkpoints, results; written by the job."""
        return self.path / "out"

    @property
    def adapter(self) -> Path:
        """`out/adapter/`: the trained adapter (or whole model) with its run card."""
        return self.out / "adapter"

    @property
    def checkpoints(self) -> Path:
        """`out/checkpoints/`: one `checkpoint-<step>` folder each."""
        return self.out / "checkpoints"

    @property
    def base(self) -> Path:
        """`out/base.json`: folder and short hash of the base model that a run trained on."""
        return self.out / "base.json"

    def is_proved(self) -> bool:
        """Tell whether all that was asked for is there and proved, though nobody said so any more.

        Only jobs whose result appears in one step can tell.
        """
        return False

    def read(self) -> Job:
        """Return the job that was asked for. Raises OSError, YAMLError, ValidationError."""
        return Job.model_validate(parsed(self.job))


def parsed(order: Path) -> Any:
    """Return the content of an order that the app has written. Raises OSError, YAMLError."""
    return yaml.load(order.read_text(encoding="utf-8"), _LOADER)


def create(runs: Path, job: Job) -> JobFolder:
    """Write a new job folder whole, and return it. Its name sorts by time of creation.

    Raises FolderUnwritable when it cannot be written.
    """
    return JobFolder(create_named(runs, job, run_name(job.config), job.created))


def create_named(
    parent: Path,
    order: BaseModel,
    name: str,
    created: datetime,
    fill: Callable[[Path], None] = lambda draft: None,
) -> Path:
    """Write the folder of any job whole, and return it. Its name sorts by `created`.

    `order` becomes its `job.yaml`; `fill` adds what else belongs into it before anybody sees it.
    Raises FolderUnwritable.
    """
    stem = f"{created:%Y%m%d-%H%M%S-%f}"[:-3] + f"-{slug(name)}"
    try:
        return _write(parent, order, stem, fill)
    except OSError as error:
        raise FolderUnwritable(str(parent), error.strerror or str(error)) from error


def _write(parent: Path, order: BaseModel, stem: str, fill: Callable[[Path], None]) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    draft = parent / f".{stem}.{os.getpid()}"
    draft.mkdir()
    fill(draft)
    write(JobFolder(draft), order)
    return rename_free(draft, parent / stem)


def write(folder: JobFolder, order: BaseModel) -> None:
    """Write what is asked for into a folder that nobody reads yet. Raises OSError."""
    content = order.model_dump(mode="json")
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    folder.job.write_text(text, encoding="utf-8")


def run_name(config: TrainConfig) -> str:
    """Return what a run is called: as chosen, else after its first dataset or its list's entry."""
    dataset = config.data.datasets[0]
    if dataset.startswith("dataset:"):
        return config.output.name or dataset.removeprefix("dataset:").partition("@")[0]
    return config.output.name or dataset.partition("#")[2] or Path(dataset).stem


def slug(text: str) -> str:
    """Return `text` fit for a file name: letters (of any script), digits and dashes."""
    return re.sub(r"[^\w]+", "-", text).strip("-_").lower()[:40] or "run"


def installed_versions() -> dict[str, str]:
    """Return the versions that decide what a run computes, without importing the packages."""
    return {"python": platform.python_version()} | {name: _version(name) for name in VERSIONED}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"


def rename_free(draft: Path, wanted: Path) -> Path:
    """Rename to `wanted`, or to the next free `wanted-2`, `wanted-3`, …"""
    for attempt in range(1, 1000):
        target = wanted if attempt == 1 else wanted.with_name(f"{wanted.name}-{attempt}")
        if not target.exists():
            return draft.rename(target)
    raise FileExistsError(wanted)
