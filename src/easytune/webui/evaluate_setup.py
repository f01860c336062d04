"""What to evaluate: models, test sets, and how; the same as a file."""

from typing import Any

import gradio as gr

from easytune.evaluation import EvaluateConfig, options
from easytune.webui import config_bar
from easytune.webui.config_bar import ConfigBar
from easytune.webui.evaluate_setup_choices import CONFIGS
from easytune.webui.form import Form
from easytune.webui.job_setup import bundled
from easytune.webui.language import label

PREFIX = "evaluate-"
# Each in an accordion of its own, below what most people need.
SECTIONS = ("test", "measure", "sampling", "loading")
_TOP = ("candidates.models", "test.datasets")
_WIDE = ("measure.metrics",)
_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-et-evaluation]');
  if (button) trigger('click', { evaluation: button.dataset.etEvaluation });
});
"""


class SetupPanel:
    """The form on the left of the tab.

    `held` is the configuration as YAML, kept by the browser; empty until the tab was opened.
    """

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.form: Form[EvaluateConfig] = Form(EvaluateConfig(), prefix=PREFIX)
        self.kept = gr.JSON(None, visible="hidden", elem_id="evaluate-kept")
        self.held = gr.Textbox("", visible="hidden", elem_id="evaluate-held")
        with gr.Column(elem_id="evaluate-top"):
            self._top()
        with gr.Row(elem_classes=["et-form-grid"], elem_id="evaluate-essentials"):
            self.form.place(*_essentials())
        # In sight once there is a judge: one that lacks its address would only fail.
        with gr.Row(elem_classes=["et-form-grid"], elem_id="evaluate-judge"):
            self.form.place(*_further("judge"))
        for section in SECTIONS:
            self.form.accordion(section, *_further(section))
        with gr.Accordion(label("train.file"), open=False, elem_id="evaluate-section-file"):
            self.file: ConfigBar = config_bar.build(bundled(CONFIGS), prefix="evaluate")
        with gr.Row(elem_classes=["et-sticky"]):
            self.start = gr.Button(
                label("evaluate.start"), variant="primary", elem_id="evaluate-start"
            )

    def _top(self) -> None:
        upload_text: Any = label("evaluate.upload")
        small: dict[str, Any] = {"size": "sm", "elem_classes": ["et-outlined"], "min_width": 140}
        self.form.place("candidates.models")
        self.checkpoints = gr.Button(
            label("evaluate.add_checkpoints"), elem_id="evaluate-checkpoints", **small
        )
        self.form.place("test.datasets")
        self.upload = gr.UploadButton(
            upload_text, file_count="multiple", elem_id="evaluate-upload", **small
        )
        self.facts = gr.HTML(
            "", elem_id="evaluate-facts", js_on_load=_CLICKS, apply_default_css=False
        )
        self.form.place(*_WIDE)

    @property
    def filled(self) -> list[Any]:
        """Return what is updated when the form is filled from elsewhere."""
        return [*self.form.outputs, self.facts]


def _essentials() -> list[str]:
    return [
        option.path for option in options()
        if option.knob.level == "essential" and option.path not in _WIDE
    ]  # fmt: skip


def _further(section: str) -> list[str]:
    placed = (*_TOP, *_WIDE, *_essentials())
    found = [option.path for option in options() if option.section == section]
    return [path for path in found if path not in placed]
