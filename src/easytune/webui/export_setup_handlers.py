"""What the setup of an export does: from values to updates, with one service call between."""

from typing import Any

import gradio as gr

from easytune import paths
from easytune.errors import EasyTuneError
from easytune.export import STRENGTHS, ExportConfig
from easytune.export_errors import ExportInvalid
from easytune.exporters import EXPORTERS, space
from easytune.i18n import t
from easytune.services.catalogue import Model
from easytune.services.exports import Exports
from easytune.webui import export_setup, export_view, model_picker, pickers
from easytune.webui.context import Context
from easytune.webui.export_setup import SetupPanel
from easytune.webui.job_setup import SetupDesk, Update
from easytune.webui.pickers import Choice
from easytune.webui.spoken import spoken

# Which control an error of a service is about; others are about the target, and said in the facts.
BLAMED = {
    "model_unknown": "what.models",
    "model_missing": "what.models",
    "model_incomplete": "what.models",
    "model_pickled": "what.models",
    "model_unloadable": "what.models",
    "adapter_mismatch": "what.models",
    "adapter_pickled": "what.models",
    "adapter_unsafe": "what.models",
    "base_missing": "what.models",
    "base_changed": "what.models",
    "base_quantized": "what.models",
    "no_adapter": "what.models",
    "remote_code_refused": "what.models",
    "export_name_taken": "result.name",
    "hub_name_invalid": "hub.repository",
    "hub_token_missing": "hub.hub",
}


class SetupHandlers(SetupDesk[ExportConfig]):
    """Values in, updates out; nothing of a visitor is kept."""

    name = "export"
    configs = export_setup.CONFIGS

    def __init__(self, context: Context, panel: SetupPanel) -> None:
        """Serve the form of `panel`."""
        super().__init__(context, panel.form, ExportConfig)

    def chosen(self, request: gr.Request, *values: Any) -> list[Update]:
        """Say which targets the chosen models can take, and how much room they need.

        Updates of the cards and the facts.
        """
        return self._beside(self._form.lenient(*values), self._lang(request))

    def targeted(self, event: gr.EventData, request: gr.Request, *values: Any) -> list[Update]:
        """Take the target whose card was clicked; updates of all that is filled."""
        wanted = str(event._data.get("target", ""))
        config = self._form.lenient(*values)
        if wanted not in EXPORTERS:
            return [gr.skip() for _ in range(len(self._form.outputs) + 2)]
        return self._shown(config.changed(what__target=wanted), self._lang(request))

    def measured(self, request: gr.Request, shown: str, *values: Any) -> list[Any]:
        """Ask for what is learned and forgotten at several strengths, and show it."""
        wanted = self._form.lenient(*values)
        chosen = {"what__strengths": wanted.what.strengths or STRENGTHS, "what__target": "adapter"}
        lang = self._lang(request)
        try:
            return [self._submit(wanted.changed(**chosen, result__name=""))]
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def strengthened(self, event: gr.EventData, request: gr.Request, *values: Any) -> list[Update]:
        """Take the strength of the point that was clicked; updates of all that is filled."""
        wanted = event._data.get("strength")
        config = self._form.lenient(*values)
        if not isinstance(wanted, int | float) or not 0 <= wanted <= STRENGTHS[-1]:
            return [gr.skip() for _ in range(len(self._form.outputs) + 2)]
        lang = self._lang(request)
        gr.Info(t("strengths.taken", lang, strength=f"{wanted:g}"))
        return self._shown(config.changed(what__strength=wanted, what__strengths=()), lang)

    def _jobs(self) -> Exports:
        return self._context.exports

    def _submit(self, config: ExportConfig) -> str:
        return self._context.exports.submit(config)

    def _first(self) -> ExportConfig:
        """Return what a newcomer finds: the newest adapter, else the demo model whole."""
        newest = model_picker.suggested(self._models())
        return self._about(newest.id if newest else model_picker.DEMO, ExportConfig())

    def _about(self, model: str, config: ExportConfig) -> ExportConfig:
        found = next((one for one in self._models() if one.id == model), None)
        if found is not None and not found.is_adapter and config.what.target == "adapter":
            # A whole model has no adapter to export.
            config = config.changed(what__target="merged")
        return config.changed(what__models=(model,), what__weights=(), result__name="")

    def _offered(self, config: ExportConfig, lang: str) -> dict[str, list[Choice]]:
        chosen = config.what.models
        shown = [one for one in self._models() if one.problem is None or one.id in chosen]
        rows = (config.what.rows,) if config.what.rows else ()
        return {
            "what.models": [(_line(one, lang), one.id) for one in shown],
            "what.rows": pickers.datasets(self._context.home, lang, rows),
        }

    def _beside(self, config: ExportConfig, lang: str) -> list[Update]:
        offers, target = self._context.exports.offers(config), config.what.target
        free = space.free_bytes(paths.exports(self._context.home))
        said = export_view.facts(offers, target, free, lang)
        if target == "hub":
            said += export_view.model_card(self._context.exports.model_card(config), lang)
        earlier = {
            one.id: one
            for model in config.what.models
            for one in self._context.exports.of_model(model)
        }
        said += export_view.links([*earlier.values()], lang)
        return [gr.update(value=export_view.targets(offers, target, lang)), gr.update(value=said)]

    def _blame(self, error: EasyTuneError, config: ExportConfig) -> str | None:
        return error.option if isinstance(error, ExportInvalid) else BLAMED.get(error.code())

    def _models(self) -> list[Model]:
        return self._context.chat.catalogue.list()


def _line(model: Model, lang: str) -> str:
    parts = [model_picker.title(model, lang), t(f"evaluate.kind.{model.kind}", lang)]
    if model.problem is not None:
        parts.append(t("chat.unusable", lang))
    return " · ".join(parts)
