"""Reads what the files of a version say: the run, its data, its figures. No weights are read."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import yaml

from easytune import checkpoints, job, paths, records
from easytune.errors import CheckpointInvalid, RunMissing
from easytune.export_files import LOADABLE, Certificate, ExportFolder
from easytune.job import JobFolder
from easytune.services import discovery, folders, registry_scan
from easytune.services.evidence import ENDED
from easytune.services.registry_entry import DatasetUsed, Facts, clean_name
from easytune.services.runs import Runs
from easytune.services.trash import size_of

_HALF = "-half"


class Reader:
    """Reads the facts of one version at a time."""

    def __init__(self, home: Path, runs: Runs) -> None:
        """Read below `home`; `runs` knows how each run has ended."""
        self._home, self._runs = home, runs

    def read(self, key: str) -> Facts | None:
        """Return what the files of a version say; None when they are no whole version."""
        kind, _, name = key.partition(":")
        try:
            match kind:
                case "run":
                    return self._run(name)
                case "checkpoint":
                    return self._checkpoint(key)
                case "export":
                    return self._export(name)
                case _:
                    return self._import(name)
        except (OSError, RunMissing, ValueError, TypeError, KeyError, yaml.YAMLError):
            # Somebody else's files, or a folder that goes away while it is read.
            return None

    def _run(self, name: str) -> Facts | None:
        folder = self._runs.folder(name)
        state = self._runs.state(name)
        found = discovery.Folders().look(folder.adapter) if state in ENDED else None
        if found is None or found.problem is not None:
            return None
        order = self._runs.order(name)
        told = records.read(folder.adapter / "metrics.json") or {}
        metrics = _figures(told.get("metrics"))
        return Facts(
            key=registry_scan.RUN + name, kind="run", folder=str(folder.adapter), model=name,
            suggested=clean_name(job.run_name(order.config)) or "model",
            base=order.config.model.base_model, created=order.created,
            bytes=size_of(folder.adapter), is_adapter=found.is_adapter, run=name,
            author=_owner(folder.job), datasets=tuple(order.config.data.datasets),
            used=_used(told.get("dataset_versions")), continues=order.continues,
            loss=metrics.get("held_out_loss"), forgetting=_interval(told.get("forgetting")),
            metrics=metrics,
        )  # fmt: skip

    def _checkpoint(self, key: str) -> Facts | None:
        folder = registry_scan.checkpoint_folder(self._home, key)
        try:
            step = checkpoints.step_of(folder)
        except CheckpointInvalid:
            return None
        if (step, folder) not in discovery.whole_checkpoints(folder.parent):
            return None
        name = key.removeprefix(registry_scan.CHECKPOINT).rpartition("@")[0]
        order, story = self._runs.order(name), self._runs.story(name)
        told = records.read(JobFolder(paths.runs(self._home) / name).adapter / "metrics.json") or {}
        held_out = dict(story.held_out).get(step)
        measured = next((one for one in story.forgetting if one.step == step), None)
        learned = dict(story.losses).get(step)
        figures = {"held_out_loss": held_out, "loss": learned}
        return Facts(
            key=key, kind="checkpoint", folder=str(folder), model=f"{name}@{step}",
            suggested=clean_name(job.run_name(order.config)) or "model",
            base=order.config.model.base_model,
            created=datetime.fromtimestamp((folder / checkpoints.MANIFEST).stat().st_mtime, UTC),
            bytes=size_of(folder), is_adapter=order.config.model.method != "full",
            run=name, step=step, author=_owner(folder),
            datasets=tuple(order.config.data.datasets),
            used=_used(told.get("dataset_versions")), continues=order.continues, loss=held_out,
            forgetting=(measured.score, measured.low, measured.high) if measured else None,
            metrics={key: value for key, value in figures.items() if value is not None},
        )  # fmt: skip

    def _export(self, name: str) -> Facts | None:
        folder = ExportFolder(paths.exports(self._home) / name)
        certificate = folder.certificate()
        if certificate is None:
            return self._halved(folder.path)
        if not certificate.passed or not folder.artefact.is_dir() or not certificate.sources:
            return None
        first, target = certificate.sources[0], certificate.target
        before, config = self._origin(first.run), folder.order().config
        # At another strength, or merged with others, it scores otherwise than its run.
        alike = len(certificate.sources) == 1 and config.what.strength == 1 and not first.step
        chosen, own = config.result.name, before if alike else None
        named = f"{before.suggested if before else Path(first.id).name}-{target}"
        return Facts(
            key=registry_scan.EXPORT + name, kind="export", folder=str(folder.artefact),
            model=str(folder.artefact) if target in LOADABLE else "",
            suggested=clean_name(chosen or named) or "model", base=first.base,
            created=certificate.created, bytes=size_of(folder.artefact),
            is_adapter=target == "adapter", run=first.run, step=first.step, target=target,
            number_format=certificate.number_format, author=_owner(folder.job),
            datasets=before.datasets if before else (), used=before.used if before else (),
            sources=tuple(one.id for one in certificate.sources),
            base_fingerprint=first.base_fingerprint,
            loss=own.loss if own else None, forgetting=own.forgetting if own else None,
            metrics=_parity(certificate),
        )  # fmt: skip

    def _halved(self, folder: Path) -> Facts | None:
        """Return the facts of an adapter at half strength, which has no certificate."""
        found = discovery.Folders().look(folder)
        if found is None or found.problem is not None or not found.is_adapter:
            return None
        run = folder.name.removesuffix(_HALF)
        before = self._origin(run)
        return Facts(
            key=registry_scan.EXPORT + folder.name, kind="export", folder=str(folder),
            model=str(folder), suggested=before.suggested if before else clean_name(folder.name),
            base=before.base if before else found.base_name,
            created=found.modified.astimezone(UTC), bytes=size_of(folder),
            run=before.run if before else None, target="adapter", author=_owner(folder),
            datasets=before.datasets if before else (), used=before.used if before else (),
            sources=(run,) if before else (),
        )  # fmt: skip

    def _import(self, name: str) -> Facts | None:
        folder = paths.imports(self._home) / name
        record = records.read(folder / "record.json") or {}
        place = folder / str(record.get("folder") or "model")
        found = discovery.Folders().look(place) if place.is_dir() else None
        if record.get("verdict") == "refused" or found is None or found.problem is not None:
            return None
        return Facts(
            key=registry_scan.IMPORT + name, kind="import", folder=str(place), model=str(place),
            suggested=clean_name(str(record.get("name") or name)) or "model",
            base=str(record.get("base") or found.base_name),
            created=_moment(record.get("created"), folder), bytes=size_of(place),
            is_adapter=found.is_adapter, target=str(record.get("verdict") or ""),
            author=str(record.get("author") or _owner(folder)),
            base_fingerprint=str(record.get("base_fingerprint") or ""),
        )  # fmt: skip

    def _origin(self, run: object) -> Facts | None:
        """Return the facts of the run that something was made from; None when it has gone."""
        try:
            return self._run(str(run)) if run else None
        except (OSError, RunMissing):
            return None


def has_ended(home: Path, key: str) -> bool:
    """Tell whether the runner of a run's folder is gone: only then its result is final."""
    return not folders.runs_now(JobFolder(registry_scan.place(home, key)))


