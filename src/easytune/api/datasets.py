"""The routes about datasets: what there is, uploads, rows, steps, versions, and their tasks."""

from dataclasses import asdict
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from easytune.api import problems, uploads
from easytune.api.dataset_bodies import (
    MOST_ROWS,
    ChangeOut,
    DatasetOut,
    DatasetsOut,
    DiffOut,
    PairOut,
    PreprocessIn,
    PreprocessOut,
    RollbackIn,
    RowOut,
    RowsOut,
    StepOut,
    TaskOut,
    TasksOut,
    UploadFields,
    VersionIn,
    VersionMade,
    VersionOut,
    VersionsOut,
)
from easytune.api.languages import preferred
from easytune.api.problems import ApiProblem
from easytune.api.services import Services
from easytune.api.uploads import Received
from easytune.data.stored import Reference
from easytune.data.versions.diff import ChangeKind
from easytune.data.versions.edits import Edit
from easytune.data.versions.search import Filter
from easytune.dataset_errors import NothingToImport
from easytune.services.datasets import Datasets

PATH = "/api/datasets"
UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            uploads.MULTIPART: {
                "schema": {
                    "title": "UploadFields",
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "array", "items": {"type": "string", "format": "binary"}},
                        **{name: {"type": "string"} for name in UploadFields.model_fields},
                    },
                }
            }
        },
    }
}
First = Annotated[int, Query(ge=0)]
Limit = Annotated[int, Query(ge=1, le=MOST_ROWS)]


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(tags=["datasets"])
    _add_datasets(routes, services.datasets)
    _add_changes(routes, services.datasets)
    _add_versions(routes, services.datasets)
    _add_tasks(routes, services.datasets)
    return routes


def _add_datasets(routes: APIRouter, datasets: Datasets) -> None:
    library = datasets.library

    @routes.get(PATH)
    def list_datasets() -> DatasetsOut:
        return DatasetsOut(datasets=[DatasetOut.of(facts) for facts in library.list()])

    @routes.post(PATH, status_code=202, openapi_extra=UPLOAD)
    async def upload_dataset(request: Request) -> TaskOut:
        task = await _uploaded(request, datasets)
        story = await to_thread.run_sync(datasets.tasks.get, task)
        return TaskOut.of(story, preferred(request))

    @routes.get(PATH + "/{id}")
    def read_dataset(id: str) -> DatasetOut:
        return DatasetOut.of(library.get(id))

    @routes.get(PATH + "/{id}/rows")
    def read_rows(
        id: str,
        request: Request,
        version: int | None = None,
        first: First = 0,
        limit: Limit = 100,
        search: str = "",
        problem: str | None = None,
    ) -> RowsOut:
        lang, rows = preferred(request), library.open(id, version)
        total, found = len(rows), []
        if search or problem:
            page = rows.find(Filter(text=search, problem=problem or None), first, limit)
            total, found = page.total, page.rows
        else:
            found = rows.page(first, limit)
        shown = [RowOut.of(row, lang) for row in found]
        return RowsOut(version=rows.facts.number, total=total, rows=shown)


def _add_changes(routes: APIRouter, datasets: Datasets) -> None:
    @routes.post(PATH + "/{id}/preprocess")
    def preprocess_dataset(id: str, asked: PreprocessIn) -> PreprocessOut:
        from easytune.data.steps import pipeline

        # The number, so that what is shown and what is taken are the same version.
        wanted = datasets.library.version(id, asked.version).reference
        chosen = pipeline.of(asked.steps)
        found = datasets.preview(wanted, chosen, asked.limit)
        task = None
        if asked.save:
            task = datasets.preprocess(wanted, chosen, asked.into, asked.author, asked.note)
        pairs = [
            PairOut(position=before.position, original=before.value, processed=after,
                    dropped_by=step or None)
            for before, after, step in found.pairs
        ]  # fmt: skip
        counts = [StepOut(**asdict(count)) for count in found.counts]
        return PreprocessOut(
            looked_at=found.looked_at, total=found.rows, counts=counts, rows=pairs, task=task
        )

    @routes.get(PATH + "/{id}/diff")
    def compare_versions(
        id: str,
        request: Request,
        before: int,
        after: int | None = None,
        kind: ChangeKind | None = None,
        first: First = 0,
        limit: Limit = 100,
    ) -> DiffOut:
        lang, library = preferred(request), datasets.library
        a, b = (library.version(id, number).number for number in (before, after))
        found = library.diff((id, a), (id, b))
        names = ("added", "removed", "changed", "moved", "same")
        counts = {name: int(getattr(found, name)) for name in names}
        changes = [ChangeOut.of(change, lang) for change in found.page(kind, first, limit)]
        return DiffOut(before=a, after=b, changes=changes, **counts)


