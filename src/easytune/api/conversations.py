"""The routes about conversations that are kept."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from easytune.api.bodies import Body
from easytune.api.services import Services
from easytune.generation import SamplingSection
from easytune.services import conversations

MOST_LISTED = 1000


class SummaryOut(BaseModel):
    """One line of the list."""

    id: str
    title: str
    updated: datetime
    model: str
    messages: int


class SummariesOut(BaseModel):
    """The reply to `GET /api/conversations`."""

    conversations: list[SummaryOut]


class MessageIn(BaseModel):
    """A message to keep."""

    role: Literal["system", "user", "assistant"]
    content: str
    thinking: str = ""
    model: str = ""

    def kept(self) -> conversations.Message:
        """Return the message as the service keeps it."""
        return conversations.Message(**self.model_dump())


class MessageOut(MessageIn):
    """A message that is kept, with the figures of the answer."""

    id: int
    details: dict[str, Any]


class ConversationIn(Body):
    """A conversation to begin."""

    title: str = ""
    model: str = ""
    system: str = ""
    sampling: SamplingSection = SamplingSection()
    messages: tuple[MessageIn, ...] = ()


class MessagesIn(Body):
    """Messages to add."""

    messages: Annotated[list[MessageIn], Field(min_length=1)]


class ConversationOut(BaseModel):
    """A conversation with all its messages."""

    id: str
    title: str
    created: datetime
    updated: datetime
    model: str
    system: str
    sampling: SamplingSection
    messages: list[MessageOut]


def router(services: Services) -> APIRouter:
    """Return the routes, answered by these services."""
    routes = APIRouter(prefix="/api/conversations", tags=["conversations"])
    kept = services.conversations

    @routes.get("")
    def list_conversations(
        search: str = "", limit: Annotated[int, Query(ge=1, le=MOST_LISTED)] = 200
    ) -> SummariesOut:
        found = kept.list(search, limit)
        return SummariesOut(conversations=[SummaryOut(**vars(line)) for line in found])

    @routes.post("", status_code=201)
    def create_conversation(asked: ConversationIn) -> ConversationOut:
        made = kept.create(asked.model, asked.system, asked.sampling, asked.title)
        if asked.messages:
            made = kept.append(made.id, *(message.kept() for message in asked.messages))
        return _shown(made)

    @routes.get("/{id}")
    def read_conversation(id: str) -> ConversationOut:
        return _shown(kept.get(id))

    @routes.delete("/{id}", status_code=204)
    def delete_conversation(id: str) -> Response:
        kept.get(id)
        kept.delete(id)
        return Response(status_code=204)

    @routes.post("/{id}/messages", status_code=201)
    def append_messages(id: str, asked: MessagesIn) -> ConversationOut:
        return _shown(kept.append(id, *(message.kept() for message in asked.messages)))

    return routes


def _shown(conversation: conversations.Conversation) -> ConversationOut:
    messages = [MessageOut(**vars(message)) for message in conversation.messages]
    return ConversationOut(
        id=conversation.id,
        title=conversation.title,
        created=conversation.created,
        updated=conversation.updated,
        model=conversation.model,
        system=conversation.system,
        sampling=conversation.sampling,
        messages=messages,
    )
