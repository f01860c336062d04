"""From a conversation to token ids: chat template, what fits the context, and what is dropped."""

import json
import queue
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, Any

from easytune.data.chat_template import ChatTemplate
from easytune.data.tokenizer import ModelTokenizer
from easytune.engine.rendering import LIMIT_SECONDS
from easytune.errors import TemplateInvalid
from easytune.inference_errors import (
    ConversationUnrenderable,
    PromptEmpty,
    PromptTooLong,
    TemplateTooSlow,
)
from easytune.wire import Column, Turn

_THINKING = {"auto": None, "on": True, "off": False}
_OPEN, _CLOSE = "<think>", "</think>"


@dataclass(frozen=True)
class Prompt:
    """What a model gets to read for one column.

    `dropped` messages were left out so that `limit` new tokens fit. `goes_on` tells that the
    answer begins in the middle of a text, where a leading space counts.
    """

    ids: tuple[int, ...]
    limit: int
    dropped: int = 0
    opens_thinking: bool = False
    goes_on: bool = False


class Prompter:
    """Makes prompts for one base model."""

    def __init__(self, tokenizer: ModelTokenizer, context: int | None) -> None:
        self.tokenizer, self.context = tokenizer, context
        self.renderer = Renderer()

    def supports_system(self, template: ChatTemplate) -> bool:
        """Tell whether a template writes system messages; unknown counts as yes."""
        return self.renderer.supports_system(template)

    def prompt(self, column: Column, template: ChatTemplate | TemplateInvalid) -> Prompt:
        """Return the prompt of a column.

        Raises PromptEmpty, PromptTooLong, TemplateInvalid, TemplateTooSlow or
        ConversationUnrenderable.
        """
        if column.prompt is not None:
            return self._plain(column)
        if not column.messages or not any(turn.content.strip() for turn in column.messages[-1:]):
            raise PromptEmpty()
        if isinstance(template, TemplateInvalid):
            raise template
        return self._conversation(column, template)

    def _plain(self, column: Column) -> Prompt:
        text = column.prompt or ""
        ids = self.tokenizer.backend.encode(text).ids
        if not text or not ids:
            raise PromptEmpty()
        return Prompt(tuple(ids), self._limit(len(ids), column), goes_on=True)

    def _conversation(self, column: Column, template: ChatTemplate) -> Prompt:
        ways = _ways(column.messages)
        room = self._room(column)
        first, last = 0, len(ways) - 1
        found = self._rendered(column, ways[0], template)
        if room is not None and len(found[0]) > room:
            # The fewest dropped messages that leave room: prompts only get shorter.
            first = 1 if last else 0
            while first < last:
                middle = (first + last) // 2
                fits = len(self._rendered(column, ways[middle], template)[0]) <= room
                first, last = (first, middle) if fits else (middle + 1, last)
            found = self._rendered(column, ways[first], template)
        ids, text = found
        return Prompt(
            tuple(ids),
            self._limit(len(ids), column),
            dropped=len(column.messages) - len(ways[first]),
            opens_thinking=_opens_thinking(text, column),
            goes_on=column.continued,
        )

    def _room(self, column: Column) -> int | None:
        """Return the tokens a prompt may have so that a fair answer still fits."""
        if self.context is None:
            return None
        return self.context - min(column.sampling.max_new_tokens, self.context // 4)

    def _limit(self, tokens: int, column: Column) -> int:
        wanted = column.sampling.max_new_tokens
        if self.context is None:
            return wanted
        if tokens >= self.context:
            raise PromptTooLong(tokens=tokens, context=self.context)
        return min(wanted, self.context - tokens)

    def _rendered(
        self, column: Column, turns: Sequence[Turn], template: ChatTemplate
    ) -> tuple[list[int], str]:
        thinking = _THINKING[column.sampling.thinking]
        text = self.renderer.render(template, turns, thinking, column.continued)
        return self.tokenizer.backend.encode(text, add_special_tokens=False).ids, text


class Renderer:
    """Renders templates in a child process that is given up when it takes too long."""

    def __init__(self, seconds: float = LIMIT_SECONDS) -> None:
        self._seconds = seconds
        # Started now: its imports are done by the time the model is loaded.
        self._child: _Child | None = _Child()

    def render(
        self, template: ChatTemplate, turns: Sequence[Turn], thinking: bool | None, continued: bool
    ) -> str:
        """Return the text of a conversation. Raises as `Prompter.prompt`."""
        messages = [turn.model_dump() for turn in turns]
        more = {"messages": messages, "thinking": thinking, "continued": continued}
        answer = self._ask(template, more)
        if "invalid" in answer:
            raise TemplateInvalid(reason=answer["invalid"])
        if "failed" in answer:
            raise ConversationUnrenderable(reason=answer["failed"].rstrip(" .:"))
        return answer["text"]

    def supports_system(self, template: ChatTemplate) -> bool:
        """Tell whether a template writes system messages; True when it cannot tell in time."""
        try:
            return bool(self._ask(template, {}).get("supports_system", True))
        except (TemplateTooSlow, ConversationUnrenderable):
            return True

    def close(self) -> None:
        """End the child."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def _ask(self, template: ChatTemplate, more: dict[str, Any]) -> dict[str, Any]:
        question = {"source": template.source, "special_tokens": template.special_tokens} | more
        if self._child is None or not self._child.is_alive():
            self._child = _Child()
        try:
            answer = self._child.ask(question, self._seconds)
        except queue.Empty:
            self.close()
            raise TemplateTooSlow(seconds=self._seconds) from None
        if answer is None:
            self.close()
            raise ConversationUnrenderable(reason="MemoryError")
        return answer


class _Child:
    """The rendering process, and a thread that waits for its answers."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "easytune.engine.rendering"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        assert self._process.stdout is not None
        threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True).start()

    def ask(self, question: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """Return the answer, None when the child died of it. Raises queue.Empty when slow."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except OSError:
            return None
        line = self._answers.get(timeout=seconds)
        return None if line is None else json.loads(line)

    def is_alive(self) -> bool:
        """Tell whether the child can be asked."""
        return self._process.poll() is None

    def end(self) -> None:
        """Kill the child."""
        self._process.kill()
        self._process.wait()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._answers.put(line)
        self._answers.put(None)


def _ways(messages: Sequence[Turn]) -> list[list[Turn]]:
    """Return the conversation whole, then with ever more of its oldest questions left out.

    The system message and the last question stay; questions go together with their answers.
    """
    head = list(messages[:1]) if messages[0].role == "system" and len(messages) > 1 else []
    body = list(messages[len(head) :])
    cuts = [place for place, turn in enumerate(body) if place and turn.role == "user"]
    return [list(messages), *([*head, *body[place:]] for place in cuts)]


def _opens_thinking(text: str, column: Column) -> bool:
    """Tell whether the answer begins inside a thinking block."""
    if not column.continued:
        return text.rstrip().endswith(_OPEN)
    begun = column.messages[-1].content
    before = text[: len(text) - len(begun)]
    opened = max(begun.rfind(_OPEN), 0 if before.rstrip().endswith(_OPEN) else -1)
    return opened >= 0 and begun.rfind(_CLOSE) < opened
