"""Stands in for `Chat` where a test is about what is done with answers, not about answering."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from easytune import wire
from easytune.inference_errors import ModelUnknown
from easytune.services.catalogue import Model
from easytune.services.chat import Answering, Chat, HeldModel
from easytune.services.questions import Question, Update

Reply = str | tuple[str, dict[str, Any]]
"""An answer, or the code and values of a failure."""


class StandInAnswering(Answering):
    """Says each answer word by word."""

    def __init__(self, number: int, owner: str, questions: Sequence[Question]) -> None:
        self.id = str(number)
        self.owner = owner
        self.questions = tuple(questions)
        self.replies: list[Reply] = []
        self.word_seconds = 0.0
        self._stopped_places: set[int] = set()

    def updates(self, every: float = 0.05) -> Iterator[list[Update]]:
        for place, reply in enumerate(self.replies):
            for update in self._said(place, reply):
                yield [update]
                time.sleep(self.word_seconds)

    def stop(self, column: int | None = None) -> None:
        self._stopped_places |= set(range(len(self.questions))) if column is None else {column}

    def close(self) -> None:
        self.stop()

    def _said(self, place: int, reply: Reply) -> Iterator[Update]:
        if not isinstance(reply, str):
            code, values = reply
            yield wire.Ended(
                request=self.id, column=place, reason="failed", code=code, values=values
            )
            return
        yield wire.Began(request=self.id, column=place, prompt_tokens=3, limit=99)
        words = reply.split(" ")
        for number, word in enumerate(words):
            if place in self._stopped_places:
                yield self._ended(place, "cancelled", number)
                return
            text = word if number == 0 else f" {word}"
            yield wire.Piece(request=self.id, column=place, text=text, tokens=number + 1)
        yield self._ended(place, "stop", len(words))

    def _ended(self, place: int, reason: wire.EndReason, tokens: int) -> wire.Ended:
        return wire.Ended(
            request=self.id, column=place, reason=reason, prompt_tokens=3,
            completion_tokens=tokens, first_token_seconds=0.1, seconds=0.5,
        )  # fmt: skip


class StandInCatalogue:
    """Knows every model but those called "unknown"."""

    def find(self, model_id: str) -> Model:
        if model_id.startswith("unknown"):
            raise ModelUnknown(model=model_id)
        return Model(
            id=model_id, kind="base", title=f"Model {model_id}", folder=Path("/", model_id),
            base=None, base_name="", size_gb=0.1, modified=datetime.now(UTC),
        )  # fmt: skip

    def base_of(self, model: Model, base: str | None = None) -> Model:
        return self.find(base) if base else model

    def fingerprint(self, model_id: str) -> str:
        return f"weights-of-{model_id}"


class StandInChat:
    """Answers by a function of the question, and remembers what it was asked."""

    def __init__(self, reply: Callable[[Question], Reply]) -> None:
        self.catalogue = StandInCatalogue()
        self.reply = reply
        self.asked: list[tuple[Question, ...]] = []
        self.word_seconds = 0.0
        self._lock = threading.Lock()

    def ask(self, questions: Sequence[Question], owner: str = "") -> Answering:
        with self._lock:
            drawn = [
                replace(q, sampling=q.sampling.model_copy(update={"seed": 1000 + place}))
                if q.sampling.seed is None
                else q
                for place, q in enumerate(questions)
            ]
            self.asked.append(tuple(drawn))
            answering = StandInAnswering(len(self.asked), owner, drawn)
            answering.word_seconds = self.word_seconds
            answering.replies = [self.reply(question) for question in drawn]
            return answering

    def answering(self) -> list[Answering]:
        return []

    def held(self) -> list[HeldModel]:
        return []


def stand_in(reply: Callable[[Question], Reply]) -> tuple[StandInChat, Chat]:
    """Return the same object twice: to look at, and to pass on as a `Chat`."""
    chat = StandInChat(reply)
    return chat, cast("Chat", chat)


def last_words(question: Question) -> str:
    """Reply with the model's name and the question."""
    return f"{question.model} says {question.messages[-1].content}"
