"""The form: every option of a config as a control, and a config from what the controls hold."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Generic, TypeVar

import gradio as gr
from gradio.components import Component
from pydantic import BaseModel, ValidationError

from easytune import requirements, validation
from easytune.errors import ConfigInvalid, EasyTuneError
from easytune.i18n import t
from easytune.options import Option, applies, declared
from easytune.webui import controls
from easytune.webui.controls import Control
from easytune.webui.language import label, option_help, option_name

Content = dict[str, dict[str, Any]]
Update = dict[str, Any]
Config = TypeVar("Config", bound=BaseModel)


class Form(Generic[Config]):
    """Controls for all options of a config, wherever in the layout each was placed.

    `inputs` are the controls in the order of declaration; `outputs` adds the accordions around
    them. Every method that takes `values` takes what `inputs` hold.
    """

    def __init__(self, initial: Config, prefix: str = "") -> None:
        """Begin a form whose controls hold `initial` when the page opens.

        `prefix` keeps the element ids apart where a page has two forms of one config.
        """
        self._type: type[Config] = type(initial)
        self._prefix = prefix
        self._initial: Content = initial.model_dump()
        self._options: dict[str, Option] = {o.path: o for o in declared(self._type)}
        self._controls: dict[str, Control] = {}
        self._accordions: list[tuple[gr.Accordion, list[str]]] = []

    def place(self, *paths: str) -> None:
        """Build the controls of these options here in the layout."""
        for path in paths:
            option = self._options[path]
            value, visible = _value(self._initial, path), applies(option, self._initial)
            self._controls[path] = controls.build(option, value, visible, self._prefix)

    def accordion(self, key: str, *paths: str) -> None:
        """Build an accordion with the controls of these options here in the layout."""
        title = label(f"form.section.{key}")
        with gr.Accordion(title, open=False, elem_id=f"{self._prefix}section-{key}") as box:
            self._accordions.append((box, list(paths)))
            with gr.Row(elem_classes=["et-form-grid"]):
                self.place(*paths)

    def control(self, path: str) -> Control:
        """Return an option's control."""
        return self._controls[path]

    def component(self, path: str) -> Any:
        """Return the component that edits an option."""
        return self._controls[path].component

    def edits(self, *sections: str) -> list[Any]:
        """Return the triggers that tell of an edit by the user, in these sections or anywhere.

        Text and numbers count when they are left or Enter is pressed, not with every key.
        """
        chosen = [
            path for path in self.placed if not sections or path.partition(".")[0] in sections
        ]
        return [trigger for path in chosen for trigger in self._controls[path].edits()]

    @property
    def declared(self) -> list[str]:
        """Return all options of the config, in the order of declaration."""
        return [*self._options]

    @property
    def placed(self) -> list[str]:
        """Return the options that have a control, in the order of declaration."""
        return [path for path in self._options if path in self._controls]

    @property
    def inputs(self) -> list[Component]:
        """Return the components to read, in the order of declaration."""
        return [self._controls[path].component for path in self.placed]

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `fill` and `paint` update."""
        return [*self.inputs, *(box for box, _ in self._accordions)]

    def parse(self, *values: Any) -> Config:
        """Return the config the controls hold. Raises ConfigInvalid."""
        content, unreadable = self._content(values)
        try:
            config = self._type.model_validate(content)
        except ValidationError as error:
            raise ConfigInvalid(problems=validation.lines(error)) from error
        if unreadable:
            lines = [f"{path}: {why}" for path, why in unreadable.items()]
            raise ConfigInvalid(problems="\n".join(lines))
        return config

    def lenient(self, *values: Any) -> Config:
        """Return the config the controls hold, with defaults where a value cannot be used."""
        content, _ = self._content(values)
        return self._type.model_validate(_mended(self._type, content, self._options))

    def validate(self, *values: Any, lang: str = "en") -> dict[str, str]:
        """Return a sentence per option whose value cannot be used."""
        content, unreadable = self._content(values)
        problems = {path: t("form.not_json", lang, reason=why) for path, why in unreadable.items()}
        try:
            config = self._type.model_validate(content)
        except ValidationError as error:
            explained = reversed(validation.explain(error, lang))
            wrong = {path: _capital(text) for path, text in explained}
            found = wrong | self._empty(values, lang) | problems
            return {path: found[path] for path in sorted(found, key=self.placed.index)}
        lacks = {path: _needs(reason, lang) for path, reason in requirements.unmet(config)}
        return lacks | problems

    def _empty(self, values: Sequence[Any], lang: str) -> dict[str, str]:
        held = zip(self.placed, values, strict=True)
        empty = [p for p, value in held if value is None and self._controls[p].kind == "number"]
        return {path: t("form.empty", lang) for path in empty}

    def fill(self, config: Config) -> list[Update]:
        """Return updates of `outputs` that show a config."""
        content = config.model_dump()
        shown = [
            self._update(path, content, {})
            | {"value": self._controls[path].show(_value(content, path))}
            for path in self.placed
        ]
        return [*shown, *self._boxes(content, {})]

    def paint(self, values: Sequence[Any], problems: Mapping[str, str]) -> list[Update]:
        """Return updates of `outputs`: what applies is shown, and each problem by its control."""
        content, _ = self._content(values)
        shown = [self._update(path, content, problems) for path in self.placed]
        return [*shown, *self._boxes(content, problems)]

    def _update(self, path: str, content: Content, problems: Mapping[str, str]) -> Update:
        option = self._options[path]
        help_text = problems.get(path) or str(option_help(option))
        classes = ["et-problem"] if path in problems else []
        return gr.update(visible=applies(option, content), info=help_text, elem_classes=classes)

    def _boxes(self, content: Content, problems: Mapping[str, str]) -> list[Update]:
        return [self._box(paths, content, problems) for _, paths in self._accordions]

    def _box(self, paths: list[str], content: Content, problems: Mapping[str, str]) -> Update:
        visible = any(applies(self._options[path], content) for path in paths)
        if any(path in problems for path in paths):
            # A message in a closed accordion would not be seen.
            return gr.update(visible=visible, open=True)
        return gr.update(visible=visible)

    def _content(self, values: Sequence[Any]) -> tuple[Content, dict[str, str]]:
        """Return the config as nested dicts, and why some values could not be read.

        An option that does not apply is hidden, so a broken value there counts as its default.
        """
        content: Content = self._type().model_dump()
        unreadable: dict[str, str] = {}
        for path, value in zip(self.placed, values, strict=True):
            section, _, name = path.partition(".")
            try:
                content[section][name] = self._controls[path].read(value)
            except controls.NotJson as error:
                unreadable[path] = str(error)
        hidden = {path for path in self.placed if not applies(self._options[path], content)}
        return _mended(self._type, content, hidden), {
            p: w for p, w in unreadable.items() if p not in hidden
        }


def toast(problems: Mapping[str, str], lang: str) -> str:
    """Return one text with the label and the sentence of every problem."""
    return " ".join(f"{option_name(path, lang)}: {text}" for path, text in problems.items())


def _mended(kind: type[BaseModel], content: Content, paths: Collection[str]) -> Content:
    """Return the content with the broken ones among these options at their defaults."""
    try:
        kind.model_validate(content)
    except ValidationError as error:
        default = kind().model_dump()
        for path, _ in validation.explain(error):
            section, _, name = path.partition(".")
            if path in paths:
                content[section][name] = default[section][name]
    return content


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _value(content: Content, path: str) -> Any:
    section, _, name = path.partition(".")
    return content[section][name]


def _needs(reason: EasyTuneError, lang: str) -> str:
    values = reason.values
    if values.get("reason") == requirements.GPU:
        return t("form.needs_gpu", lang, **values)
    return t(f"error.{reason.code()}", lang, **values)
