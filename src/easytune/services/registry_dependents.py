"""What depends on a version: listed before it is deleted, and shown with it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from easytune import checkpoints, locks, paths, records
from easytune.deployment_files import DeploymentFolder
from easytune.errors import RunMissing
from easytune.job import JobFolder
from easytune.services import folders
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.evidence import ENDED
from easytune.services.registry_entry import Entry
from easytune.services.runs import Runs

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DependentKind = Literal["checkpoints", "export", "evaluation", "run", "deployment"]


@dataclass(frozen=True)
class Dependent:
    """Something that was made from a version, or works with it now."""

    kind: DependentKind
    id: str
    title: str
    is_active: bool
    """A job or a server that works with the files now: they cannot be deleted."""
    goes_too: bool = False
    """Whether its files are deleted together with the version's."""
    count: int = 1


class Dependents:
    """Finds what depends on versions."""

    def __init__(
        self, home: Path, runs: Runs, catalogue: Catalogue, evaluations: Evaluations
    ) -> None:
        self._home, self._runs = home, runs
        self._catalogue, self._evaluations = catalogue, evaluations

    def of(self, entry: Entry) -> list[Dependent]:
        """Return what depends on a version, what goes on now first."""
        found = [
            *self._checkpoints(entry),
            *self._exports(entry),
            *self._of_evaluations(entry),
            *self._continued(entry),
            *self._deployments(entry),
        ]
        return sorted(found, key=lambda one: not one.is_active)

    def _checkpoints(self, entry: Entry) -> Iterator[Dependent]:
        if entry.facts.kind != "run" or entry.facts.run is None:
            return
        folder = JobFolder(paths.runs(self._home) / entry.facts.run)
        if count := len(checkpoints.sealed(folder.checkpoints)):
            yield Dependent("checkpoints", entry.facts.run, entry.name, False, True, count)

    def _exports(self, entry: Entry) -> Iterator[Dependent]:
        own = Path(entry.facts.folder)
        for folder in _subfolders(paths.exports(self._home)):
            if own.is_relative_to(folder):
                continue
            job = JobFolder(folder)
            certificate = records.read(folder / "out" / "certificate.json")
            order = certificate or _content(job.job)
            is_half = entry.facts.kind == "run" and folder.name == f"{entry.facts.run}-half"
            if is_half or any(self._is_of(one, entry) for one in _sources(order)):
                title = str(order.get("name") or folder.name)
                yield Dependent("export", folder.name, title, _goes_on(job))

    def _of_evaluations(self, entry: Entry) -> Iterator[Dependent]:
        for one in self._evaluations.list():
            sources = [candidate.model_dump() for candidate in one.order.candidates]
            if any(self._is_of(source, entry) for source in sources):
                yield Dependent("evaluation", one.id, one.name, one.state not in ENDED)

    def _continued(self, entry: Entry) -> Iterator[Dependent]:
        for run in self._runs.list():
            if run.id != entry.facts.run and self._goes_on_from(run.id, entry):
                yield Dependent("run", run.id, run.name, run.state not in ENDED)

    def _deployments(self, entry: Entry) -> Iterator[Dependent]:
        for folder in _subfolders(paths.deployments(self._home)):
            deployment = DeploymentFolder(folder)
            order = _content(deployment.order)
            source = order.get("source")
            if isinstance(source, dict) and self._is_of(source, entry):
                title = str(order.get("name") or folder.name)
                yield Dependent("deployment", folder.name, title, locks.is_held(deployment.lock))

    def _goes_on_from(self, run: str, entry: Entry) -> bool:
        try:
            order = self._runs.order(run)
        except RunMissing:
            return False
        own = Path(entry.facts.folder)
        if entry.facts.kind == "run":
            # With its run all that it made goes.
            own = paths.runs(self._home) / (entry.facts.run or "")
        started = (order.resume_from, order.config.model.adapter, order.config.model.base_model)
        begins = [Path(path) for path in started if path and Path(path).is_absolute()]
        follows = entry.facts.kind == "run" and order.continues == entry.facts.run
        return follows or any(path == own or path.is_relative_to(own) for path in begins)

    def _is_of(self, source: dict[str, Any], entry: Entry) -> bool:
        """Tell whether a model that something was made from is this version, or goes with it."""
        if entry.facts.kind == "run":
            return source.get("run") == entry.facts.run
        named = (source.get("id"), source.get("model"), source.get("folder"))
        return entry.facts.model in named or entry.facts.folder in named


def _sources(order: dict[str, Any]) -> list[dict[str, Any]]:
    listed = order.get("sources")
    return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []


def _content(file: Path) -> dict[str, Any]:
    try:
        content = yaml.load(file.read_text(encoding="utf-8"), _LOADER)
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def _goes_on(job: JobFolder) -> bool:
    """Tell whether a job runs, or waits for its turn."""
    if not job.job.is_file():
        return False
    return folders.runs_now(job) or folders.waits(job)


def _subfolders(folder: Path) -> list[Path]:
    try:
        children = sorted(folder.iterdir(), reverse=True)
    except OSError:
        return []
    return [path for path in children if path.is_dir() and not path.name.startswith(".")]
