"""Gradio's page, with less work between its launch and its first visitor."""

from typing import Any

import gradio as gr


class Page(gr.Blocks):
    """A page whose description for browsers is drawn up when somebody asks for it.

    Gradio draws it up whenever it may have changed, four times before anybody can ask, and each
    takes as long as building half of the page.
    """

    _description: Any = None

    def draw_up(self) -> Any:
        """Draw up the description, unless that has been done since the page changed; return it."""
        if self._description is None:
            self._description = super().get_config_file()
        return self._description

    @property
    def config(self) -> Any:
        """Return the components, their layout and the events between them, as browsers need it."""
        return self.draw_up()

    @config.setter
    def config(self, value: Any) -> None:
        self._description = value

    def get_config_file(self) -> Any:
        """Return None, which as `config` means: not drawn up since the page has changed."""
        return None

    @property
    def _is_running_in_reload_thread(self) -> bool:
        # To answer this, Gradio imports all of its own command line.
        return False
