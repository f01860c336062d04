"""A conversation as the page draws it: pure functions from messages to what `chat.js` needs.

What is called `html` here was made safe by `answers_html`; everything else is drawn as text.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any
from zlib import crc32

from easytune.i18n import t
from easytune.services.answer import Answer
from easytune.services.conversations import Conversation, Message, Summary
from easytune.webui.answers_html import Growing, render

WARN_AT = 0.85
"""Share of the context from which on the page warns."""
STARTERS = ("chat.starter.capital", "chat.starter.sum", "chat.starter.opposite")
Drawn = dict[str, Any]


def messages(
    conversation: Conversation | None,
    keep: int | None,
    lang: str,
    names: Mapping[str, str],
    is_busy: bool = False,
) -> Drawn:
    """Return the conversation to draw; `keep` leaves out what comes after so many messages.

    `names`: what people call the models, by their ids. `is_busy`: an answer is being written, so
    nothing can be done with the messages.
    """
    if conversation is None or not conversation.messages:
        return {"id": conversation.id if conversation else "", "items": [], **_empty(lang)}
    shown = conversation.messages[:keep]
    items, model = [], ""
    is_mixed = len({m.model for m in shown if m.role == "assistant" and m.model}) > 1
    for place, message in enumerate(shown):
        item = _item(message, lang)
        if message.role == "assistant" and message.model and message.model != model:
            if is_mixed:
                item["marker"] = t(
                    "chat.switched", lang, model=names.get(message.model, message.model)
                )
            model = message.model
        if is_busy:
            item["actions"] = [name for name in item["actions"] if name == "copy"]
        elif place == len(shown) - 1:
            item["actions"] += _last_actions(message)
        items.append(item | {"key": _key(item)})
    return {"id": conversation.id, "items": items, "words": _words(lang)}


def is_failed(message: Message) -> bool:
    """Tell whether this answer ended in an error before it said anything."""
    return bool(message.details.get("code")) and not (message.content or message.thinking)


def failure(code: str, values: dict[str, Any], lang: str) -> str:
    """Return the sentence for a failed answer."""
    return t(f"error.{code}", lang, **values)


def statistics(details: dict[str, Any], lang: str) -> str:
    """Return the line under an answer: tokens, speed, time to the first token."""
    names = ("tokens", "prompt_tokens", "tokens_per_second", "first_token_seconds")
    tokens, prompt, speed, first = (_number(details, name) for name in names)
    parts = []
    if tokens:
        parts.append(t("chat.stat_tokens", lang, tokens=f"{tokens:,}"))
    if speed:
        parts.append(t("chat.stat_speed", lang, speed=_figure(speed)))
    if first is not None:
        parts.append(t("chat.stat_first", lang, seconds=f"{first:.2f}"))
    if prompt:
        parts.append(t("chat.stat_prompt", lang, tokens=f"{prompt:,}"))
    return " · ".join(parts)


def context_use(conversation: Conversation | None, context: int | None, lang: str) -> str:
    """Return in HTML the warning that the conversation soon fills what the model can read."""
    last = (
        next((m for m in reversed(conversation.messages) if m.details), None)
        if (conversation)
        else None
    )
    if last is None or not context:
        return ""
    used = (_number(last.details, "prompt_tokens") or 0) + (_number(last.details, "tokens") or 0)
    if _number(last.details, "dropped"):
        told = t("chat.context_full", lang, context=f"{context:,}")
    elif used >= WARN_AT * context:
        share = min(100, round(100 * used / context))
        told = t("chat.context", lang, share=share, context=f"{context:,}")
    else:
        return ""
    return f'<p class="et-chat-use" role="status">{escape(told)}</p>'


def summaries(found: Sequence[Summary], chosen: str, search: str, lang: str) -> Drawn:
    """Return the list of conversations to draw."""
    rows = [
        {
            "id": one.id,
            "title": one.title or t("chat.untitled", lang),
            "note": f"{one.updated.astimezone():%Y-%m-%d %H:%M}",
        }
        for one in found
    ]
    names = ("rename", "delete", "delete_really", "more", "export_markdown", "export_json",
             "export_jsonl")  # fmt: skip
    words = {name: t(f"chat.{name}", lang) for name in names}
    words["keep"] = t("data.collect.ask", lang)
    empty = "chat.none_found" if search.strip() else "chat.none_yet"
    return {"rows": rows, "chosen": chosen, "words": words, "empty": t(empty, lang)}


class Live:
    """Draws an answer while it is written."""

    def __init__(self, lang: str, before: str = "") -> None:
        """Begin to draw; `before` is an answer that is gone on with."""
        self._lang = lang
        self._before = before
        self._answer, self._thinking = Growing(), Growing()

    def drawn(self, answer: Answer) -> Drawn:
        """Return what to show now."""
        done, last = self._answer.grown(self._before + answer.text)
        thought, thinking = self._thinking.grown(answer.thinking)
        return {
            "state": answer.state,
            "line": self._line(answer),
            "share": answer.share if answer.state == "loading" else None,
            "thought": thought, "thinking": thinking,
            "done": done, "last": last,
            "words": {"thinking": t("chat.thinking", self._lang)},
        }  # fmt: skip

    def _line(self, answer: Answer) -> str:
        match answer.state:
            case "waiting" if answer.position:
                return t("chat.live.queued", self._lang, position=answer.position)
            case "loading":
                return loading(answer.phase, answer.share, self._lang)
            case "waiting" | "reading":
                return t(f"chat.live.{answer.state}", self._lang)
        figures = {"tokens": answer.tokens, "tokens_per_second": answer.tokens_per_second,
                   "first_token_seconds": answer.first_token_seconds}  # fmt: skip
        return statistics(figures, self._lang)


def elsewhere(lang: str) -> Drawn:
    """Return what a page shows while another one is given an answer in this conversation."""
    return {"state": "elsewhere", "line": t("chat.live.elsewhere", lang), "done": [], "last": ""}


def loading(phase: str, share: float | None, lang: str) -> str:
    """Return what loading does now, and how far it has come."""
    doing = t(f"chat.phase.{phase or 'importing'}", lang)
    return doing if share is None else f"{doing} {share:.0%}"


def _item(message: Message, lang: str) -> Drawn:
    item: Drawn = {"id": message.id, "role": message.role, "source": message.content}
    if message.role == "user":
        return item | {"actions": ["copy", "edit"]}
    notes = []
    if dropped := _number(message.details, "dropped"):
        notes.append(t("chat.dropped", lang, count=dropped))
    if reason := _how_it_ended(message, lang):
        notes.append(reason)
    return item | {
        "html": render(message.content) if message.content else "",
        "thinking": render(message.thinking) if message.thinking else "",
        "statistics": statistics(message.details, lang),
        "notes": notes,
        "failure": _failed(message, lang),
        "actions": ["copy", "keep"] if message.content else [],
    }


def _how_it_ended(message: Message, lang: str) -> str:
    reason = message.details.get("reason")
    return t(f"chat.ended.{reason}", lang) if reason in ("length", "cancelled") else ""


def _failed(message: Message, lang: str) -> str:
    code, values = message.details.get("code"), message.details.get("values")
    if not isinstance(code, str) or not code:
        return ""
    return failure(code, values if isinstance(values, dict) else {}, lang)


def _last_actions(message: Message) -> list[str]:
    """Return what can be done with the end of a conversation."""
    if message.role == "user" or is_failed(message):
        return ["retry", "undo"]
    can_go_on = message.details.get("reason") in ("length", "cancelled", "failed")
    return [*(["continue"] if can_go_on else []), "regenerate", "undo"]


def _empty(lang: str) -> Drawn:
    return {
        "empty": {
            "title": t("chat.empty_title", lang),
            "text": t("chat.empty_text", lang),
            "starters": [t(key, lang) for key in STARTERS],
        },
        "words": _words(lang),
    }


def _words(lang: str) -> dict[str, str]:
    names = ("copy", "edit", "retry", "undo", "continue", "regenerate", "thinking", "send_edit",
             "cancel")  # fmt: skip
    return {name: t(f"chat.{name}", lang) for name in names} | {
        "keep": t("data.collect.corrected", lang)
    }


def _key(item: Drawn) -> str:
    # By content: what has not changed keeps its place in the page, with what was opened in it.
    return f"{item['id']}-{crc32(repr(item).encode()):08x}"


def _number(details: dict[str, Any], name: str) -> float | None:
    """Return a figure of an answer; an imported conversation may hold anything."""
    value = details.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _figure(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"
