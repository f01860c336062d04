"""One turn of a conversation: keep the question, ask, show the answer as it grows, keep it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

from easytune.errors import EasyTuneError
from easytune.generation import GenerationConfig
from easytune.inference_errors import ConversationBusy, MessageMissing, PromptEmpty
from easytune.services.answer import Answer
from easytune.services.chat import Answering, Chat, Question
from easytune.services.conversations import Conversation, Conversations, Message
from easytune.webui.chat_view import is_failed
from easytune.webui.pace import Pace
from easytune.wire import Turn

OWNER = "chat"
# With each yield Gradio visits every input of every event that ever ran: more would be jerky.
FRAME_SECONDS = 1 / 10
# Gradio notices that a page was closed only when it is given something.
SIGN_OF_LIFE_SECONDS = 0.25
# Between the question and its answer a page asks twice.
BEGINS_SECONDS = 5.0
Kind = Literal["ask", "edit", "again", "continue"]


@dataclass(frozen=True)
class Wish:
    """What a visitor wants next of a conversation."""

    kind: Kind
    text: str = ""
    message: int = 0
    """Id of the message that is edited."""


@dataclass(frozen=True)
class Choice:
    """Who is asked, and how."""

    model: str
    system: str
    config: GenerationConfig


@dataclass(frozen=True)
class Plan:
    """A turn about to be taken."""

    conversation: Conversation
    keep: int
    """Messages that stay, of those in the store."""
    continued: Message | None = None
    """The answer to go on with."""

    @property
    def history(self) -> tuple[Message, ...]:
        """Return the messages the model is given."""
        return self.conversation.messages[: self.keep]


class Turns:
    """The turns that are being taken; at most one at a time in each conversation."""

    def __init__(self, chat: Chat, conversations: Conversations) -> None:
        self._chat = chat
        self._conversations = conversations
        self._lock = threading.Lock()
        self._busy: dict[str, str] = {}
        self._begun: dict[str, tuple[str, float]] = {}

    def taken_by(self, conversation: str) -> str | None:
        """Return the page that is given an answer in this conversation now, or in a moment."""
        return self._busy.get(conversation) or self._recent().get(conversation, (None,))[0]

    def is_busy(self, conversation: str) -> bool:
        """Tell whether an answer is being written in this conversation."""
        return conversation in self._busy

    def stop(self, conversation: str) -> None:
        """End the answer that is being written in a conversation, whichever page asked for it."""
        for answering in self._chat.answering():
            if answering.owner == _owner(conversation):
                answering.stop()

    @contextmanager
    def alone(self, conversation: str, page: str = "") -> Iterator[None]:
        """Keep others from changing a conversation. Raises ConversationBusy."""
        with self._lock:
            if conversation in self._busy:
                raise ConversationBusy(conversation)
            self._busy[conversation] = page
        try:
            yield
        finally:
            del self._busy[conversation]

    def begin(self, conversation: str, wish: Wish, choice: Choice, page: str) -> Conversation:
        """Keep what a turn begins with: the question, and who is asked how.

        An empty id begins a conversation. Raises PromptEmpty, ConversationMissing, MessageMissing
        and ConversationBusy.
        """
        if wish.kind in ("ask", "edit") and not wish.text.strip():
            raise PromptEmpty
        conversation = conversation or self._conversations.create().id
        with self.alone(conversation, page):
            self._begun = {**self._recent(), conversation: (page, time.monotonic())}
            found = self._conversations.change(
                conversation,
                model=choice.model,
                system=choice.system,
                sampling=choice.config.sampling,
            )
            if wish.kind == "edit":
                self._conversations.truncate(conversation, _place(found, wish.message))
            if wish.kind in ("ask", "edit"):
                return self._conversations.append(conversation, Message("user", wish.text))
            return planned(found, wish.kind).conversation

    def answers(
        self, conversation: str, kind: Kind, config: GenerationConfig, page: str, base: str = ""
    ) -> Iterator[tuple[Answer, bool]]:
        """Answer a turn that was begun: yield the answer as it grows, and whether it is new.

        `base` is another base for an adapter than its own. Closing the iterator ends the answer and
        keeps what there is. What the models cannot do is
        kept as a failed answer. Raises ConversationMissing, MessageMissing and ConversationBusy.
        """
        with self.alone(conversation, page):
            self._begun = {id: one for id, one in self._recent().items() if id != conversation}
            plan = planned(self._conversations.get(conversation), kind)
            answer = Answer()
            yield answer, True
            try:
                yield from self._answered(plan, config, base, answer)
            finally:
                self._keep(plan, answer)
            yield answer, True

    def undone(self, conversation: str) -> tuple[Conversation, str]:
        """Take back the last question with its answer; return the rest, and the question."""
        with self.alone(conversation):
            messages = self._conversations.get(conversation).messages
            place = _last_question(messages)
            return self._conversations.truncate(conversation, place), messages[place].content

    def _recent(self) -> dict[str, tuple[str, float]]:
        """Return the turns whose answer is about to be asked for, with their page."""
        since = time.monotonic() - BEGINS_SECONDS
        return {id: one for id, one in self._begun.items() if one[1] > since}

    def _answered(
        self, plan: Plan, config: GenerationConfig, base: str, answer: Answer
    ) -> Iterator[tuple[Answer, bool]]:
        question = Question(
            model=plan.conversation.model,
            messages=turns(plan.conversation.system, plan.history, plan.continued),
            continued=plan.continued is not None,
            sampling=config.sampling,
            loading=config.loading,
            base=base or None,
        )
        try:
            answering = self._chat.ask([question], owner=_owner(plan.conversation.id))
        except EasyTuneError as error:
            answer.reason, answer.code, answer.values = "failed", error.code(), error.values
            return
        with answering:
            yield from self._frames(plan, answering, answer)

    def _frames(
        self, plan: Plan, answering: Answering, answer: Answer
    ) -> Iterator[tuple[Answer, bool]]:
        pace, is_new = Pace(FRAME_SECONDS), False
        for updates in answering.updates(every=FRAME_SECONDS):
            for update in updates:
                answer.add(update)
            is_new = is_new or bool(updates)
            if pace.is_due if is_new else pace.waited_seconds >= SIGN_OF_LIFE_SECONDS:
                with pace.frame():
                    yield answer, is_new
                is_new = False

    def _keep(self, plan: Plan, answer: Answer) -> None:
        """Keep an answer, unless it failed where a good one is."""
        messages, id = plan.conversation.messages, plan.conversation.id
        message = self._message(plan, answer)
        existing = messages[-1] if plan.continued or len(messages) > plan.keep else None
        nothing_said = not (answer.text or answer.thinking)
        if message is None or (existing and nothing_said and not is_failed(existing)):
            return
        write = self._conversations.replace_last if existing else self._conversations.append
        write(id, message)

    def _message(self, plan: Plan, answer: Answer) -> Message | None:
        """Return the answer as a message; None when nothing was said and nothing failed."""
        before = plan.continued or Message("assistant", "")
        if not (answer.text or answer.thinking or answer.reason == "failed"):
            return None
        details: dict[str, Any] = answer.details()
        if answer.reason is None:
            details["reason"] = "cancelled"
        if answer.reason == "failed":
            details |= {"code": answer.code, "values": answer.values}
        return replace(
            before,
            content=before.content + answer.text,
            thinking=before.thinking + answer.thinking,
            model=plan.conversation.model,
            details=_added(before.details, details),
        )


def planned(conversation: Conversation, kind: Kind) -> Plan:
    """Return what a turn builds on. Raises MessageMissing where there is nothing to build on."""
    messages = conversation.messages
    if kind != "continue":
        return Plan(conversation, _last_question(messages) + 1)
    if not messages or messages[-1].role != "assistant" or is_failed(messages[-1]):
        raise MessageMissing(conversation.id)
    return Plan(conversation, len(messages), continued=messages[-1])


def turns(
    system: str, history: tuple[Message, ...], continued: Message | None = None
) -> tuple[Turn, ...]:
    """Return the conversation a model is given.

    Failed answers are left out; questions that then follow each other become one, because many
    templates want roles to alternate.
    """
    found = [Turn(role="system", content=system)] if system.strip() else []
    for message in history:
        if is_failed(message):
            continue
        content = _thought(message) if message is continued else message.content
        if found and found[-1].role == message.role == "user":
            content = f"{found.pop().content}\n\n{content}"
        found.append(Turn(role=message.role, content=content))
    return tuple(found)


def _thought(message: Message) -> str:
    if not message.thinking:
        return message.content
    closed = f"\n</think>\n\n{message.content}" if message.content else ""
    return f"<think>\n{message.thinking}{closed}"


def _added(before: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Return the figures of an answer that was gone on with."""
    both = dict(now)
    for name in ("tokens", "seconds"):
        both[name] = (before.get(name) or 0) + (now.get(name) or 0)
    for name in ("first_token_seconds", "prompt_tokens"):
        if before.get(name) is not None:
            both[name] = before[name]
    if before and both["seconds"] and both["tokens"]:
        both["tokens_per_second"] = both["tokens"] / both["seconds"]
    return both


def _last_question(messages: tuple[Message, ...]) -> int:
    for place in range(len(messages) - 1, -1, -1):
        if messages[place].role == "user":
            return place
    raise MessageMissing("")


def _place(conversation: Conversation, message: int) -> int:
    for place, known in enumerate(conversation.messages):
        if known.id == message and known.role == "user":
            return place
    raise MessageMissing(conversation.id)


def _owner(conversation: str) -> str:
    return f"{OWNER} {conversation}"
