"""Turns facts into words at the edge where the browser is answered."""

from html import escape

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.i18n import t


def sentence(error: EasyTuneError, lang: str) -> str:
    """Return what an error means, and what to do about it."""
    return t(f"error.{error.code()}", lang, **error.values)


def spoken(error: EasyTuneError, lang: str) -> gr.Error:
    """Return the message a visitor sees for an error: a sentence that says what to do."""
    # Gradio renders markup in messages, and a sentence may quote a file.
    said = escape(sentence(error, lang), quote=False)
    return gr.Error(said, title=t("app.problem", lang), print_exception=False)
