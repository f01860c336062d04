"""The Evaluate tab: what to measure on the left, how far it is on the right; then the results."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from easytune.webui import clicks, config_bar, results_panel
from easytune.webui.context import Context
from easytune.webui.evaluate_progress_view import EvaluationView
from easytune.webui.evaluate_setup import SetupPanel
from easytune.webui.evaluate_setup_handlers import SetupHandlers
from easytune.webui.job_progress import ProgressHandlers, ProgressPanel
from easytune.webui.language import label
from easytune.webui.results_panel import ResultsPanel

VIEWS = ("setup", "results")
# The browser shows one view and keeps the other: parts that Gradio takes away and brings back
# forget what language they are in.
_SHOW = "(view) => easytune.evaluateShow(view)"
_KEEP = "(yaml, view) => easytune.evaluateKeep(yaml, view)"
_ENTERING = "(kept, ...rest) => [easytune.evaluateEntering(), ...rest]"
_COPY = config_bar.COPY.format(prefix="evaluate")
Kept = dict[str, Any]


@dataclass(frozen=True)
class EvaluateTab:
    """What the page needs of the tab."""

    timer: gr.Timer
    """Ticks while the tab is open."""
    at_times: gr.Timer
    """Begins by itself, while there is an evaluation to follow."""


def build(context: Context, tab: gr.Tab) -> EvaluateTab:
    """Build the tab in the Blocks that are open; `tab` is the one it is in."""
    with gr.Column(elem_id="et-evaluate"):
        page = _Page(context)
    _wire(context, page, tab)
    return EvaluateTab(page.progress.timer, page.results.timer)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self, context: Context) -> None:
        self.view = gr.Radio(
            [(label(f"evaluate.view.{name}"), name) for name in VIEWS], value=VIEWS[0],
            label=label("evaluate.view_name"), show_label=False, container=False,
            interactive=True, elem_id="evaluate-view", elem_classes=["compare-segments"],
        )  # fmt: skip
        with gr.Row(elem_classes=["et-columns"], elem_id="evaluate-columns"):
            with gr.Column(scale=5, min_width=320, elem_id="evaluate-setup"):
                self.setup = SetupPanel()
            with gr.Column(scale=6, min_width=320, elem_id="evaluate-beside"):
                self.progress = ProgressPanel(EvaluationView())
        with gr.Column(elem_id="evaluate-results"):
            self.results: ResultsPanel = results_panel.build(context)
        self.relabel = gr.Button("", elem_id="evaluate-relabel")

    @property
    def evaluation(self) -> gr.Textbox:
        """Return the hidden id of the evaluation that is shown."""
        return self.results.evaluation


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """From values to updates."""

    def __init__(self, setup: SetupHandlers) -> None:
        self._setup = setup

    def entered(self, request: gr.Request, kept: Kept | None, held: str, *values: Any) -> list[Any]:
        """Show what the visitor left in this browser, or what another tab has sent them for."""
        left = kept or {}
        filled = [self._setup.saved(), *self._setup.entered(request, left, held, *values)]
        if left.get("model"):
            return [gr.skip(), "setup", *filled]
        if opened := left.get("evaluation"):
            return [opened, "results", *filled]
        view = left.get("view") if not held and left.get("view") in VIEWS else gr.skip()
        return [gr.skip(), view, *filled]

    def started(self, request: gr.Request, shown: str, *values: Any) -> list[Any]:
        """Begin an evaluation and show how it goes."""
        *painted, evaluation = self._setup.started(request, shown, *values)
        return [*painted, evaluation, gr.skip() if evaluation == shown else "results"]

    def opened(self, event: gr.EventData) -> list[Any]:
        """Show the earlier evaluation that was clicked."""
        chosen = str(event._data.get("evaluation", ""))
        return [chosen, "results"] if chosen else [gr.skip(), gr.skip()]


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
    gr.on([setup.held.change, page.view.change], None, [setup.held, page.view], js=_KEEP)
    page.view.change(None, page.view, None, js=_SHOW)
    progress = ProgressHandlers(context, context.evaluations, page.progress)
    look = progress.wire(page.evaluation)
    edited: dict[str, Any] = {
        "fn": fills.edited, "inputs": [file.shell, setup.held, *form.inputs],
        "outputs": [*form.outputs, file.yaml, file.command, file.file_name, setup.held], **now,
    }  # fmt: skip
    entered: dict[str, Any] = {
        "fn": on.entered, "inputs": [setup.kept, setup.held, *form.inputs],
        "outputs": [page.evaluation, page.view, file.saved, *setup.filled], "js": _ENTERING, **now,
    }  # fmt: skip
    opened = [*setup.filled, file.notices]

    opens = gr.on([tab.select, page.relabel.click], **entered)
    opens.then(**edited).then(**look).then(**page.results.look).then(**page.results.listed)
    gr.on([*form.edits(), file.shell.input], **edited)
    offered = [form.component("test.datasets"), setup.facts]
    counted = ("candidates.models", "test.datasets", "test.rows")
    edits = [edit for path in counted for edit in form.control(path).edits()]
    gr.on(edits, fills.chosen, form.inputs, offered, **now)
    setup.checkpoints.click(fills.checkpoints, form.inputs, setup.filled, **told).then(**edited)
    setup.upload.upload(fills.uploaded, [setup.upload, *form.inputs], setup.filled, **told).then(
        **edited
    )
    setup.facts.click(on.opened, None, [page.evaluation, page.view], **(now | clicks.EACH))
    file.upload.upload(fills.opened, file.upload, opened, **told).then(**edited)
    file.saved.input(fills.opened_saved, file.saved, opened, **told).then(**edited)
    file.save.click(None, [file.file_name, file.yaml], js=config_bar.SAVE)
    file.copy.click(None, file.yaml, js=_COPY)
    page.setup.start.click(
        on.started, [page.evaluation, *form.inputs], [*form.outputs, page.evaluation, page.view],
        **once,
    )  # fmt: skip
    page.progress.ended.change(**page.results.look).then(**page.results.listed)
