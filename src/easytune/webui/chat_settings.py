"""The right side of the Chat tab: the model, its state, how it answers, and presets of that."""

from dataclasses import dataclass
from typing import Any

import gradio as gr

from easytune.generation import GenerationConfig, SamplingSection, options
from easytune.options import Option
from easytune.services.presets import Preset, Presets
from easytune.webui import chat_models, model_picker
from easytune.webui.form import Form
from easytune.webui.language import label

PREFIX = "chat-"


@dataclass(frozen=True)
class SettingsPanel:
    """The components of the right side."""

    model: gr.Dropdown
    state: gr.HTML
    system: gr.Textbox
    base: gr.Dropdown
    form: Form[GenerationConfig]
    preset: gr.Dropdown
    save: gr.Button
    delete: gr.Button

    @property
    def inputs(self) -> list[Any]:
        """Return what a turn needs: the model, the system prompt, and the options."""
        return [self.model, self.system, *self.form.inputs]

    @property
    def outputs(self) -> list[Any]:
        """Return what `shown` updates."""
        return [self.model, self.system, *self.form.outputs]


def build() -> SettingsPanel:
    """Lay out the right side in the column that is open."""
    form = Form(GenerationConfig(), prefix=PREFIX)
    model = model_picker.build("chat-model", info=label("chat.model_help"))
    state = gr.HTML(
        "", elem_id="chat-model-state", js_on_load=chat_models.CLICKS, apply_default_css=False
    )
    system = gr.Textbox(
        "", label=label("chat.system"), info=label("chat.system_help"), lines=2, max_lines=8,
        elem_id="chat-system",
    )  # fmt: skip
    with gr.Row(elem_classes=["et-form-grid"], elem_id="chat-essentials"):
        form.place(*_paths(lambda o: o.section == "sampling" and o.knob.level == "essential"))
    with gr.Accordion(label("chat.section.more"), open=False, elem_id="chat-more"):
        _rest(form, "sampling")
    with gr.Accordion(label("chat.section.loading"), open=False, elem_id="chat-loading"):
        base = model_picker.build(
            "chat-base", label=label("chat.base"), info=label("chat.base_help"), value=""
        )
        _rest(form, "loading")
    preset = gr.Dropdown(
        [], value=None, label=label("chat.preset"), info=label("chat.preset_help"),
        allow_custom_value=True, interactive=True, elem_id="chat-preset",
    )  # fmt: skip
    with gr.Row(elem_classes=["et-row"]):
        small: dict[str, Any] = {"size": "sm", "min_width": 60, "elem_classes": ["et-outlined"]}
        save = gr.Button(label("chat.preset_save"), elem_id="chat-preset-save", **small)
        delete = gr.Button(label("chat.preset_delete"), elem_id="chat-preset-delete", **small)
    return SettingsPanel(model, state, system, base, form, preset, save, delete)


def shown(
    panel: SettingsPanel, model: Any, system: str, config: GenerationConfig
) -> list[dict[str, Any]]:
    """Return updates of `panel.outputs`; `model` is an update of the picker."""
    return [model, gr.update(value=system), *panel.form.fill(config)]


def sampled(config: GenerationConfig, sampling: SamplingSection) -> GenerationConfig:
    """Return a config with other sampling."""
    return config.model_copy(update={"sampling": sampling})


def names(presets: Presets) -> list[str]:
    """Return the presets that can be used."""
    return [preset.name for preset in presets.list() if preset.problem is None]


def preset_of(name: str, system: str, config: GenerationConfig) -> Preset:
    """Return what is set now, as a preset."""
    return Preset(name.strip(), config.sampling, system)


def _rest(form: Form[GenerationConfig], section: str) -> None:
    """Place the options of a section that have no place yet."""
    with gr.Row(elem_classes=["et-form-grid"]):
        form.place(*(path for path in _paths(lambda o: o.section == section)
                     if path not in form.placed))  # fmt: skip


def _paths(wanted: Any) -> list[str]:
    return [option.path for option in _options() if wanted(option)]


def _options() -> list[Option]:
    return list(options())
