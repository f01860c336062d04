"""The Export tab: what leaves, and how, on the left; how far it is and its proof on the right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from easytune.webui import clicks, config_bar, deploy_panel
from easytune.webui.context import Context
from easytune.webui.export_setup import SetupPanel
from easytune.webui.export_setup_handlers import SetupHandlers
from easytune.webui.export_view import ExportView
from easytune.webui.job_progress import ProgressHandlers, ProgressPanel
from easytune.webui.language import label

# What builds each further view, beside the one that exports: name -> build(context).
_PANELS: dict[str, Callable[[Context], Any]] = {deploy_panel.VIEW: deploy_panel.build}
VIEWS = ("export", *_PANELS)
# The browser shows one view and keeps the others: parts that Gradio takes away and brings back
# forget what language they are in.
_SHOW = "(view) => easytune.exportShow(view)"
_KEEP = "(yaml) => easytune.exportKeep(yaml)"
_ENTERING = "(kept, ...rest) => [easytune.exportEntering(), ...rest]"
_COPY = config_bar.COPY.format(prefix="export")
Kept = dict[str, Any]


@dataclass(frozen=True)
class ExportTab:
    """What the page needs of the tab."""

    timer: gr.Timer
    """Ticks while the tab is open."""
    at_times: gr.Timer
    """Ticks by itself while there is something to follow; to be stopped when the tab is left."""


def build(context: Context, tab: gr.Tab) -> ExportTab:
    """Build the tab in the Blocks that are open; `tab` is the one it is in."""
    with gr.Column(elem_id="et-export"):
        page = _Page(context)
    _wire(context, page, tab)
    return ExportTab(page.progress.timer, page.panels[deploy_panel.VIEW].timer)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self, context: Context) -> None:
        self.view = gr.Radio(
            [(label(f"export.view.{name}"), name) for name in VIEWS], value=VIEWS[0],
            label=label("export.view_name"), show_label=False, container=False,
            interactive=True, elem_id="export-view", elem_classes=["compare-segments"],
            visible=len(VIEWS) > 1,
        )  # fmt: skip
        with gr.Row(elem_classes=["et-columns"], elem_id="export-columns"):
            with gr.Column(scale=5, min_width=320, elem_id="export-setup"):
                self.setup = SetupPanel()
            with gr.Column(scale=6, min_width=320, elem_id="export-beside"):
                self.progress = ProgressPanel(ExportView())
        self.panels: dict[str, Any] = {}
        for name, build_panel in _PANELS.items():
            with gr.Column(elem_id=f"export-panel-{name}"):
                self.panels[name] = build_panel(context)
        self.export = gr.Textbox("", visible="hidden", elem_id="export-shown-id")
        self.relabel = gr.Button("", elem_id="export-relabel")


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """From values to updates."""

    def __init__(self, setup: SetupHandlers) -> None:
        self._setup = setup

    def entered(self, request: gr.Request, kept: Kept | None, held: str, *values: Any) -> list[Any]:
        """Show what the visitor left in this browser, or what another tab has sent them for."""
        left = kept or {}
        filled = [self._setup.saved(), *self._setup.entered(request, left, held, *values)]
        served = left.get("deploy")
        view = deploy_panel.VIEW if served else VIEWS[0] if left.get("model") else gr.skip()
        return [left.get("export") or gr.skip(), view, served or gr.skip(), *filled]

    def opened(self, event: gr.EventData) -> Any:
        """Show the earlier export that was clicked."""
        return str(event._data.get("exported", "")) or gr.skip()


# --- wiring -----------------------------------------------------------------


def _wire(context: Context, page: _Page, tab: gr.Tab) -> None:
    setup, form, file = page.setup, page.setup.form, page.setup.file
    fills = SetupHandlers(context, setup)
    on = _Handlers(fills)
    # "always_last": leaving one control by changing another is two edits, and the second counts.
    told: dict[str, Any] = {
        "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last",
    }  # fmt: skip
    now: dict[str, Any] = {"queue": False, **told}
    once: dict[str, Any] = {**told, "trigger_mode": "once"}
    # First of all: what follows a change runs in the order of this wiring, and the rest waits for
    # the server. A page that went away meanwhile would lose the change.
    setup.held.change(None, setup.held, None, js=_KEEP)
    page.view.change(None, page.view, None, js=_SHOW)
    deploying = page.panels[deploy_panel.VIEW]
    look = ProgressHandlers(context, context.exports, page.progress).wire(page.export)
    edited: dict[str, Any] = {
        "fn": fills.edited, "inputs": [file.shell, setup.held, *form.inputs],
        "outputs": [*form.outputs, file.yaml, file.command, file.file_name, setup.held], **now,
    }  # fmt: skip
    entered: dict[str, Any] = {
        "fn": on.entered, "inputs": [setup.kept, setup.held, *form.inputs],
        "outputs": [page.export, page.view, deploying.model, file.saved, *setup.filled],
        "js": _ENTERING, **now,
    }  # fmt: skip
    offered: dict[str, Any] = {
        "fn": fills.chosen, "inputs": form.inputs, "outputs": [setup.cards, setup.facts], **now,
    }  # fmt: skip
    opened = [*setup.filled, file.notices]

    serving = deploy_panel.look(deploying, page.view)
    page.view.change(**serving)
    opens = gr.on([tab.select, page.relabel.click], **entered)
    opens.then(**serving).then(**edited).then(**look)
    gr.on([*form.edits(), file.shell.input], **edited)
    gr.on([*form.edits("what"), *form.edits("hub")], **offered)
    setup.cards.click(fills.targeted, form.inputs, setup.filled, **(now | clicks.EACH)).then(
        **edited
    )
    setup.facts.click(on.opened, None, page.export, **(now | clicks.EACH))
    file.upload.upload(fills.opened, file.upload, opened, **told).then(**edited)
    file.saved.input(fills.opened_saved, file.saved, opened, **told).then(**edited)
    file.save.click(None, [file.file_name, file.yaml], js=config_bar.SAVE)
    file.copy.click(None, file.yaml, js=_COPY)
    page.setup.measure.click(fills.measured, [page.export, *form.inputs], [page.export], **once)
    page.progress.parts["curve"].click(
        fills.strengthened, form.inputs, setup.filled, **(told | clicks.EACH)
    ).then(**edited)
    page.setup.start.click(
        fills.started, [page.export, *form.inputs], [*form.outputs, page.export], **once
    )
