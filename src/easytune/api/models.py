"""The routes about models: what there is, what is in memory, what is being answered."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from easytune.api import problems
from easytune.api.bodies import Body
from easytune.api.languages import preferred
from easytune.api.services import Services
from easytune.generation import LoadingSection
from easytune.services import catalogue
from easytune.services.catalogue import Kind, Model
from easytune.services.chat import Answering, HeldModel
from easytune.wire import Ready


class Problem(BaseModel):
    """Why something cannot be used."""

    code: str
    message: str


class ModelInfo(BaseModel):
    """A model of the catalogue."""

    id: str
    kind: Kind
    title: str
    base: str | None
    base_name: str
    size_gb: float
    modified: datetime
    run: str | None
    step: int | None
    problem: Problem | None


class ModelInfos(BaseModel):
    """The reply to `GET /api/models`."""

    models: list[ModelInfo]


class LoadRequest(Body):
    """Which model to hold in memory, and how."""

    model: str
    base: str | None = None
    loading: LoadingSection = LoadingSection()


class UnloadRequest(Body):
    """Which model to let go: a base model, or one that needs it."""

    model: str


class Held(BaseModel):
    """A base model in memory, or on its way there."""

    id: str
    title: str
    state: str
    phase: str
    share: float | None
    memory_gb: float
    loading: LoadingSection
    ready: Ready | None
    adapters: list[str]
    requests: int
    last_used: datetime
    failure: Problem | None


class AnsweringNow(BaseModel):
    """Answers that are being computed."""

    id: str
    owner: str
    models: list[str]


class GivenBack(BaseModel):
    """What the last unload gave back."""

    model: str
    memory_gb: float


class Status(BaseModel):
    """What the app holds and does."""

    held: list[Held]
    memory_gb: float
    given_back: GivenBack | None
    answering: list[AnsweringNow]


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(prefix="/api", tags=["models"])
    chat = services.chat

    @routes.get("/models")
    def list_all_models(request: Request) -> ModelInfos:
        lang = preferred(request)
        return ModelInfos(models=[_info(model, lang) for model in chat.catalogue.list()])

    @routes.post("/models/load", status_code=202)
    def load_model(asked: LoadRequest, request: Request) -> Status:
        chat.load(asked.model, asked.loading, asked.base)
        return _status(services, preferred(request))

    @routes.post("/models/unload")
    def unload_model(asked: UnloadRequest, request: Request) -> Status:
        chat.unload(_base_id(chat.catalogue, asked.model))
        return _status(services, preferred(request))

    @routes.get("/status")
    def read_status(request: Request) -> Status:
        return _status(services, preferred(request))

    @routes.post("/answering/{id}/stop")
    def stop_answering(id: str, request: Request, column: int | None = None) -> Status:
        chat.stop(id, column)
        return _status(services, preferred(request))

    return routes


def _base_id(models: catalogue.Catalogue, name: str) -> str:
    model = models.find(name)
    return model.base or model.id


def _status(services: Services, lang: str) -> Status:
    held = [_held(model, lang) for model in services.chat.held()]
    back = services.chat.given_back()
    return Status(
        held=held,
        memory_gb=sum(model.memory_gb for model in held),
        given_back=GivenBack(model=back[0], memory_gb=back[1]) if back else None,
        answering=[_now(answering) for answering in services.chat.answering()],
    )


def _info(model: Model, lang: str) -> ModelInfo:
    why = model.problem
    return ModelInfo(
        id=model.id,
        kind=model.kind,
        title=model.title,
        base=model.base,
        base_name=model.base_name,
        size_gb=model.size_gb,
        modified=model.modified,
        run=model.run,
        step=model.step,
        problem=_problem(why.code(), why.values, lang) if why else None,
    )


def _held(model: HeldModel, lang: str) -> Held:
    return Held(
        id=model.id,
        title=model.title,
        state=model.state,
        phase=model.phase,
        share=model.share,
        memory_gb=model.memory_gb,
        loading=model.loading,
        ready=model.ready,
        adapters=list(model.adapters),
        requests=model.requests,
        last_used=model.last_used,
        failure=_problem(*model.failure, lang) if model.failure else None,
    )


def _now(answering: Answering) -> AnsweringNow:
    models = [question.model for question in answering.questions]
    return AnsweringNow(id=answering.id, owner=answering.owner, models=models)


def _problem(code: str, values: dict[str, Any], lang: str) -> Problem:
    content = problems.known(code, values).content(lang)["error"]
    return Problem(code=code, message=content["message"])
