"""Answers in the shapes OpenAI's clients read."""

import time
import uuid
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from easytune.services.answer import Answer
from easytune.services.questions import Update
from easytune.wire import Piece, TokenChance

FinishReason = Literal["stop", "length"]


class Usage(BaseModel):
    """Tokens read and written."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class TopLogprob(BaseModel):
    """A token that might have come instead."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(TopLogprob):
    """A token of the answer, how likely it was, and its rivals."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(BaseModel):
    """How likely each token of an answer was."""

    content: list[TokenLogprob]


class AssistantMessage(BaseModel):
    """What was answered."""

    role: Literal["assistant"] = "assistant"
    content: str
    reasoning_content: str | None = None


class ChatChoice(BaseModel):
    """One answer."""

    index: int
    message: AssistantMessage
    finish_reason: FinishReason
    logprobs: ChatLogprobs | None = None


class ChatCompletion(BaseModel):
    """The reply to `POST /v1/chat/completions`."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class TextLogprobs(BaseModel):
    """How likely each token of a text was."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class TextChoice(BaseModel):
    """One text."""

    index: int
    text: str
    finish_reason: FinishReason | None
    logprobs: TextLogprobs | None = None


class TextCompletion(BaseModel):
    """The reply to `POST /v1/completions`, whole or a part of it."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | None = None


class ModelEntry(BaseModel):
    """A model as OpenAI's clients list it."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "easytune"


class ModelList(BaseModel):
    """The reply to `GET /v1/models`."""

    object: Literal["list"] = "list"
    data: list[ModelEntry]


class Reply(Answer):
    """An answer, and its text as the model wrote it, thinking and all."""

    def __init__(self) -> None:
        super().__init__()
        self.written = ""

    def add(self, update: Update) -> None:
        """Take in the next update of this column."""
        super().add(update)
        if isinstance(update, Piece):
            self.written += update.text


def new_id(prefix: str) -> str:
    """Return an id nobody has had."""
    return f"{prefix}-{uuid.uuid4().hex}"


def now() -> int:
    """Return the time as clients want it: whole seconds since 1970."""
    return int(time.time())


def finish_reason(answer: Answer) -> FinishReason:
    """Return why an answer ended. One that was stopped from elsewhere is cut, as by a limit."""
    return "stop" if answer.reason == "stop" else "length"


def usage(answers: Sequence[Answer], choices: int) -> Usage:
    """Return the tokens of all answers; a prompt that was answered `choices` times counts once."""
    read = sum(answer.prompt_tokens for answer in answers[::choices])
    written = sum(answer.tokens for answer in answers)
    return Usage(prompt_tokens=read, completion_tokens=written, total_tokens=read + written)


def chat_choice(index: int, answer: Answer, with_logprobs: bool) -> ChatChoice:
    """Return a whole answer."""
    message = AssistantMessage(content=answer.text, reasoning_content=answer.thinking or None)
    return ChatChoice(
        index=index,
        message=message,
        finish_reason=finish_reason(answer),
        logprobs=chat_logprobs(answer.chances) if with_logprobs else None,
    )


def text_choice(index: int, answer: Reply, echoed: str, with_logprobs: bool) -> TextChoice:
    """Return a whole text, after what was `echoed` of the prompt."""
    return TextChoice(
        index=index,
        text=f"{echoed}{answer.written}",
        finish_reason=finish_reason(answer),
        logprobs=text_logprobs(answer.chances, 0) if with_logprobs else None,
    )


def chat_logprobs(chances: Sequence[TokenChance]) -> ChatLogprobs:
    """Return probabilities in the shape of chat."""
    return ChatLogprobs(
        content=[
            TokenLogprob(
                **_chance(chance.token, chance.logprob),
                top_logprobs=[TopLogprob(**_chance(*rival)) for rival in chance.top],
            )
            for chance in chances
        ]
    )


def text_logprobs(chances: Sequence[TokenChance], offset: int) -> TextLogprobs:
    """Return probabilities in the shape of texts; `offset` is where the first token begins."""
    offsets = []
    for chance in chances:
        offsets.append(offset)
        offset += len(chance.token)
    return TextLogprobs(
        tokens=[chance.token for chance in chances],
        token_logprobs=[chance.logprob for chance in chances],
        top_logprobs=[dict(chance.top) for chance in chances],
        text_offset=offsets,
    )


def _chance(token: str, logprob: float) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(token.encode())}
