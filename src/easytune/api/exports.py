"""The routes about exports: start, status, certificate, files, stop."""

from fastapi import APIRouter, Request
from starlette.responses import FileResponse

from easytune.api import job_routes
from easytune.api.export_bodies import CertificateOut, ExportIn, ExportLine, ExportOut, ExportsOut
from easytune.api.job_routes import Limit
from easytune.api.languages import preferred
from easytune.api.services import Services
from easytune.services.exports import Exports

PATH = "/api/exports"


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(tags=["exports"])
    _add_work(routes, services)
    _add_results(routes, services.exports)
    job_routes.add(routes, PATH, "export", services.exports, ExportOut)
    return routes


def _add_work(routes: APIRouter, services: Services) -> None:
    exports = services.exports

    @routes.get(PATH)
    def list_exports(search: str = "", limit: Limit = 200) -> ExportsOut:
        return ExportsOut(exports=[ExportLine.of(one) for one in exports.list(search)[:limit]])

    @routes.post(PATH, status_code=202)
    def start_export(asked: ExportIn, request: Request) -> ExportOut:
        for name in asked.config.what.models:
            services.model(name)
        return _shown(exports, exports.submit(asked.config), request)

    @routes.post(PATH + "/{id}/resume", status_code=202)
    def resume_export(id: str, request: Request) -> ExportOut:
        return _shown(exports, exports.resume(id), request)


def _add_results(routes: APIRouter, exports: Exports) -> None:
    @routes.get(PATH + "/{id}/certificate")
    def read_certificate(id: str, request: Request) -> CertificateOut:
        certificate = exports.certificate(id)
        return CertificateOut.of(exports.story(id), certificate, preferred(request))

    @routes.get(PATH + "/{id}/files/{path:path}", response_class=FileResponse)
    def read_export_file(id: str, path: str) -> FileResponse:
        place = exports.file(id, path)
        # Whatever it is, a browser shall keep it and not show it.
        headers = {"x-content-type-options": "nosniff"}
        return FileResponse(
            place, filename=place.name, media_type="application/octet-stream", headers=headers
        )


def _shown(exports: Exports, export: str, request: Request) -> ExportOut:
    return ExportOut.of(exports.story(export), preferred(request))
