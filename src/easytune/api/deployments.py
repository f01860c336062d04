"""The routes about deployments: start, status, log, stop, start again, delete."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from easytune.api.deployment_bodies import (
    MOST_LINES,
    DeploymentIn,
    DeploymentLog,
    DeploymentOut,
    DeploymentsOut,
    DeploymentStarted,
)
from easytune.api.languages import preferred
from easytune.api.services import Services
from easytune.services import deployment_checks
from easytune.services.deployments import Deployments

PATH = "/api/deployments"


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(tags=["deployments"])
    deployments = services.deployments

    @routes.get(PATH)
    def list_deployments(request: Request) -> DeploymentsOut:
        lang = preferred(request)
        return DeploymentsOut(
            deployments=[DeploymentOut.of(story, lang) for story in deployments.list()]
        )

    @routes.post(PATH, status_code=202)
    def start_deployment(asked: DeploymentIn, request: Request) -> DeploymentStarted:
        services.model(asked.config.deploy.model)
        id, key = deployments.create(asked.config)
        return DeploymentStarted(deployment=_shown(deployments, id, request), key=key or None)

    @routes.get(PATH + "/{id}")
    def read_deployment(id: str, request: Request) -> DeploymentOut:
        return _shown(deployments, id, request)

    @routes.get(PATH + "/{id}/log")
    def read_deployment_log(
        id: str, lines: Annotated[int, Query(ge=1, le=MOST_LINES)] = 100
    ) -> DeploymentLog:
        return DeploymentLog(lines=deployments.log(id, lines))

    @routes.post(PATH + "/{id}/stop")
    def stop_deployment(id: str, request: Request) -> DeploymentOut:
        deployments.stop(id)
        return _shown(deployments, id, request)

    @routes.post(PATH + "/{id}/restart", status_code=202)
    def restart_deployment(id: str, request: Request) -> DeploymentStarted:
        key = deployments.restart(id)
        return DeploymentStarted(deployment=_shown(deployments, id, request), key=key or None)

    @routes.post(PATH + "/{id}/check", status_code=202)
    def check_deployment(id: str, request: Request) -> DeploymentOut:
        deployment_checks.start(deployments, id)
        return _shown(deployments, id, request)

    @routes.delete(PATH + "/{id}", status_code=204)
    def delete_deployment(id: str) -> Response:
        deployments.delete(id)
        return Response(status_code=204)

    return routes


def _shown(deployments: Deployments, id: str, request: Request) -> DeploymentOut:
    check = deployment_checks.latest(deployments.folder(id))
    return DeploymentOut.of(deployments.story(id), preferred(request), check)
