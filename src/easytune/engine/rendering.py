"""Entry point of a child that renders chat templates: `python -m easytune.engine.rendering`.

A template comes from a stranger and may loop for ever or fill the memory. Here that costs a small
process, which its host ends, and not the host. One JSON object per line in, one out.
"""

import contextlib
import json
import os
import sys
import threading
from typing import Any

from easytune.data.chat_template import ChatTemplate, RenderFailed
from easytune.data.rows import Message
from easytune.errors import TemplateInvalid

LIMIT_SECONDS = 10.0
_MEMORY_BYTES = 2 << 30


def main() -> None:
    """Answer until standard input closes."""
    _limit_memory()
    known: dict[str, ChatTemplate] = {}
    for line in sys.stdin:
        # The host ends a slow child; this ends it when the host itself is gone.
        watchdog = threading.Timer(LIMIT_SECONDS + 2, os._exit, [1])
        watchdog.daemon = True
        watchdog.start()
        sys.stdout.write(json.dumps(_answer(json.loads(line), known)) + "\n")
        sys.stdout.flush()
        watchdog.cancel()


def _answer(question: dict[str, Any], known: dict[str, ChatTemplate]) -> dict[str, Any]:
    try:
        source = question["source"]
        if source not in known:
            known[source] = ChatTemplate(source, question["special_tokens"])
        template = known[source]
        if "messages" in question:
            return {"text": _render(template, question)}
        return {"supports_system": template.supports_system}
    except TemplateInvalid as problem:
        return {"invalid": problem.reason}
    except RenderFailed as problem:
        return {"failed": str(problem)}
    except MemoryError:
        return {"failed": "MemoryError"}


def _render(template: ChatTemplate, question: dict[str, Any]) -> str:
    turns = [Message(one["role"], one["content"]) for one in question["messages"]]
    turns, thinking = template.fold_system(turns), question["thinking"]
    if not question["continued"]:
        return template.render(turns, add_generation_prompt=True, thinking=thinking)
    begun = turns[-1].content
    if template.has_generation_prompt:
        # What the model had before it when it began this answer, and the answer.
        before = template.render(turns[:-1], add_generation_prompt=True, thinking=thinking)
        return before + begun
    whole = template.render(turns, thinking=thinking)
    place = whole.rfind(begun.strip())
    if place < 0:
        raise RenderFailed("the template changes the answer that should go on")
    return whole[: place + len(begun.strip())]


def _limit_memory() -> None:
    if sys.platform == "win32":
        return
    import resource

    # macOS knows the limit and refuses to set it.
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))


if __name__ == "__main__":
    main()
