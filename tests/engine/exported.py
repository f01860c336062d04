"""Exports made in this process: an order, its folder, and the job that does it."""

from pathlib import Path
from typing import Any

from easytune import model_files, paths
from easytune.engine.exporting import job
from easytune.engine.exporting.session import Session
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.export import ExportConfig
from easytune.export_files import Certificate, ExportFolder, ExportOrder, Source
from easytune.job import create_named


def source(base: Path, adapter: Path | None = None, **facts: Any) -> Source:
    """Return a model as an order names it."""
    folder = adapter or base
    given = {
        "id": folder.name,
        "title": folder.name,
        "kind": "adapter" if adapter else "base",
        "folder": str(folder),
        "base": base.name,
        "base_folder": str(base),
        "is_adapter": adapter is not None,
        "fingerprint": model_files.fingerprint(folder),
        "base_fingerprint": model_files.fingerprint(base),
    }
    return Source.model_validate(given | facts)


def order(
    home: Path, model: Source, target: str, continues: str | None = None, **options: Any
) -> ExportFolder:
    """Write the folder of an export that is asked for; `options` as `section__name=value`."""
    few = {"gate__prompts": 6, "gate__new_tokens": 8}
    config = ExportConfig().changed(what__target=target, **(few | options))
    asked = ExportOrder(config=config, sources=(model,), continues=continues)
    return ExportFolder(create_named(paths.exports(home), asked, target, asked.created))


def run(home: Path, model: Source, target: str, **options: Any) -> tuple[Path, Certificate]:
    """Do an export and return its artefact and its certificate. Raises what the job raises."""
    folder = order(home, model, target, **options)
    job.export(folder.order(), folder, Reporter(folder.events), StopSignal(folder.stop))
    certificate = folder.certificate()
    assert certificate is not None
    return folder.artefact, certificate


def session(folder: ExportFolder) -> Session:
    """Return what an exporter is given, in folders of their own."""
    folder.part.mkdir(parents=True)
    folder.scratch.mkdir()
    return Session(folder.order(), folder, Reporter(folder.events), StopSignal(folder.stop))
