"""The routes that jobs of every kind have: list, read, stop, delete."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from easytune.api.job_bodies import JobOut, StopIn
from easytune.api.languages import preferred
from easytune.services.job_shelf import JobShelf

MOST_LISTED = 1000
Limit = Annotated[int, Query(ge=1, le=MOST_LISTED)]
"""How many lines of a list are wanted."""


def add(
    routes: APIRouter, path: str, kind: str, shelf: JobShelf[Any, Any, Any], out: type[JobOut]
) -> None:
    """Add the routes for one job of a kind, after those whose path an id could be taken for."""

    @routes.get(path + "/{id}", name=f"read_{kind}", response_model=out)
    def read(id: str, request: Request) -> JobOut:
        return out.of(shelf.story(id), preferred(request))

    @routes.post(path + "/{id}/stop", name=f"stop_{kind}", response_model=out)
    def stop(id: str, asked: StopIn, request: Request) -> JobOut:
        shelf.stop(id, now=asked.now)
        return out.of(shelf.story(id), preferred(request))

    @routes.delete(path + "/{id}", name=f"delete_{kind}", status_code=204)
    def delete(id: str) -> Response:
        shelf.delete(id)
        return Response(status_code=204)
