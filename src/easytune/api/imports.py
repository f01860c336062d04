"""The routes about imports: check, read, accept, convert, discard."""

from pathlib import Path

from anyio import to_thread
from fastapi import APIRouter, Request

from easytune.api import job_routes, uploads
from easytune.api.import_bodies import AcceptIn, ImportIn, ImportLine, ImportOut, ImportsOut
from easytune.api.job_routes import Limit
from easytune.api.languages import preferred
from easytune.api.services import Services
from easytune.services.inspections import Inspections

PATH = "/api/imports"


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(tags=["imports"])
    _add_checks(routes, services)
    _add_decisions(routes, services.inspections)
    job_routes.add(routes, PATH, "import", services.inspections, ImportOut)
    return routes


def _add_checks(routes: APIRouter, services: Services) -> None:
    inspections = services.inspections

    @routes.get(PATH)
    def list_imports(search: str = "", limit: Limit = 200) -> ImportsOut:
        found = inspections.list(search)[:limit]
        return ImportsOut(imports=[ImportLine.of(one) for one in found])

    @routes.post(PATH, status_code=202)
    def start_import(asked: ImportIn, request: Request) -> ImportOut:
        sources = [Path(asked.path).expanduser()]
        made = inspections.submit(
            sources, asked.base, name=asked.name, convert_pickle=asked.convert_pickle
        )
        return _shown(inspections, made, request)

    @routes.post(PATH + "/upload", status_code=202)
    async def upload_import(request: Request) -> ImportOut:
        made = await _uploaded(request, services)
        return await to_thread.run_sync(_shown, inspections, made, request)


def _add_decisions(routes: APIRouter, inspections: Inspections) -> None:
    @routes.post(PATH + "/{id}/accept")
    def accept_import(id: str, asked: AcceptIn, request: Request) -> ImportOut:
        inspections.accept(id, warnings=asked.warnings)
        return _shown(inspections, id, request)

    @routes.post(PATH + "/{id}/convert", status_code=202)
    def convert_import(id: str, request: Request) -> ImportOut:
        return _shown(inspections, inspections.convert(id), request)

    @routes.post(PATH + "/{id}/discard")
    def discard_import(id: str, request: Request) -> ImportOut:
        inspections.discard(id)
        return _shown(inspections, id, request)


async def _uploaded(request: Request, services: Services) -> str:
    """Write an upload to disk, check it, and return the check's id; nothing of it stays there."""
    datasets = services.datasets
    folder = await to_thread.run_sync(datasets.upload_folder)
    try:
        received = await uploads.receive(request, folder)
        fields = received.fields

        def submit() -> str:
            return services.inspections.submit(
                received.files,
                fields.get("base") or None,
                name=fields.get("name", ""),
                convert_pickle=fields.get("convert_pickle", "").lower() == "true",
            )

        return await to_thread.run_sync(submit)
    finally:
        datasets.discard(folder)


def _shown(inspections: Inspections, inspection: str, request: Request) -> ImportOut:
    return ImportOut.of(inspections.story(inspection), preferred(request))
