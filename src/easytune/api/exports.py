"""The routes about exports: start, status, certificate, files, stop."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import FileResponse, Response

from easytune.api.evaluation_bodies import StopIn
from easytune.api.export_bodies import CertificateOut, ExportIn, ExportLine, ExportOut, ExportsOut
from easytune.api.languages import preferred
from easytune.api.services import Services
from easytune.services.exports import Exports

PATH = "/api/exports"
MOST_LISTED = 1000


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(tags=["exports"])
    _add_work(routes, services)
    _add_results(routes, services.exports)
    return routes


def _add_work(routes: APIRouter, services: Services) -> None:
    exports = services.exports

    @routes.get(PATH)
    def list_exports(
        search: str = "", limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 200
    ) -> ExportsOut:
        return ExportsOut(exports=[ExportLine.of(one) for one in exports.list(search)[:limit]])

    @routes.post(PATH, status_code=202)
    def start_export(asked: ExportIn, request: Request) -> ExportOut:
        for name in asked.config.what.models:
            services.model(name)
        return _shown(exports, exports.submit(asked.config), request)

    @routes.post(PATH + "/{id}/stop")
    def stop_export(id: str, asked: StopIn, request: Request) -> ExportOut:
        exports.stop(id, now=asked.now)
        return _shown(exports, id, request)

    @routes.post(PATH + "/{id}/resume", status_code=202)
    def resume_export(id: str, request: Request) -> ExportOut:
        return _shown(exports, exports.resume(id), request)

    @routes.delete(PATH + "/{id}", status_code=204)
    def delete_export(id: str) -> Response:
        exports.delete(id)
        return Response(status_code=204)


def _add_results(routes: APIRouter, exports: Exports) -> None:
    @routes.get(PATH + "/{id}")
    def read_export(id: str, request: Request) -> ExportOut:
        return _shown(exports, id, request)

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
