"""The API as one application: its routes, its problems, its documentation."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, Response

from easytune import __version__
from easytune.api import (
    compare,
    conversations,
    datasets,
    deployments,
    estimates,
    evaluations,
    exports,
    imports,
    models,
    openai_routes,
    page,
    problems,
    reference,
    versions,
)
from easytune.api.following import Follower, HungUp
from easytune.api.languages import preferred
from easytune.api.problems import ApiProblem, ErrorReply
from easytune.api.services import Services
from easytune.errors import EasyTuneError

# What nginx logs when a client goes before it was answered. Nobody reads it.
CLIENT_GONE = 499


def build(services: Services) -> FastAPI:
    """Return the application, answered by these services."""
    follower = Follower()
    application = empty()
    application.include_router(openai_routes.router(services, follower))
    application.include_router(models.router(services))
    application.include_router(compare.router(services, follower))
    application.include_router(conversations.router(services))
    application.include_router(datasets.router(services))
    application.include_router(estimates.router(services))
    application.include_router(evaluations.router(services))
    application.include_router(exports.router(services))
    application.include_router(imports.router(services))
    application.include_router(versions.router(services))
    application.include_router(deployments.router(services))
    _document(application)
    return application


def empty() -> FastAPI:
    """Return an application without routes, that answers problems in the shape of OpenAI's."""
    refused = (ApiProblem, EasyTuneError, RequestValidationError, HTTPException, Exception)
    return FastAPI(
        title="EasyTune",
        version=__version__,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
        responses={"default": {"model": ErrorReply}},
        exception_handlers={
            **dict.fromkeys(refused, problems.on_problem),
            HungUp: _on_hung_up,
        },
    )


def _document(application: FastAPI) -> None:
    @application.get("/api/openapi.json", include_in_schema=False)
    def read_schema(request: Request) -> JSONResponse:
        return JSONResponse(_schema(application, request))

    @application.get("/api", include_in_schema=False)
    @application.get("/api/", include_in_schema=False)
    def read_reference(request: Request) -> HTMLResponse:
        return HTMLResponse(page.render(_schema(application, request), preferred(request)))


def _schema(application: FastAPI, request: Request) -> dict[str, Any]:
    server = str(request.base_url).rstrip("/")
    return reference.described(application.openapi(), server, preferred(request))


async def _on_hung_up(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_GONE)
