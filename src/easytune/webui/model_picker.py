"""Which model: the same list wherever one is chosen, in groups, with what tells them apart."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from easytune.i18n import t
from easytune.services.catalogue import Model
from easytune.webui.language import label
from easytune.webui.pickers import size
from easytune.webui.spoken import sentence

DEMO = "demo"
"""The model that is always there."""
MARK = " / "
"""Between a group and a model; `assets/chat.js` makes a heading of what stands before it."""


def build(elem_id: str, **more: Any) -> gr.Dropdown:
    """Build a picker here in the layout; give it its choices when the page opens.

    Its value is the id of a model. A hub id or a folder can be typed too.
    """
    settings: dict[str, Any] = {"label": label("chat.model"), "value": None, **more}
    return gr.Dropdown(
        [], allow_custom_value=True, filterable=True, interactive=True, elem_id=elem_id,
        elem_classes=["et-models"], **settings,
    )  # fmt: skip


def choices(models: Sequence[Model], lang: str) -> list[tuple[str, str]]:
    """Return what a picker offers: a label and an id for each model."""
    return [(line(model, lang), model.id) for model in models]


def line(model: Model, lang: str) -> str:
    """Return a model in one line: group, name, and what tells it from others."""
    group = t(f"chat.kind.{model.kind}", lang)
    parts = [title(model, lang), size(model.size_gb), f"{model.modified.astimezone():%Y-%m-%d}"]
    if model.base_name:
        parts.append(t("chat.on_base", lang, base=model.base or model.base_name))
    if model.problem is not None:
        parts.append(t("chat.unusable", lang))
    return group + MARK + " · ".join(parts)


def title(model: Model, lang: str) -> str:
    """Return a model's name for people."""
    return t("form.choice.demo_model", lang) if model.id == DEMO else model.title


def problem(model: Model, lang: str) -> str:
    """Return why a model cannot be used, in a sentence; empty when it can."""
    return sentence(model.problem, lang) if model.problem is not None else ""
