"""All evaluations: search, open, rename, delete, and some of them side by side."""

from html import escape
from typing import Any

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.webui import clicks, results_history_view
from easytune.webui import data_figures as figures
from easytune.webui.context import Context
from easytune.webui.language import button_update, label
from easytune.webui.spoken import spoken

LONGEST_TITLE = 80
MOST_PICKED = 6
"""More columns than that no screen holds."""


class HistoryPanel:
    """The components of the list."""

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.chosen = gr.Textbox("", visible="hidden", elem_id="results-chosen")
        self.picked = gr.JSON([], visible="hidden", elem_id="results-picked")
        with gr.Column(elem_id="results-history"):
            gr.Markdown(label("results.history.title"), elem_classes=["results-title"])
            self.search = gr.Textbox(
                "", label=label("results.history.search"), max_lines=1, interactive=True,
                elem_id="results-history-search",
            )  # fmt: skip
            self.table = gr.HTML(
                "", apply_default_css=False, elem_id="results-list", js_on_load=figures.CLICKS
            )
            self._dialogs()
            self.compared = gr.HTML("", apply_default_css=False, elem_id="results-side-by-side")

    def _dialogs(self) -> None:
        with gr.Group(visible=False, elem_classes=["compare-dialog"]) as self.renaming:
            self.title = gr.Textbox(
                "", label=label("results.history.new_title"), max_lines=1,
                max_length=LONGEST_TITLE, interactive=True, elem_id="results-title",
            )  # fmt: skip
            with gr.Row(elem_classes=["et-row"]):
                self.leave = gr.Button(label("results.history.cancel"), size="sm")
                self.rename = gr.Button(
                    label("results.history.rename"), variant="primary", size="sm",
                    elem_id="results-rename",
                )  # fmt: skip
        with gr.Group(visible=False, elem_classes=["compare-dialog"]) as self.deleting:
            self.question = gr.HTML("", padding=True, elem_id="results-delete-question")
            with gr.Row(elem_classes=["et-row"]):
                self.keep = gr.Button(label("monitor.keep"), size="sm")
                self.delete = gr.Button(
                    label("results.history.delete"), variant="stop", size="sm",
                    elem_id="results-delete",
                )  # fmt: skip

    @property
    def dialogs(self) -> list[Any]:
        """Return the two dialogs with their buttons, as `_dialogs_shown` updates them."""
        return [self.renaming, self.deleting, self.leave, self.rename, self.keep, self.delete]


class HistoryHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._evaluations = context.evaluations

    def wire(self, panel: HistoryPanel, evaluation: gr.Textbox) -> dict[str, Any]:
        """Connect the panel; return the event that draws the list again.

        `evaluation` is given the id of one that somebody wants to see.
        """
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        now: dict[str, Any] = {"queue": False, **told}
        listed: dict[str, Any] = {
            "fn": self.listed, "inputs": [panel.search, panel.picked, evaluation],
            "outputs": [panel.table, panel.compared], **now,
        }  # fmt: skip
        asked = [panel.chosen, evaluation, panel.picked, panel.title, panel.question]
        panel.search.input(**listed, trigger_mode="always_last")
        # Queued: only then does Gradio show what an error says.
        panel.table.click(
            self.clicked, panel.picked, [*asked, *panel.dialogs], **(told | clicks.ONE_BY_ONE)
        ).then(**listed)
        gr.on([panel.leave.click, panel.keep.click], _closed, None, panel.dialogs, **now)
        gr.on(
            [panel.rename.click, panel.title.submit], self.renamed, [panel.chosen, panel.title],
            panel.dialogs, **told,
        ).then(**listed)  # fmt: skip
        panel.delete.click(
            self.deleted, [panel.chosen, panel.picked, evaluation],
            [panel.picked, evaluation, *panel.dialogs], **told,
        ).then(**listed)  # fmt: skip
        return listed

    def listed(
        self, request: gr.Request, search: str, picked: list[str] | None, evaluation: str
    ) -> list[str]:
        """Return the list, of all or of those that match, and the chosen ones side by side."""
        lang = self._context.language_of(request)
        wanted, chosen = (search or "").strip(), list(picked or [])
        try:
            found = self._evaluations.list(search=wanted)
            compared = self._evaluations.compare(chosen) if len(chosen) > 1 else None
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        table = results_history_view.table(found, chosen, evaluation, bool(wanted), lang)
        beside = results_history_view.side_by_side(compared, lang) if compared else ""
        hint = t("results.history.pick_more", lang) if len(chosen) == 1 else ""
        return [table, beside or (figures.notice(hint) if hint else "")]

    def clicked(
        self, request: gr.Request, event: gr.EventData, picked: list[str] | None
    ) -> list[Any]:
        """Open an evaluation, choose it for side by side, or ask for its new name or the end."""
        lang, told = self._context.language_of(request), dict(event._data)
        chosen, action = str(told.get("id", "")), str(told.get("work", ""))
        kept = _picked(list(picked or []), chosen) if action == "pick" else list(picked or [])
        if action in ("open", "pick"):
            opened = chosen if action == "open" else gr.skip()
            return [chosen, opened, kept, gr.skip(), gr.skip(), *_closed()]
        try:
            name = self._evaluations.story(chosen).name
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        question = escape(t("results.history.delete_really", lang, title=name))
        boxes = _dialogs_shown(action == "rename", action == "delete")
        return [chosen, gr.skip(), kept, name, question, *boxes]

    def renamed(self, request: gr.Request, chosen: str, title: str) -> list[Any]:
        """Give the chosen evaluation its new name."""
        try:
            self._evaluations.rename(chosen, (title or "").strip()[:LONGEST_TITLE])
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        return _closed()

    def deleted(
        self, request: gr.Request, chosen: str, picked: list[str] | None, evaluation: str
    ) -> list[Any]:
        """Delete the chosen evaluation; it is shown no longer."""
        try:
            self._evaluations.delete(chosen)
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        left = [one for one in picked or [] if one != chosen]
        return [left, "" if evaluation == chosen else gr.skip(), *_closed()]


def _picked(picked: list[str], chosen: str) -> list[str]:
    """Return what is chosen after a click on `chosen`; the oldest goes when there are too many."""
    if chosen in picked:
        return [one for one in picked if one != chosen]
    return [*picked, chosen][-MOST_PICKED:]


def _closed() -> list[Any]:
    return _dialogs_shown(False, False)


def _dialogs_shown(renaming: bool, deleting: bool) -> list[Any]:
    return [
        gr.update(visible=renaming),
        gr.update(visible=deleting),
        button_update("results.history.cancel", True),
        button_update("results.history.rename", True),
        button_update("monitor.keep", True),
        button_update("results.history.delete", True),
    ]
