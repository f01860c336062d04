"""The columns of a comparison on the page: a model each, and how they are asked."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from easytune.generation import GenerationConfig, options
from easytune.i18n import t
from easytune.services.catalogue import Catalogue
from easytune.services.comparison import FEWEST_COLUMNS, MOST_COLUMNS, Column
from easytune.webui import model_picker
from easytune.webui.compare_setup import ALL, Setup, first_setup, next_model
from easytune.webui.context import Context
from easytune.webui.form import Form, toast
from easytune.webui.language import button_update, label

_PLACES = range(MOST_COLUMNS)


@dataclass(frozen=True)
class Held:
    """What the panel's `inputs` hold, sorted out."""

    setup: Setup
    own: bool
    system: str
    options: tuple[Any, ...]


class ColumnsPanel:
    """Two to eight model choices, and one set of controls for all columns or for one of them.

    `inputs` is what `read` and `lenient` take; `outputs` is what `show` updates.
    """

    def __init__(self, catalogue: Catalogue, setup: gr.JSON, shown: gr.Textbox) -> None:
        """Build the panel here in the layout.

        `setup` and `shown` are hidden components that keep the setup, and whose manner the controls
        show. These two are apart because an edit may be answered after the controls have moved on
        to another column.
        """
        self._catalogue = catalogue
        self.setup, self.shown = setup, shown
        self.cells: list[gr.Column] = []
        self.models: list[gr.Dropdown] = []
        self.removes: list[gr.Button] = []
        with gr.Row(elem_classes=["compare-models"], elem_id="compare-models"):
            for place in _PLACES:
                self._cell(place)
            self.add = gr.Button(
                label("compare.add_column"), size="sm", elem_id="compare-add", min_width=120,
                elem_classes=["et-outlined", "compare-add"],
            )  # fmt: skip
        with gr.Accordion(label("compare.settings"), open=False, elem_id="compare-settings"):
            self._settings()

    def _cell(self, place: int) -> None:
        shown = place < FEWEST_COLUMNS
        classes = ["compare-cell"]
        with gr.Column(visible=shown, min_width=0, elem_classes=classes) as cell:
            self.cells.append(cell)
            self.models.append(
                model_picker.build(f"compare-model-{place + 1}", label=str(place + 1), min_width=0)
            )
            self.removes.append(
                gr.Button(
                    label("compare.remove_column"), size="sm", visible=False, min_width=0,
                    elem_classes=["compare-remove"], elem_id=f"compare-remove-{place + 1}",
                )
            )  # fmt: skip

    def _settings(self) -> None:
        self.scope = gr.Radio(
            [], value=None, label=label("compare.scope"), interactive=True,
            elem_id="compare-scope", elem_classes=["compare-segments"],
        )  # fmt: skip
        self.own = gr.Checkbox(
            False, label=label("compare.own"), info=label("compare.own_help"), visible=False,
            interactive=True, elem_id="compare-own",
        )  # fmt: skip
        self.form = Form(GenerationConfig(), prefix="compare-")
        paths = [option.path for option in options()]
        with gr.Column(elem_id="compare-manner") as self.manner:
            self.system = gr.Textbox(
                "", label=label("compare.system"), lines=1, max_lines=6, interactive=True,
                placeholder=label("compare.system_empty"), elem_id="compare-system",
            )  # fmt: skip
            with gr.Row(elem_classes=["et-form-grid"]):
                self.form.place(*(path for path in paths if path.startswith("sampling.")))
        with gr.Row(elem_classes=["et-form-grid"]) as self.loading:
            self.form.place(*(path for path in paths if path.startswith("loading.")))

    def wire(self, context: Context) -> None:
        """Connect the panel's own controls."""
        on = _Handlers(context, self)
        now: dict[str, Any] = {
            "queue": False, "show_progress": "hidden", "api_visibility": "private",
        }  # fmt: skip
        edited: dict[str, Any] = {
            "fn": on.edited, "inputs": self.inputs,
            "outputs": [self.setup, self.scope, *self.form.outputs], **now,
        }  # fmt: skip
        shown: dict[str, Any] = {"inputs": self.inputs, "outputs": self.outputs, **now}
        typed = [*self.form.edits(), self.system.blur, self.system.submit]
        gr.on([*typed, *(model.input for model in self.models)], **edited)
        self.own.input(on.owned, **shown)
        self.add.click(on.added, **shown)
        self.scope.input(on.scoped, [self.scope, *self.inputs], self.outputs, **now)
        for place, remove in enumerate(self.removes):
            remove.click(on.removing(place), **shown)

    @property
    def inputs(self) -> list[Any]:
        """Return the components whose values `read` takes."""
        return [
            self.setup, self.shown, *self.models, self.own, self.system, *self.form.inputs,
        ]  # fmt: skip

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `show` updates."""
        fixed = [self.add, self.scope, self.own, self.manner, self.loading, self.system]
        cells = [*self.cells, *self.models, *self.removes]
        return [self.setup, self.shown, *cells, *fixed, *self.form.outputs]

    def read(self, values: tuple[Any, ...]) -> Setup:
        """Return what the controls hold. Raises ConfigInvalid."""
        held = self._held(values)
        config = self.form.parse(*held.options)
        return held.setup.edited(held.own, held.system, config)

    def checked(self, values: tuple[Any, ...], lang: str) -> Setup:
        """Return what the controls hold. Raises gr.Error with what is wrong with it."""
        problems = self.problems(values, lang)
        if problems:
            said = escape(toast(problems, lang), quote=False)
            raise gr.Error(said, title=t("compare.settings", lang), print_exception=False)
        setup = self.read(values)
        if "" in setup.models:
            said = t("compare.choose_model", lang, column=setup.models.index("") + 1)
            raise gr.Error(said, title=t("app.problem", lang), print_exception=False)
        return setup

    def lenient(self, values: tuple[Any, ...]) -> Setup:
        """Return what the controls hold, with defaults where a value cannot be used."""
        held = self._held(values)
        config = self.form.lenient(*held.options)
        return held.setup.edited(held.own, held.system, config)

    def problems(self, values: tuple[Any, ...], lang: str) -> dict[str, str]:
        """Return a sentence per option whose value cannot be used."""
        return self.form.validate(*self._held(values).options, lang=lang)

    def paint(self, values: tuple[Any, ...], problems: dict[str, str]) -> list[Any]:
        """Return updates of the form's outputs with each problem by its control."""
        return self.form.paint(self._held(values).options, problems)

    def first(self) -> Setup:
        """Return the setup a newcomer finds."""
        found = self._catalogue.list()
        return first_setup(found, self._catalogue.defaults("demo"))

    def columns(self, setup: Setup, lang: str) -> list[Column]:
        """Return the columns for a new comparison."""
        return setup.columns(self._titles(lang))

    def _titles(self, lang: str) -> dict[str, str]:
        return model_picker.names(self._catalogue.list(), lang)

    def show(self, setup: Setup, lang: str) -> list[Any]:
        """Return updates of `outputs` that show a setup."""
        count = len(setup.models)
        choices = model_picker.choices(self._catalogue.list(), lang)
        values = [*setup.models, *[None] * (MOST_COLUMNS - count)]
        manner, everyone = setup.shown, setup.scope == ALL
        own = setup.scope in setup.own
        config = GenerationConfig(sampling=manner.sampling, loading=setup.loading)
        return [
            setup.model_dump(mode="json"),
            str(setup.scope),
            *(gr.update(visible=place < count) for place in _PLACES),
            *(gr.update(choices=choices, value=value) for value in values),
            *(
                button_update("compare.remove_column", count > FEWEST_COLUMNS and place < count)
                for place in _PLACES
            ),
            button_update("compare.add_column", count < MOST_COLUMNS),
            gr.update(choices=self.scopes(setup, lang), value=setup.scope),
            gr.update(value=own, visible=not everyone),
            gr.update(visible=everyone or own),
            gr.update(visible=everyone),
            manner.system,
            *self.form.fill(config),
        ]

    def _held(self, values: tuple[Any, ...]) -> Held:
        content, shown, *rest = values
        models, rest = rest[:MOST_COLUMNS], rest[MOST_COLUMNS:]
        own, system, *held = rest
        names = [str(model or "").strip() for model in models]
        setup = Setup.read(content) or self.first()
        scope = int(shown) if str(shown).isdigit() else ALL
        setup = setup.choosing(tuple(names[: len(setup.models)])).looking_at(scope)
        return Held(setup, bool(own), str(system or ""), tuple(held))

    def scopes(self, setup: Setup, lang: str) -> list[tuple[str, int]]:
        """Return the columns the controls can show; a star marks those with their own manner."""
        titles = self._titles(lang)
        columns = [
            (f"{place + 1} · {titles.get(model, model)}{' *' if place in setup.own else ''}", place)
            for place, model in enumerate(setup.models)
        ]
        return [(t("compare.scope_all", lang), ALL), *columns]


