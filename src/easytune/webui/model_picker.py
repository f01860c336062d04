"""Which model: the same list wherever one is chosen, in groups, with what tells them apart."""

from collections.abc import Sequence
from typing import Any

import gradio as gr

from easytune import quantities
from easytune.i18n import t
from easytune.services.catalogue import Model
from easytune.webui.language import label
from easytune.webui.spoken import sentence

DEMO = "demo"
"""The model that is always there."""
MARK = " / "
"""Between a model and its group; `assets/chat.js` makes a heading of what stands behind it."""


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


def suggested(models: Sequence[Model]) -> Model | None:
    """Return what somebody most likely wants to take with them: the adapter trained last.

    Where none was trained here, the newest that came from elsewhere; None without any adapter.
    """
    adapters = [one for one in models if one.problem is None and one.kind == "adapter"]
    return next((one for one in adapters if one.run), next(iter(adapters), None))


def meant(models: Sequence[Model], typed: str, lang: str) -> str:
    """Return the id of the model somebody means who typed an id, or how its line begins.

    What no line begins with is returned as it is: a folder, or a model of the hub.
    """
    if not typed or any(model.id == typed for model in models):
        return typed
    begun = (id for text, id in choices(models, lang) if text.lower().startswith(typed.lower()))
    return next(begun, typed)


def bases(models: Sequence[Model], lang: str) -> list[tuple[str, str]]:
    """Return what can be chosen as the base of an adapter; "" leaves it to the adapter."""
    whole = [model for model in models if not model.is_adapter and model.problem is None]
    return [(t("chat.base_automatic", lang), ""), *choices(whole, lang)]


def line(model: Model, lang: str) -> str:
    """Return a model in one line: name, what tells it from others, and its group.

    What tells most comes first: narrow pickers cut the end.
    """
    parts = [title(model, lang)]
    if model.began is None:
        parts.append(f"{model.modified.astimezone():%Y-%m-%d}")
    parts.append(quantities.size(model.size_gb * 1e9))
    if model.base_name:
        parts.append(t("chat.on_base", lang, base=model.base or model.base_name))
    if model.problem is not None:
        parts.append(t("chat.unusable", lang))
    return " · ".join(parts) + MARK + t(f"chat.kind.{model.kind}", lang)


def title(model: Model, lang: str) -> str:
    """Return a model's name for people."""
    if model.id == DEMO:
        return t("form.choice.demo_model", lang)
    if model.began is None:
        return model.title
    step = [t("chat.step", lang, step=f"{model.step:,}")] if model.step is not None else []
    return " · ".join([model.name, *step, f"{model.began.astimezone():%Y-%m-%d %H:%M}"])


def names(models: Sequence[Model], lang: str) -> dict[str, str]:
    """Return id -> name for people."""
    return {model.id: title(model, lang) for model in models}


def problem(model: Model, lang: str) -> str:
    """Return why a model cannot be used, in a sentence; empty when it can."""
    return sentence(model.problem, lang) if model.problem is not None else ""
