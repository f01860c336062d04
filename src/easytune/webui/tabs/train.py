"""The Train tab: what to train on the left, the live run on the right."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from gradio.context import Context as GradioContext

from easytune.config import TrainConfig, options
from easytune.webui import (
    clicks,
    config_bar,
    controls,
    estimate_panel,
    guide,
    preview_panel,
    run_panel,
    suggestion_panel,
)
from easytune.webui.config_bar import ConfigBar
from easytune.webui.context import Context
from easytune.webui.drafts import demo
from easytune.webui.estimate_panel import CostsPanel
from easytune.webui.form import Form
from easytune.webui.guide import Guide
from easytune.webui.job_monitor import stop_button
from easytune.webui.language import label
from easytune.webui.preview_panel import PreviewPanel
from easytune.webui.run_panel import RunPanel
from easytune.webui.suggestion_panel import SuggestionPanel
from easytune.webui.train_handlers import PICKED, TrainHandlers

SECTIONS = {
    "model": ("model",),
    "data": ("data",),
    "lora": ("lora",),
    "optim": ("optim",),
    "schedule": ("schedule",),
    "memory": ("memory",),
    "monitor": ("monitor", "output"),
}
Update = dict[str, Any]


@dataclass(frozen=True)
class TrainTab:
    """What other tabs need of this one."""

    form: Form
    panel: RunPanel


def build(context: Context, tab: gr.Tab | None = None) -> TrainTab:
    """Build the tab in the Blocks that are open; `tab` is the one it is in, if any."""
    page = _Page(context)
    _wire(page, TrainHandlers(context, page.form), tab)
    return TrainTab(page.form, page.live)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self, context: Context) -> None:
        self.form: Form[TrainConfig] = Form(demo())
        with gr.Row(elem_classes=["et-columns"]):
            with gr.Column(scale=5, min_width=320, elem_id="train-form"):
                self.guide: Guide = guide.build()
                self._top()
                self._essentials()
                with gr.Accordion(
                    label("train.preview.title"), open=True, elem_id="section-preview"
                ):
                    self.preview: PreviewPanel = preview_panel.build()
                self._sections()
                with gr.Accordion(label("train.file"), open=False, elem_id="section-file"):
                    self.file: ConfigBar = config_bar.build(config_bar.choices(context.runs))
                self.costs: CostsPanel = estimate_panel.build(context, self.form)
                with gr.Row(elem_classes=["et-sticky"]):
                    self.start = gr.Button(
                        label("train.start"), variant="primary", scale=3, elem_id="train-start"
                    )
                    self.stop = gr.Button(
                        label("monitor.stop"), variant="stop", visible=False, min_width=120,
                        elem_id="train-stop",
                    )  # fmt: skip
            with gr.Column(scale=6, min_width=320, elem_id="train-live", elem_classes=["et-live"]):
                self.live: RunPanel = run_panel.build(context)
        self.draft = gr.BrowserState("", storage_key="easytune-train-form", secret="easytune")
        self.relabel = gr.Button("", elem_id="train-relabel")

    def _top(self) -> None:
        upload_text: Any = label("train.upload")
        with gr.Column(elem_id="train-top"):
            self.form.place("model.base_model")
            self.facts = gr.HTML("", elem_id="train-facts", apply_default_css=False)
            self.form.place("model.method", "data.datasets")
            self.upload = gr.UploadButton(
                upload_text, file_count="multiple", size="sm", elem_id="train-upload",
                elem_classes=["et-outlined"],
            )  # fmt: skip
            self.form.place("goal.intent")
            self.suggested: SuggestionPanel = suggestion_panel.build()

    def _essentials(self) -> None:
        with gr.Row(elem_classes=["et-form-grid"], elem_id="train-essentials"):
            self.form.place(*_paths("essential"))

    def _sections(self) -> None:
        for key, sections in SECTIONS.items():
            self.form.accordion(key, *_paths("advanced", *sections))
        self.form.accordion("expert", *_paths("expert"))


def _paths(level: str, *sections: str) -> list[str]:
    """Return the options of a level, of all sections or of those named."""
    found = [option for option in options() if option.knob.level == level]
    return [option.path for option in found if not sections or option.section in sections]


def _stop_offered(state: str) -> Update:
    return gr.update(**stop_button(state))


# --- wiring -----------------------------------------------------------------


def _wire(page: _Page, on: TrainHandlers, tab: gr.Tab | None) -> None:
    form, file, panel, live = page.form, page.file, page.preview, page.live
    guided, held = page.guide, page.suggested.held
    # "always_last": leaving one control by changing another is two edits, and the second counts.
    told: dict[str, Any] = {
        "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last",
    }  # fmt: skip
    now: dict[str, Any] = {"queue": False, **told}
    once: dict[str, Any] = {**told, "trigger_mode": "once"}
    edited: dict[str, Any] = {
        "fn": on.edited, "inputs": [file.shell, page.draft, held, *form.inputs],
        "outputs": [*form.outputs, file.yaml, file.command, file.file_name, page.draft,
                    *page.suggested.outputs, *guided.outputs], **now,
    }  # fmt: skip
    seen: dict[str, Any] = {"inputs": [panel.row, *form.inputs], "outputs": panel.outputs, **told}
    looked: dict[str, Any] = {"fn": on.previewed, **seen}
    modelled: dict[str, Any] = {
        "fn": on.model_chosen, "inputs": form.inputs, **now,
        "outputs": [page.facts, guided.model_facts, guided.model, guided.datasets,
                    *map(form.component, PICKED)],
    }  # fmt: skip
    costs: dict[str, Any] = page.costs.refresh
    datasets = form.component("data.datasets")

    def refreshed(event: Any) -> None:
        """After the form was filled from elsewhere, bring all that depends on it up to date."""
        for update in (edited, modelled, looked, costs):
            event.then(**update)

    # The intent fills the form first: see `_wire_guide`.
    others = [section for section in TrainConfig.model_fields if section != "goal"]
    gr.on(form.edits(*others), **edited).then(**costs)
    gr.on(form.edits("model"), **modelled)
    if tab is not None:
        # There may be new datasets.
        tab.select(**modelled)
    gr.on([*form.edits("model"), *form.edits("data"), panel.row.submit, panel.row.blur], **looked)
    file.shell.input(**edited)
    panel.earlier.click(on.earlier, **seen)
    panel.later.click(on.later, **seen)
    upload = page.upload.upload(on.uploaded, [page.upload, datasets], [datasets, panel.row], **told)
    refreshed(upload)
    refreshed(
        panel.columns.apply.click(
            on.mapped, panel.columns.roles, form.component("data.columns"), **now
        )
    )
    filled = [*form.outputs, held]
    opened = [*filled, file.notices]
    refreshed(file.upload.upload(on.opened, file.upload, opened, **told))
    refreshed(file.saved.input(on.opened_saved, file.saved, opened, **told))
    refreshed(
        live.proposal.change(on.proposed, [live.proposal, held, *form.inputs], filled, **told)
    )
    page.costs.wire(refreshed)
    file.save.click(None, [file.file_name, file.yaml], js=config_bar.SAVE)
    file.copy.click(None, file.yaml, js=config_bar.COPY.format(prefix="train"))
    page.start.click(
        on.started, [live.run_id, *form.inputs], [*form.outputs, live.run_id],
        **once,
    ).then(None, live.run_id, js="(run) => easytune.showRun(run)")  # fmt: skip
    page.stop.click(on.stopped, live.run_id, **told)
    live.state.change(_stop_offered, live.state, page.stop, **now)
    for update in (edited, modelled, looked, costs):
        page.relabel.click(**update)
    _wire_guide(page, on, refreshed, edited, looked)
    root = GradioContext.root_block
    assert root is not None
    refreshed(root.load(on.restored, page.draft, [*filled, file.saved], **now))


def _wire_guide(
    page: _Page,
    on: TrainHandlers,
    refreshed: Callable[[Any], None],
    edited: dict[str, Any],
    looked: dict[str, Any],
) -> None:
    """Let the guide and the suggestions fill the form."""
    form, guided, suggested = page.form, page.guide, page.suggested
    now: dict[str, Any] = {
        "queue": False, "show_progress": "hidden", "api_visibility": "private",
        "trigger_mode": "always_last",
    }  # fmt: skip
    chosen: dict[str, Any] = {
        "inputs": form.inputs,
        "outputs": [*form.inputs, suggested.held],
        **now,
    }
    intent = form.component("goal.intent")
    refreshed(intent.input(on.intent_chosen, **chosen))
    for cards in (guided.cards, guided.proposal):
        refreshed(cards.click(on.intent_picked, **(chosen | clicks.EACH)))
    back: dict[str, Any] = {"inputs": form.inputs, "outputs": form.inputs, **now}
    for asked in (suggested.strip, suggested.marks):
        refreshed(asked.click(on.taken_back, **(back | clicks.EACH)))
    # Values that follow the suggestion may be of the data, such as the replay share.
    suggested.held.change(**looked)
    suggested.timer.tick(**{**edited, "fn": on.measured})
    # Said in the language before; a wish is quickly proposed for again.
    page.relabel.click(lambda: "", None, guided.proposal, **now)
    gr.on(
        [guided.propose.click, guided.wish.submit], on.wished, [guided.wish, *form.inputs],
        [guided.proposal, guided.cards], **now,
    )  # fmt: skip
    for mirror, path, edits in (
        (guided.datasets, "data.datasets", controls.chosen_words(guided.datasets)),
        (guided.model, "model.base_model", [guided.model.input]),
    ):
        refreshed(gr.on(edits, lambda chosen: chosen, mirror, form.component(path), **now))
