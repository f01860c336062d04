"""Texts that the browser translates itself, so that switching needs neither reload nor server.

Gradio gets every static text as a key (`et_` and the key in `locales/`) with a dictionary per
language. What the server writes (toasts, run state, errors) goes through `easytune.i18n.t`.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any

import gradio as gr
from gradio.i18n import I18nData

from easytune import config, deployment, evaluation, export, generation, i18n, settings
from easytune.data.steps.options import Steps
from easytune.options import Option, declared

STATIC_SECTIONS = (
    "app.", "monitor.", "form.", "train.", "option.", "data.", "chat.", "compare.", "settings.",
    "datasets.", "dataset_work.", "steps.", "guide.", "costs.", "evaluate.", "results.", "export.",
    "deploy.", "inspection.form.", "models.view", "models.search",
)  # fmt: skip
GRADIO_LOCALES = {"zh": "zh-CN"}
_translator = gr.I18n()


def label(key: str) -> I18nData:
    """Return a text of `locales/` that follows the language switch in the browser."""
    return _translator(f"et_{key}")


def button_update(key: str, visible: bool) -> dict[str, Any]:
    """Return an update that shows or hides a button.

    The text goes along, or the button forgets that it follows the language. As a string: in an
    update, Gradio does not turn the object into what the browser translates.
    """
    return gr.update(visible=visible, value=str(label(key)))


def option_label(option: Option) -> I18nData:
    """Return the label of an option."""
    return label(f"option.{option.path}.label")


def option_help(option: Option) -> I18nData:
    """Return the tooltip of an option."""
    return label(f"option.{option.path}.help")


def translations() -> gr.I18n:
    """Return all static texts in all languages, as Gradio wants them."""
    return gr.I18n(**{gradio_locale(lang): _dictionary(lang) for lang in i18n.languages()})


def gradio_locale(lang: str) -> str:
    """Return Gradio's name for a language of ours."""
    return GRADIO_LOCALES.get(lang, lang)


def all_options() -> Iterator[Option]:
    """Yield every option of every config that has a form."""
    yield from config.options()
    yield from generation.options()
    yield from evaluation.options()
    yield from deployment.options()
    yield from export.options()
    yield from settings.options()
    yield from declared(Steps)


@cache
def option_texts() -> dict[str, str]:
    """Return the English texts of all options, from their declaration."""
    texts: dict[str, str] = {}
    for option in all_options():
        texts[f"option.{option.path}.label"] = option.label
        texts[f"option.{option.path}.help"] = option.help
    return texts


def option_name(path: str, lang: str) -> str:
    """Return the label of the option at `section.name`, for texts the server writes."""
    key = f"option.{path}.label"
    return i18n.texts(lang).get(key) or option_texts().get(key, path)


def option_value(path: str, value: object, lang: str) -> str:
    """Return the value of an option as people write it, for texts the server writes."""
    match value:
        case None | "" | ():
            return i18n.t("monitor.none", lang)
        case dict() if not value:
            return i18n.t("monitor.none", lang)
        case tuple() | list():
            return ", ".join(str(one) for one in value)
        case bool():
            return i18n.t(f"monitor.{'on' if value else 'off'}", lang)
        case float():
            return f"{value:.6g}"
    return i18n.texts(lang).get(f"form.choice.{path}.{value}", str(value))


def _dictionary(lang: str) -> dict[str, str]:
    english = option_texts() | i18n.texts(i18n.DEFAULT_LANGUAGE)
    chosen = english | i18n.texts(lang)
    return {f"et_{key}": text for key, text in chosen.items() if key.startswith(STATIC_SECTIONS)}
