"""What to export: the model, the form it leaves in, and how; the same as a file."""

from typing import Any

import gradio as gr

from easytune import paths
from easytune.export import ExportConfig, options
from easytune.exporters import EXPORTERS
from easytune.webui import config_bar
from easytune.webui.config_bar import ConfigBar
from easytune.webui.form import Form
from easytune.webui.job_setup import bundled
from easytune.webui.language import label

PREFIX = "export-"
CONFIGS = paths.CONFIGS / "export"
_TOP = ("what.models", "what.target")
_ESSENTIAL = ("result.name", "what.strength")
_CLICKS = """
element.addEventListener('click', (event) => {
  const card = event.target.closest('[data-et-target]');
  if (card) trigger('click', { target: card.dataset.etTarget });
  const shown = event.target.closest('[data-et-exported]');
  if (shown) trigger('click', { exported: shown.dataset.etExported });
});
"""


class SetupPanel:
    """The form on the left of the tab.

    `held` is the configuration as YAML, kept by the browser; empty until the tab was opened.
    """

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.form: Form[ExportConfig] = Form(ExportConfig(), prefix=PREFIX)
        self.kept = gr.JSON(None, visible="hidden", elem_id="export-kept")
        self.held = gr.Textbox("", visible="hidden", elem_id="export-held")
        with gr.Column(elem_id="export-top"):
            self.form.place("what.models")
            self.cards = gr.HTML(
                "", elem_id="export-cards", js_on_load=_CLICKS, apply_default_css=False
            )
            # The cards say what it holds; a card is a click, and this is the value.
            self.form.place("what.target")
        with gr.Row(elem_classes=["et-form-grid"], elem_id="export-essentials"):
            self.form.place(*_ESSENTIAL, *_essentials())
        for target in EXPORTERS:
            if further := _further(target):
                self.form.accordion(target, *further)
        self.form.accordion("what", *_further("what"))
        self.form.accordion("gate", *_further("gate"))
        self.facts = gr.HTML(
            "", elem_id="export-facts", js_on_load=_CLICKS, apply_default_css=False
        )
        with gr.Accordion(label("train.file"), open=False, elem_id="export-section-file"):
            self.file: ConfigBar = config_bar.build(bundled(CONFIGS), prefix="export")
        with gr.Row(elem_classes=["et-sticky"]):
            self.measure = gr.Button(label("export.measure"), elem_id="export-measure")
            self.start = gr.Button(label("export.start"), variant="primary", elem_id="export-start")

    @property
    def filled(self) -> list[Any]:
        """Return what is updated when the form is filled from elsewhere."""
        return [*self.form.outputs, self.cards, self.facts]


def _essentials() -> list[str]:
    """Return what most people need of each target; hidden unless the target is chosen."""
    found = (option for option in options() if option.section in EXPORTERS)
    return [option.path for option in found if option.knob.level in ("bar", "essential")]


def _further(section: str) -> list[str]:
    placed = (*_TOP, *_ESSENTIAL, *_essentials())
    found = [option.path for option in options() if option.section == section]
    return [path for path in found if path not in placed]