class _Handlers:
    """Values in, updates out."""

    def __init__(self, context: Context, panel: ColumnsPanel) -> None:
        self._context = context
        self._panel = panel

    def edited(self, request: gr.Request, *values: Any) -> list[Any]:
        """Remember what was typed, and show what is wrong with it."""
        lang, panel = self._context.language_of(request), self._panel
        problems = panel.problems(values, lang)
        setup = panel.lenient(values)
        scopes = gr.update(choices=panel.scopes(setup, lang))
        painted = panel.paint(values, problems)
        return [setup.model_dump(mode="json"), scopes, *painted]

    def owned(self, request: gr.Request, *values: Any) -> list[Any]:
        """Give the shown column its own manner, or the common one again."""
        return self._shown(request, self._panel.lenient(values))

    def scoped(self, request: gr.Request, scope: Any, *values: Any) -> list[Any]:
        """Show the manner of another column, or of all."""
        chosen = scope if isinstance(scope, int) else ALL
        return self._shown(request, self._panel.lenient(values).looking_at(chosen))

    def added(self, request: gr.Request, *values: Any) -> list[Any]:
        """Add a column."""
        setup = self._panel.lenient(values)
        further = next_model(self._context.chat.catalogue.list(), setup.models)
        return self._shown(request, setup.with_column(further))

    def removing(self, place: int) -> Callable[..., list[Any]]:
        """Return the handler of the button that removes a column."""

        def removed(request: gr.Request, *values: Any) -> list[Any]:
            return self._shown(request, self._panel.lenient(values).without_column(place))

        return removed

    def _shown(self, request: gr.Request, setup: Setup) -> list[Any]:
        return self._panel.show(setup, self._context.language_of(request))
