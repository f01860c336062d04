"""The preview in the page: a row number, the row with its tokens, and help with columns."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from easytune import model_files
from easytune.config import TrainConfig
from easytune.data import preview as data_preview
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.webui import column_mapping, preview
from easytune.webui.column_mapping import ColumnMapping
from easytune.webui.language import label
from easytune.webui.spoken import sentence

Update = dict[str, Any]


@dataclass(frozen=True)
class PreviewPanel:
    """The components of the preview."""

    row: gr.Number
    earlier: gr.Button
    later: gr.Button
    content: gr.HTML
    columns: ColumnMapping

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `look` and `say` update."""
        return [self.row, self.content, *self.columns.outputs]


def build() -> PreviewPanel:
    """Build the preview here in the layout."""
    with gr.Row(elem_classes=["et-row-picker"]):
        step: dict[str, Any] = {
            "size": "sm",
            "min_width": 40,
            "scale": 0,
            "elem_classes": ["et-outlined"],
        }
        earlier = gr.Button("←", elem_id="preview-earlier", **step)
        row = gr.Number(
            1, step=1, label=label("train.preview.row"), container=False, min_width=80, scale=0,
            elem_id="preview-row", interactive=True,
        )  # fmt: skip
        later = gr.Button("→", elem_id="preview-later", **step)
    content = gr.HTML("", elem_id="train-preview", apply_default_css=False)
    return PreviewPanel(row, earlier, later, content, column_mapping.build())


def look(config: TrainConfig, home: Path, number: float | None, lang: str) -> list[Update]:
    """Return updates of `outputs` that show row `number`, counted from 1."""
    try:
        folder = model_files.resolve(config.model, home)
        if folder is None:
            return say(t("train.preview.model_not_here", lang, model=config.model.base_model))
        shown = data_preview.preview(
            config.data, folder, round(number or 1) - 1, config.schedule.seed, home
        )
    except EasyTuneError as error:
        return [gr.skip(), gr.update(value=preview.message(sentence(error, lang))),
                *column_mapping.offer(error)]  # fmt: skip
    html = preview.render(shown, config.data.max_length, lang)
    return [gr.update(value=shown.index + 1), gr.update(value=html), *column_mapping.offer(None)]


def say(text: str) -> list[Update]:
    """Return updates of `outputs` that show a sentence instead of a row."""
    return [gr.skip(), gr.update(value=preview.message(text)), *column_mapping.offer(None)]
