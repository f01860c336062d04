"""Telling which column plays which part, with the first rows as what they would become."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import gradio as gr

from easytune.data import formats, reading
from easytune.data.conversation import Content
from easytune.data.rows import Problem
from easytune.i18n import t
from easytune.webui.column_mapping import ROLES
from easytune.webui.language import label

_LONGEST = 600
_GUESSES = {
    "prompt": ("prompt", "question", "query", "instruction", "input", "ask", "user", "q", "问题"),
    "response": ("response", "answer", "output", "completion", "reply", "target", "a", "答案",
                 "回答"),
    "system": ("system", "system_prompt"),
    "messages": ("messages", "conversations", "conversation", "dialog", "dialogue", "turns"),
    "text": ("text", "content", "body", "document"),
}  # fmt: skip


class MappingForm:
    """A choice of column per role, and the example below."""

    def __init__(self) -> None:
        """Build the form here in the layout."""
        with gr.Column(elem_id="data-mapping"):
            self.intro = gr.HTML("", apply_default_css=False, elem_id="data-mapping-intro")
            with gr.Row(elem_classes=["et-form-grid"]):
                self.roles = [_role(role) for role in ROLES]
        self.example = gr.HTML("", apply_default_css=False, elem_id="data-example")

    def offer(self, columns: Sequence[str], is_needed: bool, lang: str) -> list[Any]:
        """Return updates of `intro` and `roles`: the columns found, guesses where one is needed."""
        guessed = guess(columns) if is_needed else {}
        said = t(f"datasets.mapping.{'needed' if is_needed else 'known'}", lang)
        shown = [gr.update(choices=[*columns], value=guessed.get(role)) for role in ROLES]
        return [f'<p class="data-hint">{escape(said)}</p>', *shown]


def mapping(*columns: str | None) -> dict[str, str]:
    """Return role to column from what the choices hold."""
    return {role: name for role, name in zip(ROLES, columns, strict=True) if name}


def guess(columns: Sequence[str]) -> dict[str, str]:
    """Return the columns whose name tells what they hold: a conversation, a pair, or a text."""
    known = {name.casefold().strip(): name for name in columns}
    found = {
        role: known[word] for role, words in _GUESSES.items()
        for word in reversed(words) if word in known
    }  # fmt: skip
    for alone in ("messages", "text"):
        if alone in found and not {"prompt", "response"} <= set(found):
            return {alone: found[alone]}
    return {role: found[role] for role in ("prompt", "response", "system") if role in found}


def examples(values: Sequence[Any], columns: Mapping[str, str], lang: str) -> str:
    """Return what rows become with a mapping by hand, as HTML."""
    if not columns:
        said = escape(t("datasets.mapping.choose", lang))
        return f'<div class="et-empty data-short">{said}</div>'
    layout = formats.mapped_layout(columns)
    return drawn([reading.example(value, layout) for value in values], lang)


def drawn(contents: Sequence[Content | Problem], lang: str) -> str:
    """Return rows as short conversations, or why they cannot be used, as HTML."""
    cards = "".join(f'<div class="data-sample">{_content(one, lang)}</div>' for one in contents)
    title = escape(t("datasets.import.examples", lang))
    return f'<h4>{title}</h4><div class="data-samples">{cards}</div>' if cards else ""


def _content(content: Content | Problem, lang: str) -> str:
    if isinstance(content, Problem):
        said = t(f"data.problem.{content.code}", lang, **content.placeholders)
        return f'<p class="data-said">{escape(said)}</p>'
    if content.messages is None:
        return _turn("text", content.text or "", lang)
    return "".join(_turn(one.role, one.content, lang) for one in content.messages[:8])


def _turn(role: str, text: str, lang: str) -> str:
    cut = text if len(text) <= _LONGEST else text[:_LONGEST] + " …"
    name = escape(t(f"datasets.role.{role}", lang))
    return f'<div class="data-turn data-{role}"><small>{name}</small><div>{escape(cut)}</div></div>'


def _role(role: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], value=None, label=label(f"train.columns.{role}"), interactive=True,
        elem_id=f"data-column-{role}",
    )  # fmt: skip
