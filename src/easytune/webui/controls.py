"""One control per option, made from its declaration, and its value in both directions."""

import json
import re
from dataclasses import dataclass
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import gradio as gr
from gradio.components import Component
from gradio.i18n import I18nData

from easytune import i18n, requirements
from easytune.options import Option
from easytune.webui.language import label, option_help, option_label

Kind = Literal[
    "switch", "choice", "number", "maybe_number", "text", "line", "prose", "name", "picked",
    "words", "lines", "numbers", "mapping",
]  # fmt: skip
RADIOS = ("model.method", "data.stage")
# Texts with suggestions that depend on what is on this machine.
PICKED = ("data.held_out_file",)
# Texts that are typed, and never chosen.
TYPED = (
    "deploy.name", "server.host", "report.name", "result.name", "judge.url", "judge.key_variable",
    "deployment.image", "hub.repository", "hub.revision", "hub.message", "hub.license",
)  # fmt: skip
NAMES = {
    "qlora": "QLoRA",
    "zero2": "ZeRO-2",
    "modelscope": "ModelScope",
    "wandb": "Weights & Biases",
}


class NotJson(ValueError):
    """A mapping is not written as a JSON object."""


@dataclass(frozen=True)
class Control:
    """An option and the component that edits it."""

    option: Option
    kind: Kind
    component: Component

    def read(self, shown: Any) -> Any:
        """Return the option's value from what the component holds. Raises NotJson."""
        return read(self.kind, shown)

    def show(self, value: Any) -> Any:
        """Return what the component holds for a value of the option."""
        return show(self.kind, value)

    def edits(self) -> list[Any]:
        """Return the component's events that tell of a finished edit by the user."""
        component: Any = self.component
        if self.kind == "words":
            return chosen_words(component)
        if self.kind in ("switch", "choice", "name", "picked"):
            return [component.input]
        return [component.blur, component.submit]


def chosen_words(component: Any) -> list[Any]:
    """Return the events of a list of choices that tell of an edit.

    A choice that was typed is no `input` to Gradio; like a text it counts when it is left. The
    button that clears the list tells of nothing at all; the style sheet leaves it out.
    """
    return [component.input, component.blur]


def kind_of(option: Option) -> Kind:
    """Return what sort of control an option gets, from its type."""
    annotation = option.field.annotation
    types = [part for part in get_args(annotation) if part is not NoneType]
    if annotation is bool:
        return "switch"
    if get_origin(annotation) is Literal:
        return "choice"
    if get_origin(annotation) is dict:
        return "mapping"
    if get_origin(annotation) is tuple:
        if types[0] is not str:
            return "numbers"
        return "lines" if option.knob.lines > 1 else "words"
    if annotation in (int, float):
        return "number"
    if annotation is str and option.knob.lines > 1:
        return "prose"
    if annotation is str:
        return "line" if option.path in TYPED else "name"
    if option.path in PICKED:
        return "picked"
    return "text" if str in types else "maybe_number"


def read(kind: Kind, shown: Any) -> Any:
    """Return an option's value from what its component holds.

    What cannot be a value is returned as it is, for the validation of the config to explain.
    Raises NotJson for a mapping that is not a JSON object.
    """
    match kind:
        case "maybe_number" | "text" | "picked":
            return str(shown).strip() or None if shown is not None else None
        case "name" | "line":
            return str(shown or "").strip()
        case "prose":
            # As it was typed: in a template a line break at the end is part of it.
            return str(shown or "") if str(shown or "").strip() else ""
        case "words":
            return tuple(word for entry in shown or () if (word := str(entry).strip()))
        case "lines":
            return tuple(line.strip() for line in str(shown or "").splitlines() if line.strip())
        case "numbers":
            return tuple(re.split(r"[\s,;]+", text)) if (text := str(shown or "").strip()) else ()
        case "mapping":
            return _mapping(str(shown or ""))
        case _:
            return shown


def show(kind: Kind, value: Any) -> Any:
    """Return what the component holds for an option's value."""
    match kind:
        case "maybe_number":
            return "" if value is None else f"{value:.12g}"
        case "text" | "line" | "prose" | "name" | "picked":
            return value or ""
        case "words":
            return list(value)
        case "lines":
            return "\n".join(value)
        case "numbers":
            return ", ".join(f"{number:g}" for number in value)
        case "mapping":
            return json.dumps(value, ensure_ascii=False) if value else ""
        case _:
            return value


def build(option: Option, value: Any, visible: bool = True, prefix: str = "") -> Control:
    """Make the control of an option in the layout that is open, holding `value`."""
    kind = kind_of(option)
    return Control(option, kind, _component(option, kind, value, visible, prefix))


def _component(option: Option, kind: Kind, value: Any, visible: bool, prefix: str) -> Component:
    common: dict[str, Any] = {
        "label": option_label(option),
        "info": option_help(option),
        "elem_id": f"{prefix}option-{option.section}-{option.name}",
        "value": show(kind, value),
        "visible": visible,
        "interactive": True,
    }
    match kind:
        case "switch":
            return gr.Checkbox(**common)
        case "choice" if option.path in RADIOS:
            return gr.Radio(_choices(option), **common)
        case "choice":
            return gr.Dropdown(_choices(option), filterable=len(_values(option)) > 9, **common)
        case "number":
            return gr.Number(step=option.knob.step or 1, min_width=120, **common)
        case "words":
            choices: list[Any] = list(option.knob.choices)
            return gr.Dropdown(choices, multiselect=True, allow_custom_value=True, **common)
        case "name" | "picked":
            return gr.Dropdown([], allow_custom_value=True, **common)
        case _:
            # gr.Number turns an empty value into 0 when it is drawn, so a number that may be
            # empty is a text.
            lines = option.knob.lines
            return gr.Textbox(
                lines=lines, max_lines=max(lines, 8), placeholder=_placeholder(option), **common
            )


def _values(option: Option) -> tuple[Any, ...]:
    return get_args(option.field.annotation)


def _choices(option: Option) -> list[tuple[Any, Any]]:
    return [(_choice(option, value), value) for value in _values(option)]


def _choice(option: Option, value: Any) -> I18nData | str:
    """Return a choice's label: its text or name, and what it needs that is not here."""
    key = f"form.choice.{option.path}.{value}"
    need = requirements.missing(option.path, value)
    if need is None and i18n.has(key):
        return label(key)
    name = NAMES.get(value, str(value))
    # Gradio translates one text in a string, so a choice that lacks something keeps its name.
    return name if need is None else f"{name} {_needs(need)}"


def _needs(need: str) -> str:
    if need == requirements.GPU:
        return str(label("form.needs.gpu"))
    return f"({label('form.needs.package')} {need})"


def _placeholder(option: Option) -> I18nData | None:
    key = f"form.placeholder.{option.path}"
    return label(key) if i18n.has(key) else None


def _mapping(text: str) -> Any:
    if not text.strip():
        return {}
    try:
        return json.loads(text)
    except ValueError as error:
        raise NotJson(str(error)) from error
