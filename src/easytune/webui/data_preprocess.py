"""Preprocessing: a pipeline of steps, what it would change, and the version it makes."""

from typing import Any

import gradio as gr

from easytune.data.steps.options import Steps
from easytune.webui import clicks, config_bar, data_leaks
from easytune.webui import data_figures as figures
from easytune.webui.context import Context
from easytune.webui.data_job import JobPanel
from easytune.webui.data_preprocess_handlers import NEW_DATASET, PreprocessHandlers
from easytune.webui.form import Form
from easytune.webui.language import label

SAME_DATASET = "version"
FILE_NAME = "pipeline.yaml"


def build(
    context: Context, selected: gr.Textbox, tab: gr.Tab, jobs: JobPanel, author: gr.Textbox
) -> None:
    """Lay out the panel inside `tab`, and wire it; `selected` holds the version ("name@3").

    Holds the leak check as well. A version made here is shown by setting `selected`, and names
    `author`.
    """
    page = _Page()
    _wire(page, PreprocessHandlers(context, page.form), selected, tab, jobs, author)
    with gr.Accordion(
        label("dataset_work.leaks.title"), open=False, elem_id="section-leaks"
    ) as box:
        data_leaks.build(context, selected, tab, jobs, box)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the panel."""

    def __init__(self) -> None:
        self.form = Form(Steps(), prefix="step-")
        # Outside the parts that come and go: Gradio shows what is hidden in a part that appears.
        self.held = gr.JSON(None, visible="hidden", elem_id="data-pipeline")
        self.place = gr.JSON(None, visible="hidden", elem_id="data-preview-place")
        self.file_name = gr.Textbox(FILE_NAME, visible="hidden")
        self.kept = gr.BrowserState(None, storage_key="easytune-pipeline", secret="easytune")
        with gr.Row(elem_id="data-preprocess", elem_classes=["work", "work-columns"]):
            with gr.Column(scale=5, min_width=300):
                self._building()
            with gr.Column(scale=7, min_width=300):
                self.made = gr.HTML("", elem_id="made-part", apply_default_css=False)
                self.shown = gr.HTML(
                    "", elem_id="preprocess-part", apply_default_css=False,
                    js_on_load=figures.CLICKS,
                )  # fmt: skip

    def _building(self) -> None:
        choices: Any = [(label(f"steps.name.{name}"), name) for name in Steps.model_fields]
        self.add = gr.Dropdown(
            choices, value=None, label=label("dataset_work.preprocess.add"), interactive=True,
            elem_id="step-add", filterable=True,
        )  # fmt: skip
        self.steps = gr.HTML(
            "", elem_id="steps-part", apply_default_css=False, js_on_load=figures.CLICKS
        )
        for name in Steps.model_fields:
            with gr.Column(elem_id=f"step-options-{name}", elem_classes=["step-options"]):
                self._options(name)
        self._making()
        with gr.Accordion(
            label("dataset_work.preprocess.file"), open=False, elem_id="section-pipeline"
        ):
            self._file()
        self.relabel = gr.Button("", elem_classes=["work-relabel"])

    def _options(self, name: str) -> None:
        gr.Markdown(label(f"steps.help.{name}"), elem_classes=["work-help"])
        with gr.Row(elem_classes=["et-form-grid"]):
            self.form.place(*(path for path in self.form.declared if path.startswith(f"{name}.")))

    def _making(self) -> None:
        into: Any = [
            (label("dataset_work.preprocess.into_version"), SAME_DATASET),
            (label("dataset_work.preprocess.into_dataset"), NEW_DATASET),
        ]
        with gr.Column(elem_classes=["work-making"]):
            self.into = gr.Radio(
                into, value=SAME_DATASET, label=label("dataset_work.preprocess.into"),
                interactive=True, elem_id="preprocess-into",
            )  # fmt: skip
            self.title = gr.Textbox(
                "", label=label("dataset_work.preprocess.new_title"), max_lines=1, visible=False,
                elem_id="preprocess-title",
            )  # fmt: skip
            self.note = gr.Textbox(
                "", label=label("dataset_work.versions.note"), max_lines=3,
                elem_id="preprocess-note",
                placeholder=label("dataset_work.preprocess.note_placeholder"),
            )  # fmt: skip
            self.make = gr.Button(
                label("dataset_work.preprocess.make"), variant="primary", elem_id="preprocess-make"
            )

    def _file(self) -> None:
        small: dict[str, Any] = {"size": "sm", "min_width": 90, "elem_classes": ["et-outlined"]}
        open_text: Any = label("dataset_work.preprocess.open")
        with gr.Row():
            self.save = gr.Button(
                label("dataset_work.preprocess.save"), elem_id="pipeline-save", **small
            )
            self.upload = gr.UploadButton(open_text, elem_id="pipeline-open", **small)
        self.saved = gr.Dropdown(
            [], value=None, label=label("dataset_work.preprocess.saved"), interactive=True,
            elem_id="pipeline-saved",
        )  # fmt: skip
        self.yaml = gr.Code(
            "", language="yaml", label="YAML", interactive=False, max_lines=24,
            elem_id="pipeline-yaml", buttons=["copy"],
        )  # fmt: skip

    @property
    def drawn(self) -> list[Any]:
        """Return what shows a pipeline: see `PreprocessHandlers`."""
        return [self.held, self.kept, self.steps, self.yaml, *self.form.outputs]


# --- wiring -----------------------------------------------------------------


def _wire(
    page: _Page,
    on: PreprocessHandlers,
    selected: gr.Textbox,
    tab: gr.Tab,
    jobs: JobPanel,
    author: gr.Textbox,
) -> None:
    told: dict[str, Any] = {
        "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last",
    }  # fmt: skip
    now: dict[str, Any] = {"queue": False, **told}
    visible: dict[str, Any] = {"js": figures.if_shown("data-preprocess")}
    entered: dict[str, Any] = {
        "fn": on.entered, "inputs": [selected, page.held, page.kept],
        "outputs": [*page.drawn, page.saved], **now,
    }  # fmt: skip
    looked: dict[str, Any] = {
        "fn": on.previewed, "inputs": [selected, page.held], "outputs": [page.place, page.shown],
        **now,
    }  # fmt: skip

    for event in (tab.select(**entered), page.relabel.click(**entered)):
        event.then(**looked)
    selected.change(**entered, **visible).then(**looked, **visible)
    page.add.select(
        on.added, [page.add, page.held], [page.add, *page.drawn], **told
    ).then(**looked)  # fmt: skip
    page.steps.click(on.clicked, page.held, page.drawn, **(now | clicks.ONE_BY_ONE)).then(**looked)
    gr.on(
        page.form.edits(), on.edited, [page.held, *page.form.inputs], page.drawn, **now
    ).then(**looked)  # fmt: skip
    page.shown.click(
        on.turned, [selected, page.held, page.place], [page.place, page.shown],
        **(now | clicks.ONE_BY_ONE),
    )  # fmt: skip
    page.into.input(lambda into: gr.update(visible=into == NEW_DATASET), page.into, page.title,
                    **now)  # fmt: skip
    page.save.click(None, [page.file_name, page.yaml], js=config_bar.SAVE)
    page.upload.upload(on.opened, page.upload, page.drawn, **told).then(**looked)
    page.saved.input(on.opened_saved, [page.saved, selected], page.drawn, **told).then(**looked)
    making = [selected, page.held, page.into, page.title, page.note, author]
    page.make.click(on.made, making, jobs.task_id, **{**told, "trigger_mode": "once"})
    jobs.finished.change(on.ended, jobs.finished, [selected, page.made], **told)
