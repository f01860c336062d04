"""The routes about versions of models: the registry, and the trash."""

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from easytune.api.services import Services
from easytune.api.version_bodies import (
    CheckpointIn,
    EmptiedOut,
    LinkOut,
    ModelVersionOut,
    ModelVersionsOut,
    TrashedOut,
    TrashedVersionOut,
    TrashOut,
    VersionComparisonOut,
    VersionEdit,
    VersionSheetOut,
)
from easytune.services import registry_comparison, registry_entry
from easytune.services.registry import Edit
from easytune.services.registry_entry import Sort

PATH, TRASH = "/api/versions", "/api/trash"
MOST_LISTED = 1000
WHO = "API"
"""Whom the history names: a key belongs to a program, not to a person."""


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(tags=["versions"])
    _add_reading(routes, services)
    _add_changing(routes, services)
    _add_trash(routes, services)
    return routes


def _add_reading(routes: APIRouter, services: Services) -> None:
    registry = services.registry

    @routes.get(PATH)
    def list_model_versions(
        search: str = "", stage: str = "", kind: str = "", base: str = "", tag: str = "",
        name: str = "", sort: Sort = "created", reverse: bool = False,
        first: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 200,
    ) -> ModelVersionsOut:  # fmt: skip
        asked = registry_entry.Query(search, stage, kind, base, tag, name, sort, reverse)
        found = registry.list(asked)
        shown = found.entries[first : first + limit]
        return ModelVersionsOut(
            versions=[ModelVersionOut.of(one) for one in shown], total=found.total
        )

    # Before the route with an id, or "compare" would be taken for one.
    @routes.get(PATH + "/compare")
    def compare_model_versions(a: str, b: str) -> VersionComparisonOut:
        return VersionComparisonOut.of(
            registry_comparison.compare(registry, services.runs, services.evaluations, a, b)
        )

    @routes.get(PATH + "/{id}")
    def read_model_version(id: str) -> VersionSheetOut:
        return _sheet(services, id)

    @routes.get(PATH + "/{id}/trace")
    def trace_model_version(id: str) -> list[LinkOut]:
        chain = registry.tracer.trace(registry.get(id))
        return [LinkOut.of(link) for link in chain]


def _add_changing(routes: APIRouter, services: Services) -> None:
    registry = services.registry

    @routes.post(PATH, status_code=201)
    def keep_checkpoint(asked: CheckpointIn) -> ModelVersionOut:
        return ModelVersionOut.of(registry.keep_checkpoint(asked.run, asked.step, WHO, asked.name))

    @routes.patch(PATH + "/{id}")
    def edit_model_version(id: str, asked: VersionEdit) -> ModelVersionOut:
        edit = Edit(asked.stage, asked.tags, asked.notes, asked.name)
        entry = registry.edit(id, edit, WHO, asked.revision)
        return ModelVersionOut.of(registry.set_current(entry.key, WHO) if asked.current else entry)

    @routes.post(PATH + "/{name}/rollback")
    def roll_back_model(name: str) -> ModelVersionOut:
        return ModelVersionOut.of(registry.roll_back(name, WHO))

    @routes.delete(PATH + "/{id}")
    def delete_model_version(id: str, confirmed: bool = False) -> TrashedVersionOut:
        return TrashedVersionOut(item=registry.delete(id, WHO, confirmed=confirmed))


def _add_trash(routes: APIRouter, services: Services) -> None:
    registry = services.registry

    @routes.get(TRASH)
    def list_trash() -> TrashOut:
        there = registry.trash.list()
        return TrashOut(
            items=[TrashedOut.of(one) for one in there], bytes=sum(one.bytes for one in there)
        )

    @routes.post(TRASH + "/{id}/restore", status_code=204)
    def restore_from_trash(id: str) -> Response:
        registry.restore(id, WHO)
        return Response(status_code=204)

    @routes.delete(TRASH)
    def empty_trash() -> EmptiedOut:
        return EmptiedOut(bytes=registry.trash.empty())

    @routes.delete(TRASH + "/{id}")
    def delete_for_good(id: str) -> EmptiedOut:
        return EmptiedOut(bytes=registry.trash.empty(id))


def _sheet(services: Services, ref: str) -> VersionSheetOut:
    registry = services.registry
    entry = registry.get(ref)
    files = registry.files(entry.key)
    return VersionSheetOut.with_all(
        entry,
        registry_comparison.settings(services.runs, entry),
        (files.now, files.changes),
        registry.tracer.trace(entry),
        registry.needs(entry.key),
        registry_comparison.figures(services.evaluations, entry),
        registry.history(entry.key),
    )
