"""The routes that OpenAI's clients call."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import Response

from easytune.api import openai_replies as replies
from easytune.api.following import EventStream, Followed, Follower, closing, raise_failed
from easytune.api.openai_replies import (
    ChatCompletion,
    ModelEntry,
    ModelList,
    Reply,
    TextCompletion,
)
from easytune.api.openai_requests import ChatRequest, CompletionRequest
from easytune.api.openai_streams import ChatParts, Chunks, TextParts
from easytune.api.services import Answers
from easytune.services.catalogue import Model
from easytune.services.chat import Answering

OWNER = "api"


def router(services: Answers, follower: Follower) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(prefix="/v1", tags=["openai"])
    chat = services.chat

    @routes.get("/models")
    def list_models() -> ModelList:
        usable = {one.id: one for one in chat.catalogue.list() if one.problem is None}
        listed = [_entry(one) for one in usable.values()]
        for name, model in chat.catalogue.named().items():
            if model in usable:
                listed.append(_entry(replace(usable[model], id=name)))
        return ModelList(data=listed)

    @routes.get("/models/{model:path}")
    def read_model(model: str) -> ModelEntry:
        return _entry(services.model(model))

    @routes.post("/chat/completions", response_model=ChatCompletion)
    async def create_chat_completion(asked: ChatRequest, request: Request) -> object:
        followed = await follower.follow(lambda: _ask(services, asked))
        answers = [Reply() for _ in followed.answering.questions]
        if asked.stream:
            chunks = Chunks("chatcmpl", "chat.completion.chunk", asked.model, asked.wants_usage)
            parts = ChatParts(len(answers), bool(asked.logprobs))
            return await _stream(request, followed, answers, chunks, parts, asked.choices)
        await _whole(request, followed, answers)
        return ChatCompletion(
            id=replies.new_id("chatcmpl"),
            created=replies.now(),
            model=asked.model,
            choices=[
                replies.chat_choice(index, answer, bool(asked.logprobs))
                for index, answer in enumerate(answers)
            ],
            usage=replies.usage(answers, asked.choices),
        )

    @routes.post("/completions", response_model=TextCompletion)
    async def create_completion(asked: CompletionRequest, request: Request) -> object:
        followed = await follower.follow(lambda: _ask(services, asked))
        answers = [Reply() for _ in followed.answering.questions]
        echoed = [q.prompt or "" if asked.echo else "" for q in followed.answering.questions]
        with_logprobs = asked.logprobs is not None
        if asked.stream:
            chunks = Chunks("cmpl", "text_completion", asked.model, asked.wants_usage)
            parts = TextParts(echoed, with_logprobs)
            return await _stream(request, followed, answers, chunks, parts, asked.choices)
        await _whole(request, followed, answers)
        return TextCompletion(
            id=replies.new_id("cmpl"),
            created=replies.now(),
            model=asked.model,
            choices=[
                replies.text_choice(index, answer, echoed[index], with_logprobs)
                for index, answer in enumerate(answers)
            ],
            usage=replies.usage(answers, asked.choices),
        )

    return routes


def _ask(services: Answers, asked: ChatRequest | CompletionRequest) -> Answering:
    defaults = services.chat.catalogue.defaults(services.model(asked.model).id)
    return services.chat.ask(asked.questions(defaults), owner=OWNER)


async def _stream(
    request: Request,
    followed: Followed,
    answers: list[Reply],
    chunks: Chunks,
    parts: ChatParts | TextParts,
    choices: int,
) -> Response:
    """Answer bit by bit. A failure before the first bit still gets a status of its own."""
    try:
        await followed.began(request)
    except BaseException:
        await followed.close()
        raise
    return EventStream(chunks.events(followed, answers, parts, choices), followed)


async def _whole(request: Request, followed: Followed, answers: list[Reply]) -> None:
    """Wait for all answers. Raises ApiProblem when one fails, HungUp when the client goes."""
    async with closing(followed):
        async for batch in followed.batches(request):
            for update in batch:
                raise_failed(update)
                answers[update.column].add(update)


def _entry(model: Model) -> ModelEntry:
    return ModelEntry(id=model.id, created=int(model.modified.timestamp()))
