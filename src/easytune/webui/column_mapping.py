"""Telling which column of an unknown dataset plays which part."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from easytune.errors import ColumnMissing, EasyTuneError, FormatUnknown
from easytune.webui.language import label

ROLES = ("prompt", "response", "input", "system", "messages", "text")


@dataclass(frozen=True)
class ColumnMapping:
    """A panel with one choice of column per role."""

    panel: gr.Column
    roles: list[gr.Dropdown]
    apply: gr.Button

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `offer` updates."""
        return [self.panel, *self.roles]


def build() -> ColumnMapping:
    """Build the panel here in the layout, hidden."""
    with gr.Column(visible=False, elem_id="train-columns") as panel:
        gr.Markdown(label("train.columns.intro"), container=True)
        with gr.Row(elem_classes=["et-form-grid"]):
            roles = [_role(role) for role in ROLES]
        apply = gr.Button(label("train.columns.apply"), size="sm", elem_id="train-columns-apply")
    return ColumnMapping(panel, roles, apply)


def offer(error: EasyTuneError | None) -> list[dict[str, Any]]:
    """Return updates of `outputs`: shown with the columns found when `error` is about columns."""
    match error:
        case FormatUnknown(columns=found) | ColumnMissing(columns=found):
            columns = [name for part in found.split(",") if (name := part.strip())]
            # What somebody has chosen meanwhile stays.
            return [gr.update(visible=True), *(gr.update(choices=columns) for _ in ROLES)]
        case _:
            return [gr.update(visible=False), *(gr.skip() for _ in ROLES)]


def mapping(*columns: str | None) -> dict[str, str]:
    """Return role to column from what the choices hold."""
    return {role: name for role, name in zip(ROLES, columns, strict=True) if name}


def _role(role: str) -> gr.Dropdown:
    return gr.Dropdown(
        [], value=None, label=label(f"train.columns.{role}"), interactive=True,
        allow_custom_value=True, elem_id=f"train-column-{role}",
    )  # fmt: skip
