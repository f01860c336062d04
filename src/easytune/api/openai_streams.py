"""Answers as OpenAI's clients read them while they grow: one JSON chunk per event."""

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from easytune.api import openai_replies as replies
from easytune.api.following import Followed, failure
from easytune.api.openai_replies import Reply
from easytune.wire import TokenChance

QUIET_SECONDS = 10.0
"""After so long without an event a comment keeps proxies from ending the connection."""
DONE = "data: [DONE]\n\n"
COMMENT = ": still working\n\n"

Parts = Callable[[int, Reply], list[dict[str, Any]]]


class ChatParts:
    """Cuts growing answers into the chunks of chat."""

    def __init__(self, columns: int, with_logprobs: bool) -> None:
        self._with_logprobs = with_logprobs
        self._told = [_Told() for _ in range(columns)]

    def __call__(self, index: int, answer: Reply) -> list[dict[str, Any]]:
        """Return the choices that tell what is new in an answer."""
        told, has_ended = self._told[index], answer.state == "ended"
        delta: dict[str, Any] = {}
        if not told.greeted:
            delta["role"] = "assistant"
            delta["content"] = ""
            told.greeted = True
        if thinking := told.new_thinking(answer.thinking):
            delta["reasoning_content"] = thinking
        if text := told.new_text(answer.text):
            delta["content"] = text
        chances = told.new_chances(answer.chances)
        parts = [_choice(index, delta, self._logprobs(chances))] if delta or chances else []
        if has_ended:
            ended = {"finish_reason": replies.finish_reason(answer)}
            parts.append(_choice(index, {}, None) | ended)
        return parts

    def _logprobs(self, chances: Sequence[TokenChance]) -> dict[str, Any] | None:
        return replies.chat_logprobs(chances).model_dump() if self._with_logprobs else None


class TextParts:
    """Cuts growing texts into chunks."""

    def __init__(self, echoed: Sequence[str], with_logprobs: bool) -> None:
        self._echoed = list(echoed)
        self._with_logprobs = with_logprobs
        self._told = [_Told() for _ in echoed]

    def __call__(self, index: int, answer: Reply) -> list[dict[str, Any]]:
        """Return the choices that tell what is new in a text."""
        told = self._told[index]
        offset = len(told.text)
        text = self._echoed[index] + told.new_text(answer.written)
        self._echoed[index] = ""
        chances = told.new_chances(answer.chances)
        logprobs = replies.text_logprobs(chances, offset) if self._with_logprobs else None
        reason = replies.finish_reason(answer) if answer.state == "ended" else None
        if not text and not chances and reason is None:
            return []
        choice = replies.TextChoice(index=index, text=text, finish_reason=reason, logprobs=logprobs)
        return [choice.model_dump()]


class Chunks:
    """The events of one call."""

    def __init__(self, prefix: str, kind: str, model: str, wants_usage: bool) -> None:
        self._head = {
            "id": replies.new_id(prefix),
            "object": kind,
            "created": replies.now(),
            "model": model,
        }
        self._wants_usage = wants_usage

    async def events(
        self, followed: Followed, answers: Sequence[Reply], parts: Parts, choices: int
    ) -> AsyncIterator[str]:
        """Yield every event, as the answers grow; the last one is `[DONE]`, or a failure."""
        last = time.monotonic()
        async for batch in followed.batches():
            for update in batch:
                if problem := failure(update):
                    yield _event(problem.content("en"))
                    return
                answers[update.column].add(update)
            said = self._said(sorted({update.column for update in batch}), answers, parts)
            if not said and time.monotonic() - last > QUIET_SECONDS:
                said = [COMMENT]
            for event in said:
                last = time.monotonic()
                yield event
        if self._wants_usage:
            used = replies.usage(answers, choices).model_dump()
            yield _event({**self._head, "choices": [], "usage": used})
        yield DONE

    def _said(self, columns: list[int], answers: Sequence[Reply], parts: Parts) -> list[str]:
        chosen = [c for c in columns if answers[c].state not in ("waiting", "loading")]
        found = [part for column in chosen for part in parts(column, answers[column])]
        # OpenAI sends an empty count with every chunk when one was asked for.
        usage = {"usage": None} if self._wants_usage else {}
        return [_event({**self._head, "choices": [part], **usage}) for part in found]


class _Told:
    """How much of an answer a client has been sent."""

    def __init__(self) -> None:
        self.greeted = False
        self.text = ""
        self._thinking = ""
        self._chances = 0

    def new_text(self, text: str) -> str:
        new = text[len(self.text) :] if text.startswith(self.text) else ""
        self.text += new
        return new

    def new_thinking(self, thinking: str) -> str:
        new = thinking[len(self._thinking) :] if thinking.startswith(self._thinking) else ""
        self._thinking += new
        return new

    def new_chances(self, chances: Sequence[TokenChance]) -> Sequence[TokenChance]:
        new = chances[self._chances :]
        self._chances = len(chances)
        return new


def _choice(index: int, delta: dict[str, Any], logprobs: dict[str, Any] | None) -> dict[str, Any]:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"
