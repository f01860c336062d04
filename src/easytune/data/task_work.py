"""What each kind of task does. Each returns its result as JSON, see `DataTasks.get`."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from easytune import records
from easytune.data import task_import
from easytune.data.progress import Progress
from easytune.data.stored import Reference
from easytune.data.tasks import (
    ExportTask,
    FactsTask,
    ImportTask,
    LeaksTask,
    MeasureTask,
    PreprocessTask,
    StatisticsTask,
    Task,
    TaskFolder,
    statistics_file,
)
from easytune.data.versions.library import Library
from easytune.data.versions.manifest import Preprocessed, VersionFacts
from easytune.data.versions.rows import Rows
from easytune.dataset_errors import DatasetUnknown
from easytune.job import slug


def do(task: Task, folder: TaskFolder, progress: Progress) -> dict[str, Any]:
    """Do a task and return its result.

    Raises what the modules raise that do the work, among it TaskCancelled; then nothing is kept.
    """
    library = Library(folder.home)
    match task:
        case ImportTask():
            made = task_import.bring_in(task, library, folder.path / "fetched", progress)
            return {"made": [described(version) for version in made]}
        case PreprocessTask():
            return _preprocess(task, library, progress)
        case FactsTask():
            return _facts(task, library, progress)
        case StatisticsTask():
            return _statistics(task, library, folder.home, progress)
        case MeasureTask():
            return _measure(task, folder.home, progress)
        case LeaksTask():
            return _leaks(task, library, progress)
        case ExportTask():
            return _export(task, library, folder, progress)


def described(version: VersionFacts) -> dict[str, Any]:
    """Return what a result tells of a new version."""
    return {
        "dataset": version.dataset,
        "number": version.number,
        "title": version.title,
        "rows": version.rows,
        "problems": version.problems,
    }


def opened(library: Library, name: str) -> Rows:
    """Return the rows that a reference names. Raises DatasetUnknown or VersionUnknown."""
    reference = Reference.parse(name)
    if reference is None:
        raise DatasetUnknown(name)
    return library.open(reference.id, reference.number)


def _preprocess(task: PreprocessTask, library: Library, progress: Progress) -> dict[str, Any]:
    from easytune.data.steps import pipeline, running

    rows = opened(library, task.reference)
    chosen = pipeline.of(task.steps)
    origin = Preprocessed(
        steps=tuple(chosen.as_list), of=f"{rows.facts.dataset}@{rows.facts.number}"
    )
    draft = (
        library.draft(
            title=task.into,
            origin=origin,
            author=task.author,
            note=task.note,
            layouts=rows.facts.layouts,
        )
        if task.into
        else library.draft(
            dataset=rows.facts.dataset,
            origin=origin,
            author=task.author,
            note=task.note,
            parent=rows.facts.number,
        )
    )
    with draft:
        counts = running.run(chosen, rows, library, draft, progress, task.seed)
        version = draft.commit()
    return described(version) | {"counts": [asdict(count) for count in counts]}


def _facts(task: FactsTask, library: Library, progress: Progress) -> dict[str, Any]:
    from easytune.data.insight import facts

    facts.ensure(opened(library, task.reference), progress)
    return {}


def _statistics(
    task: StatisticsTask, library: Library, home: Path, progress: Progress
) -> dict[str, Any]:
    from easytune.data.insight.statistics import statistics

    rows = opened(library, task.reference)
    model = Path(task.model_folder) if task.model_folder else None
    found = statistics(rows, progress, model_folder=model, near_duplicates=task.near_duplicates)
    content = _plain(found)
    kept = statistics_file(home, rows.facts.dataset, rows.facts.number, rows.facts.fingerprint)
    kept.parent.mkdir(parents=True, exist_ok=True)
    records.write(kept, content)
    return content


def _measure(task: MeasureTask, home: Path, progress: Progress) -> dict[str, Any]:
    from easytune.data.insight.measure import measure

    return _plain(measure(task.config, Path(task.folder), home, progress, task.limit))


def _leaks(task: LeaksTask, library: Library, progress: Progress) -> dict[str, Any]:
    from easytune.data.insight.leaks import Side, leaks

    a = Side(opened(library, task.a), task.part_a)
    b = Side(opened(library, task.b), task.part_b)
    return _plain(leaks(a, b, task.threshold, progress))


def _export(
    task: ExportTask, library: Library, folder: TaskFolder, progress: Progress
) -> dict[str, Any]:
    facts = opened(library, task.reference).facts
    target = Path(task.target) if task.target else folder.out / _file_name(task, facts)
    target.parent.mkdir(parents=True, exist_ok=True)
    written = library.export(
        facts.dataset, facts.number, target, task.form, task.part, task.problems_only, progress
    )
    return {"path": str(written), "bytes": written.stat().st_size}


def _file_name(task: ExportTask, facts: VersionFacts) -> str:
    part = "problems" if task.problems_only else task.part or ""
    words = [slug(facts.title or facts.dataset), f"v{facts.number}", part.replace("_", "-")]
    return "-".join(word for word in words if word) + f".{task.form}"


def _plain(found: BaseModel) -> dict[str, Any]:
    return found.model_dump(mode="json")