def _add_versions(routes: APIRouter, datasets: Datasets) -> None:
    library = datasets.library

    @routes.get(PATH + "/{id}/versions")
    def list_versions(id: str) -> VersionsOut:
        return VersionsOut(versions=[VersionOut.of(facts) for facts in library.versions(id)])

    @routes.post(PATH + "/{id}/versions", status_code=201)
    def create_version(id: str, asked: VersionIn, response: Response) -> VersionMade:
        if bool(asked.edits) == bool(asked.steps):
            raise ApiProblem("api.problem.edits_or_steps", param="edits")
        if asked.edits:
            made = library.edit(id, _edits(asked), asked.version, asked.author, asked.note)
            return VersionMade(version=VersionOut.of(made))
        from easytune.data.steps import pipeline

        chosen = pipeline.of(asked.steps)
        wanted = Reference(id, library.version(id, asked.version).number)
        response.status_code = 202
        task = datasets.preprocess(wanted, chosen, "", asked.author, asked.note)
        return VersionMade(task=task)

    @routes.get(PATH + "/{id}/versions/{number}")
    def read_version(id: str, number: int) -> VersionOut:
        return VersionOut.of(library.version(id, number))

    @routes.post(PATH + "/{id}/versions/{number}/rollback", status_code=201)
    def roll_back(id: str, number: int, asked: RollbackIn) -> VersionOut:
        return VersionOut.of(library.rollback(id, number, asked.author, asked.note))


def _add_tasks(routes: APIRouter, datasets: Datasets) -> None:
    tasks = datasets.tasks

    @routes.get("/api/data-tasks")
    def list_tasks(request: Request) -> TasksOut:
        lang = preferred(request)
        return TasksOut(tasks=[TaskOut.of(story, lang) for story in tasks.list()])

    @routes.get("/api/data-tasks/{id}")
    def read_task(id: str, request: Request) -> TaskOut:
        return TaskOut.of(tasks.get(id), preferred(request))

    @routes.post("/api/data-tasks/{id}/cancel")
    def cancel_task(id: str, request: Request) -> TaskOut:
        tasks.cancel(id)
        return TaskOut.of(tasks.get(id), preferred(request))


async def _uploaded(request: Request, datasets: Datasets) -> str:
    """Write an upload to disk, begin to import it, and return the task's id."""
    folder = await to_thread.run_sync(datasets.upload_folder)
    try:
        received = await uploads.receive(request, folder)
        return await to_thread.run_sync(_begin, received, datasets)
    except BaseException:
        # Whatever happened, no half upload stays.
        datasets.discard(folder)
        raise


def _begin(received: Received, datasets: Datasets) -> str:
    try:
        fields = UploadFields.model_validate(received.fields)
    except ValidationError as error:
        raise problems.invalid(error.errors()) from error
    if not received.files:
        raise NothingToImport(path="file")
    return datasets.import_files(
        received.files,
        fields.title,
        dataset=fields.dataset or None,
        mode=fields.mode or ("append" if fields.dataset else "new"),
        columns=fields.columns,
        author=fields.author,
        note=fields.note,
    )


def _edits(asked: VersionIn) -> list[Edit]:
    try:
        return [edit.edit() for edit in asked.edits]
    except TypeError as error:
        reason = str(error)
        raise ApiProblem(
            "api.problem.not_json", param="edits", values={"reason": reason}
        ) from error
