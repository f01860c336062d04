"""The route that asks several models at once and streams what each of them says."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from easytune.api.bodies import Body
from easytune.api.following import EventStream, Followed, Follower, failure
from easytune.api.languages import preferred
from easytune.api.openai_requests import MOST_CHOICES, over
from easytune.api.problems import ApiProblem
from easytune.api.services import Services
from easytune.generation import LoadingSection, SamplingSection
from easytune.services.chat import Answering, Question, Update
from easytune.services.questions import LoadingModel, Waiting
from easytune.wire import Turn

OWNER = "api"
NAMES = {Waiting: "waiting", LoadingModel: "loading"}


class CompareColumn(BaseModel):
    """One of the models that are asked. What is not given is the model's own default."""

    model: Annotated[str, Field(min_length=1)]
    base: str | None = None
    system: str = ""
    messages: tuple[Turn, ...] | None = None
    sampling: SamplingSection = SamplingSection()
    loading: LoadingSection = LoadingSection()


class CompareRequest(Body):
    """A question to several models: `prompt`, or `messages`, or messages of each column's own."""

    columns: Annotated[list[CompareColumn], Field(min_length=1, max_length=MOST_CHOICES)]
    prompt: str | None = None
    messages: tuple[Turn, ...] = ()


def router(services: Services, follower: Follower) -> APIRouter:
    """Return the route, answered by these services."""
    routes = APIRouter(prefix="/api", tags=["compare"])

    @routes.post("/compare", status_code=200, response_class=EventStream)
    async def compare_models(asked: CompareRequest, request: Request) -> EventStream:
        followed = await follower.follow(lambda: _ask(services, asked))
        return EventStream(_events(followed, preferred(request)), followed)

    return routes


def _ask(services: Services, asked: CompareRequest) -> Answering:
    questions = [_question(services, asked, column) for column in asked.columns]
    return services.chat.ask(questions, owner=OWNER)


def _question(services: Services, asked: CompareRequest, column: CompareColumn) -> Question:
    given = {name: getattr(column.sampling, name) for name in column.sampling.model_fields_set}
    turns = column.messages if column.messages is not None else asked.messages
    if asked.prompt is not None:
        turns = (*turns, Turn(role="user", content=asked.prompt))
    if column.system:
        turns = (Turn(role="system", content=column.system), *turns)
    if not turns:
        raise ApiProblem("error.prompt_empty", code="prompt_empty", param="prompt")
    model = services.model(column.model)
    if column.base is not None:
        services.model(column.base)
    return Question(
        model=column.model,
        messages=turns,
        sampling=over(services.chat.catalogue.defaults(model.id), given),
        loading=column.loading,
        base=column.base,
    )


async def _events(followed: Followed, lang: str) -> AsyncIterator[str]:
    answering = followed.answering
    seeds = [question.sampling.seed for question in answering.questions]
    yield _event("started", {"id": answering.id, "seeds": seeds})
    async for batch in followed.batches():
        for update in batch:
            yield _told(update, lang)
    yield _event("done", {})


def _told(update: Update, lang: str) -> str:
    if isinstance(update, Waiting | LoadingModel):
        return _event(NAMES[type(update)], asdict(update))
    content = update.model_dump(mode="json", exclude={"kind", "request"})
    if problem := failure(update):
        content["message"] = problem.content(lang)["error"]["message"]
    return _event(update.kind, content)


def _event(name: str, content: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(content, ensure_ascii=False)}\n\n"
