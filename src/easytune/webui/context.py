"""What every tab is given: the home folder, the services, and the language of a request."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from easytune import i18n
from easytune.services.dispatch import Dispatcher
from easytune.services.runs import Runs

LANGUAGE_COOKIE = "et_lang"


@dataclass(frozen=True)
class Context:
    """The services behind the page, made once per server."""

    home: Path
    runs: Runs
    dispatcher: Dispatcher
    default_language: str = i18n.DEFAULT_LANGUAGE
    """Language of visitors who have not chosen one: the server's `--lang`."""

    def language_of(self, request: gr.Request | None) -> str:
        """Return the visitor's language: the cookie of the language switch, else the default."""
        chosen = request.cookies.get(LANGUAGE_COOKIE) if request is not None else None
        return chosen if chosen in i18n.languages() else self.default_language
