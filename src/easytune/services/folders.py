"""The job folders of a home, and which of them wait for their turn."""

from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

import yaml
from pydantic import ValidationError

from easytune import locks, paths
from easytune.evaluation_files import EvaluationFolder
from easytune.export_files import ExportFolder
from easytune.inspection_files import InspectionFolder
from easytune.job import Job, JobFolder

F = TypeVar("F", bound=JobFolder)
Asked = TypeVar("Asked", covariant=True)


class Ordered(Protocol[Asked]):
    """A folder that tells what its job was asked to do."""

    def order(self) -> Asked:
        """Return what was asked for."""
        ...


def all_folders(home: Path) -> list[JobFolder]:
    """Return the folder of every run, oldest first. Drafts and foreign folders are left out."""
    return _folders_in(paths.runs(home), JobFolder)


def evaluation_folders(home: Path) -> list[EvaluationFolder]:
    """Return the folder of every evaluation, oldest first."""
    return _folders_in(paths.evaluations(home), EvaluationFolder)


def export_folders(home: Path) -> list[ExportFolder]:
    """Return the folder of every export that is a job, oldest first."""
    return _folders_in(paths.exports(home), ExportFolder)


def inspection_folders(home: Path) -> list[InspectionFolder]:
    """Return the folder of every check of an import, oldest first."""
    return _folders_in(paths.inspections(home), InspectionFolder)


def all_jobs(home: Path) -> list[JobFolder]:
    """Return the folders of all jobs that take turns, of every kind; oldest first."""
    # A folder's name begins with the moment when its job was asked for.
    every = [
        *all_folders(home),
        *evaluation_folders(home),
        *export_folders(home),
        *inspection_folders(home),
    ]
    return sorted(every, key=lambda folder: folder.id)


def check_folders(home: Path) -> list[JobFolder]:
    """Return the folder of every launch check, oldest first."""
    return _folders_in(paths.checks(home), JobFolder)


def running_check(home: Path) -> JobFolder | None:
    """Return the launch check that is going on; None without one."""
    return next((folder for folder in reversed(check_folders(home)) if runs_now(folder)), None)


def _folders_in(parent: Path, kind: Callable[[Path], F]) -> list[F]:
    if not parent.is_dir():
        return []
    names = sorted(path.name for path in parent.iterdir() if not path.name.startswith("."))
    folders = [kind(parent / name) for name in names]
    return [folder for folder in folders if folder.job.is_file()]


def job_of(folder: JobFolder) -> Job | None:
    """Return what a run was asked to do; None when its file is damaged or somebody else's."""
    try:
        return folder.read()
    except (OSError, ValueError, ValidationError, yaml.YAMLError):
        return None


def order_of(folder: Ordered[Asked]) -> Asked | None:
    """Return what an evaluation or export was asked to do; None as `job_of` does."""
    try:
        return folder.order()
    except (OSError, ValueError, ValidationError, yaml.YAMLError):
        return None


def is_readable(folder: JobFolder) -> bool:
    """Tell whether a worker will understand what the job is asked to do."""
    if isinstance(folder, EvaluationFolder | ExportFolder | InspectionFolder):
        return order_of(folder) is not None
    return job_of(folder) is not None


def waits(folder: JobFolder) -> bool:
    """Tell whether the job has not begun and still may."""
    marks = (folder.process, folder.exit, folder.revoked)
    return not any(mark.exists() for mark in marks) and not locks.is_held(folder.lock)


def waiting(home: Path) -> list[JobFolder]:
    """Return the jobs that wait, runs, evaluations and exports, the next one first."""
    return [folder for folder in all_jobs(home) if waits(folder)]


def queue_position(home: Path, folder: JobFolder) -> int | None:
    """Return a job's place in the queue, 1 for the next one; None when it does not wait."""
    queue = [each.path for each in waiting(home)]
    return queue.index(folder.path) + 1 if folder.path in queue else None


def runs_now(folder: JobFolder) -> bool:
    """Tell whether a runner lives for this job, finished or not."""
    return not folder.exit.exists() and locks.is_held(folder.lock)
