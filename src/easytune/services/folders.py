"""The job folders of a home, and which of them wait for their turn."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from easytune import locks, paths
from easytune.job import Job, JobFolder


def all_folders(home: Path) -> list[JobFolder]:
    """Return every job folder, oldest first. Drafts and foreign folders are left out."""
    return _folders_in(paths.runs(home))


def check_folders(home: Path) -> list[JobFolder]:
    """Return the folder of every launch check, oldest first."""
    return _folders_in(paths.checks(home))


def running_check(home: Path) -> JobFolder | None:
    """Return the launch check that is going on; None without one."""
    return next((folder for folder in reversed(check_folders(home)) if runs_now(folder)), None)


def _folders_in(parent: Path) -> list[JobFolder]:
    if not parent.is_dir():
        return []
    names = sorted(path.name for path in parent.iterdir() if not path.name.startswith("."))
    folders = [JobFolder(parent / name) for name in names]
    return [folder for folder in folders if folder.job.is_file()]


def job_of(folder: JobFolder) -> Job | None:
    """Return what the job was asked to do; None when its file is damaged or somebody else's."""
    try:
        return folder.read()
    except (OSError, ValueError, ValidationError, yaml.YAMLError):
        return None


def waits(folder: JobFolder) -> bool:
    """Tell whether the job has not begun and still may."""
    marks = (folder.process, folder.exit, folder.revoked)
    return not any(mark.exists() for mark in marks) and not locks.is_held(folder.lock)


def waiting(home: Path) -> list[JobFolder]:
    """Return the jobs that wait, the next one first."""
    return [folder for folder in all_folders(home) if waits(folder)]


def runs_now(folder: JobFolder) -> bool:
    """Tell whether a runner lives for this job, finished or not."""
    return not folder.exit.exists() and locks.is_held(folder.lock)
