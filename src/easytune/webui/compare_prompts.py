"""Where the prompts of a batch come from: typed, a file, or rows of a dataset."""

from collections.abc import Sequence
from dataclasses import replace
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from easytune.errors import EasyTuneError, FileEmpty, FileMissing, FileUnreadable
from easytune.i18n import t
from easytune.inference_errors import ImportUnreadable, PromptEmpty
from easytune.services import prompts
from easytune.services.prompts import Prompt
from easytune.webui import pickers
from easytune.webui.context import Context
from easytune.webui.language import label
from easytune.webui.spoken import sentence

SOURCES = ("typed", "file", "dataset")
FIRST_ROWS = 20
MOST_ROWS = 10_000


class PromptsPanel:
    """The choice of prompts; `inputs` is what `read` takes."""

    def __init__(self, context: Context) -> None:
        """Build the panel here in the layout."""
        self._context = context
        self.source = gr.Radio(
            [(label(f"compare.prompts.{name}"), name) for name in SOURCES], value=SOURCES[0],
            label=label("compare.prompts.source"), interactive=True, elem_id="compare-source",
            elem_classes=["compare-segments"],
        )  # fmt: skip
        self.typed = gr.Textbox(
            "", label=label("compare.prompts.typed"), info=label("compare.prompts.typed_help"),
            lines=4, max_lines=14, interactive=True, elem_id="compare-typed",
        )  # fmt: skip
        with gr.Row(visible=False, elem_id="compare-file-row") as self.file_row:
            upload_text: Any = label("compare.prompts.upload")
            self.file = gr.UploadButton(
                upload_text, size="sm", scale=0, min_width=160, elem_id="compare-file",
                elem_classes=["et-outlined"],
            )  # fmt: skip
            gr.Markdown(label("compare.prompts.upload_help"), elem_classes=["et-quiet"])
        with gr.Row(visible=False, elem_id="compare-dataset-row") as self.dataset_row:
            self.dataset = gr.Dropdown(
                pickers.datasets(context.home), value="demo/style", allow_custom_value=True,
                label=label("compare.prompts.dataset"), info=label("compare.prompts.dataset_help"),
                interactive=True, scale=3, elem_id="compare-dataset",
            )  # fmt: skip
            self.rows = gr.Number(
                FIRST_ROWS, label=label("compare.prompts.rows"), minimum=1, maximum=MOST_ROWS,
                precision=0, step=1, min_width=110, interactive=True, elem_id="compare-rows",
                info=label("compare.prompts.rows_help"),
            )  # fmt: skip
        self.facts = gr.HTML("", elem_id="compare-facts", apply_default_css=False)

    def wire(self) -> None:
        """Connect the panel's own controls."""
        now: dict[str, Any] = {
            "queue": False, "show_progress": "hidden", "api_visibility": "private",
        }  # fmt: skip
        told: dict[str, Any] = {
            "fn": self.told,
            "inputs": self.inputs,
            "outputs": self.facts,
            **now,
        }
        boxes = [self.typed, self.file_row, self.dataset_row, self.dataset]
        self.source.input(self.switched, self.source, boxes, **now).then(**told)
        triggers = [self.typed.blur, self.file.upload, self.dataset.input, self.rows.blur]
        gr.on([*triggers, self.rows.submit], **told)

    @property
    def inputs(self) -> list[Any]:
        """Return the components whose values `read` takes."""
        return [self.source, self.typed, self.file, self.dataset, self.rows]

    def switched(self, request: gr.Request, source: str) -> list[dict[str, Any]]:
        """Show the controls of a source, and the datasets there are now."""
        choices = gr.update(
            choices=pickers.datasets(self._context.home, self._context.language_of(request))
        )
        return [*(gr.update(visible=source == name) for name in SOURCES), choices]

    def told(self, request: gr.Request, *values: Any) -> str:
        """Say how many prompts there are, or what is wrong with them."""
        lang = self._context.language_of(request)
        try:
            return _counted(self.read(*values), values[0], values[2], lang)
        except PromptEmpty:
            return ""
        except EasyTuneError as error:
            return pickers.problem(sentence(error, lang))

    def read(
        self, source: str, typed: str, file: str | None, dataset: str, rows: Any
    ) -> list[Prompt]:
        """Return the prompts. Raises PromptEmpty, and what the readers raise."""
        if source == "file":
            return _of_file(file)
        if source == "dataset":
            count = int(rows) if isinstance(rows, int | float) and rows >= 1 else FIRST_ROWS
            return prompts.read_dataset(
                str(dataset or ""), min(count, MOST_ROWS), self._context.home
            )
        return prompts.read_text(str(typed or ""))


def _of_file(file: str | None) -> list[Prompt]:
    if not file:
        raise PromptEmpty
    try:
        return prompts.read_file(Path(file))
    except (FileEmpty, FileMissing, FileUnreadable, ImportUnreadable) as error:
        # The browser's copy has a path that means nothing to anybody.
        raise replace(error, path=Path(file).name) from error


def _counted(found: Sequence[Prompt], source: str, file: str | None, lang: str) -> str:
    name = f"{Path(file).name}: " if source == "file" and file else ""
    known = sum(1 for prompt in found if prompt.reference)
    text = t("compare.prompts.counted", lang, prompts=len(found), references=known)
    return f'<p class="et-fact">{escape(name + text)}</p>'
