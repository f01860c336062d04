"""The comparisons made so far: search, open again, rename, delete."""

from html import escape
from typing import Any

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.comparison import Summary
from easytune.webui.context import Context
from easytune.webui.language import label
from easytune.webui.spoken import spoken

COLUMNS = ("title", "kind", "models", "prompts", "when")
ACTIONS = ("open", "rename", "delete")
LONGEST_TITLE = 200


class HistoryPanel:
    """The components of the list."""

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.chosen = gr.Textbox("", visible="hidden", elem_id="compare-chosen")
        with gr.Column(elem_id="compare-history"):
            self.search = gr.Textbox(
                "", label=label("compare.history.search"), elem_id="compare-search", max_lines=1
            )
            self.table = gr.HTML(
                "", apply_default_css=False, elem_id="compare-list",
                js_on_load="easytune.compareClicks(element, trigger);",
            )  # fmt: skip
            with gr.Group(visible=False, elem_classes=["compare-dialog"]) as self.renaming:
                self.title = gr.Textbox(
                    "", label=label("compare.history.new_title"), max_lines=1,
                    elem_id="compare-title",
                )  # fmt: skip
                with gr.Row(elem_classes=["et-row"]):
                    self.leave = gr.Button(label("compare.history.cancel"), size="sm")
                    self.rename = gr.Button(
                        label("compare.history.rename"), variant="primary", size="sm",
                        elem_id="compare-rename",
                    )  # fmt: skip
            with gr.Group(visible=False, elem_classes=["compare-dialog"]) as self.deleting:
                self.question = gr.HTML("", padding=True, elem_id="compare-delete-question")
                with gr.Row(elem_classes=["et-row"]):
                    self.keep = gr.Button(label("monitor.keep"), size="sm")
                    self.delete = gr.Button(
                        label("compare.history.delete"), variant="stop", size="sm",
                        elem_id="compare-delete",
                    )  # fmt: skip


class HistoryHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._comparisons = context.comparisons

    def wire(self, panel: HistoryPanel, opened: gr.Textbox, refreshing: list[Any]) -> None:
        """Connect the panel.

        `opened` is given the id of a comparison that somebody wants to see; `refreshing` are the
        events after which the list is drawn again.
        """
        now: dict[str, Any] = {
            "queue": False, "show_progress": "hidden", "api_visibility": "private",
        }  # fmt: skip
        listed: dict[str, Any] = {
            "fn": self.listed, "inputs": panel.search, "outputs": panel.table, **now,
        }  # fmt: skip
        # Queued: only then does Gradio show what an error says.
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        boxes = [panel.renaming, panel.deleting]
        clicked = [panel.chosen, opened, *boxes, panel.title, panel.question]
        # One event for all, so that the answer to an older question cannot come last.
        gr.on([panel.search.change, *refreshing], **listed, trigger_mode="always_last")
        panel.table.click(self.clicked, None, clicked, **told)
        gr.on([panel.leave.click, panel.keep.click], _closed, None, boxes, **now)
        renamed: dict[str, Any] = {
            "fn": self.renamed, "inputs": [panel.chosen, panel.title], "outputs": boxes, **told,
        }  # fmt: skip
        gr.on([panel.rename.click, panel.title.submit], **renamed).then(**listed)
        panel.delete.click(self.deleted, panel.chosen, boxes, **told).then(**listed)

    def listed(self, request: gr.Request, search: str) -> str:
        """Return the list, of all or of those that match."""
        lang = self._context.language_of(request)
        try:
            found = self._comparisons.list(search=(search or "").strip())
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return _table(found, bool((search or "").strip()), lang)

    def clicked(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Open a comparison, or ask for its new title or whether to delete it."""
        lang = self._context.language_of(request)
        chosen, action = (str(event._data.get(name, "")) for name in ("id", "compare"))
        title = self._title(chosen, lang)
        question = escape(t("compare.history.delete_really", lang, title=title))
        return [
            chosen,
            chosen if action == "open" else gr.skip(),
            gr.update(visible=action == "rename"),
            gr.update(visible=action == "delete"),
            title,
            question,
        ]

    def renamed(self, request: gr.Request, chosen: str, title: str) -> list[Any]:
        """Give the chosen comparison its new title."""
        try:
            self._comparisons.rename(chosen, (title or "").strip()[:LONGEST_TITLE])
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        return _closed()

    def deleted(self, request: gr.Request, chosen: str) -> list[Any]:
        """Delete the chosen comparison."""
        try:
            self._comparisons.delete(chosen)
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        return _closed()

    def _title(self, chosen: str, lang: str) -> str:
        try:
            return self._comparisons.get(chosen).title
        except EasyTuneError as error:
            raise spoken(error, lang) from error


def _closed() -> list[Any]:
    return [gr.update(visible=False), gr.update(visible=False)]


def _table(found: list[Summary], searched: bool, lang: str) -> str:
    if not found:
        text = t(f"compare.history.{'no_match' if searched else 'empty'}", lang)
        return f'<div class="et-empty">{escape(text)}</div>'
    heads = "".join(f"<th>{escape(t(f'compare.history.column.{n}', lang))}</th>" for n in COLUMNS)
    rows = "".join(_row(one, lang) for one in found)
    return (
        '<div class="et-table-wrap"><table class="et-table">'
        f"<thead><tr>{heads}<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _row(one: Summary, lang: str) -> str:
    cells = [
        escape(one.title),
        escape(t(f"compare.history.kind.{one.kind}", lang)),
        f'<span class="compare-names">{escape(" · ".join(one.columns))}</span>',
        str(one.entries),
        f"{one.created.astimezone():%Y-%m-%d %H:%M}",
        _buttons(one.id, lang),
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _buttons(comparison: str, lang: str) -> str:
    buttons = "".join(
        f'<button type="button" class="et-mini" data-compare="{action}"'
        f' data-id="{escape(comparison, quote=True)}">'
        f"{escape(t(f'compare.history.{action}', lang))}</button>"
        for action in ACTIONS
    )
    return f'<span class="et-buttons">{buttons}</span>'