def _figures(content: object) -> dict[str, float]:
    """Return the finite numbers among what a run measured."""
    given = content if isinstance(content, dict) else {}
    return {str(name): float(value) for name, value in given.items() if _is_number(value)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _interval(content: object) -> tuple[float, float, float] | None:
    if not isinstance(content, dict):
        return None
    ends = (content.get("score"), content.get("low"), content.get("high"))
    if not all(_is_number(one) for one in ends):
        return None
    score, low, high = (float(one) for one in ends if one is not None)
    return score, low, high


def _used(content: object) -> tuple[DatasetUsed, ...]:
    listed = content if isinstance(content, list) else []
    return tuple(
        DatasetUsed(str(one.get("dataset", "")), int(one.get("number") or 0),
                    int(one.get("rows") or 0), str(one.get("fingerprint", "")))
        for one in listed if isinstance(one, dict)
    )  # fmt: skip


def _parity(certificate: Certificate) -> dict[str, float]:
    """Return the worst figures of the runtimes that an export was compared in."""
    worst: dict[str, Callable[[list[float]], float]] = {
        "greedy_agreement": min, "top1": min, "kl": max,
    }  # fmt: skip
    found: dict[str, float] = {}
    for name, choose in worst.items():
        figures = [
            float(value) for one in certificate.parity if _is_number(value := getattr(one, name))
        ]
        if figures:
            found[name] = choose(figures)
    return found


def _moment(text: object, folder: Path) -> datetime:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _owner(path: Path) -> str:
    """Return the account on this machine that a file belongs to, "" where that has no name."""
    try:
        return path.owner()
    except (OSError, KeyError, NotImplementedError):
        return ""
