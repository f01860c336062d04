"""What the Train tab does: from values to updates, with one call to a service between."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from easytune import config_file, model_files
from easytune.config import TrainConfig
from easytune.config_file import Loaded
from easytune.data import preview as data_preview
from easytune.data.stored import Reference
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.intents import EXPERT
from easytune.webui import (
    column_mapping,
    config_bar,
    guide,
    pickers,
    preview_panel,
    suggestion_panel,
)
from easytune.webui.context import Context
from easytune.webui.drafts import Drafts
from easytune.webui.form import Form, toast
from easytune.webui.spoken import sentence, spoken
from easytune.webui.suggestions import Held, Suggested, Suggestions, value

# The controls whose choices depend on what is on this machine.
PICKED = ("goal.intent", "model.base_model", "data.datasets", "data.held_out_file",
          "lora.target_modules", "data.replay", "monitor.probe")  # fmt: skip
# Which control an error of a service is about.
BLAMED = {
    "model_missing": "model.base_model",
    "model_incomplete": "model.base_model",
    "model_pickled": "model.base_model",
    "model_unloadable": "model.base_model",
    "output_not_empty": "output.folder",
    "folder_unwritable": "output.folder",
    "disk_full": "output.folder",
    "file_missing": "data.datasets",
    "file_empty": "data.datasets",
    "file_unreadable": "data.datasets",
    "format_unknown": "data.datasets",
    "column_missing": "data.columns",
    "dataset_unknown": "data.datasets",
    "version_unknown": "data.datasets",
    "version_damaged": "data.datasets",
    "too_few_rows": "data.datasets",
    "nothing_to_train": "data.datasets",
    "stage_mismatch": "data.stage",
    "template_failed": "data.chat_template",
    "template_invalid": "data.chat_template",
    "dataset_entry_unusable": "data.datasets",
    "replay_unusable": "data.replay",
    "probe_unusable": "monitor.probe",
}
# Where rows can come from besides the datasets.
SOURCES = ("data.held_out_file", "data.replay", "monitor.probe")
Update = dict[str, Any]


class TrainHandlers:
    """Values in, updates out; nothing of a visitor is kept."""

    def __init__(self, context: Context, form: Form[TrainConfig]) -> None:
        """Serve the tab whose controls are those of `form`."""
        self._context = context
        self._form = form
        self._drafts = Drafts(context.home)
        self._suggestions = Suggestions(context.home, context.advice)

    def edited(
        self, request: gr.Request, shell: Any, draft: str, held: Held | None, *values: Any
    ) -> list[Any]:
        """Show what applies, what is wrong, what is suggested, and the configuration as a file.

        Values that nobody touched follow the suggestion.
        """
        lang = self._lang(request)
        problems = self._form.validate(*values, lang=lang)
        found = self._suggestions.look(
            self._form.lenient(*values), None if problems else held, lang
        )
        painted = self._painted(values, problems, found)
        told = suggestion_panel.shown(found, lang, is_held=not problems)
        mirrored = guide.shown(found, lang)
        if "data.datasets" in problems:
            # Somebody is between two choices: no default is put into their hands.
            mirrored[0] = gr.skip()
        beside = [*told, *mirrored]
        if problems:
            return [*painted, gr.skip(), gr.skip(), gr.skip(), draft, *beside]
        yaml, command, name = config_bar.texts(found.config, shell)
        return [*painted, yaml, command, name, yaml, *beside]

    def measured(
        self, request: gr.Request, shell: Any, draft: str, held: Held | None, *values: Any
    ) -> Any:
        """Bring the suggestion up to date once the data have been looked at."""
        if self._suggestions.is_measuring(self._form.lenient(*values)):
            return gr.skip()
        return self.edited(request, shell, draft, held, *values)

    def intent_chosen(self, request: gr.Request, *values: Any) -> list[Any]:
        """Fill the form with what the intent in it suggests."""
        return self._suggested(self._form.lenient(*values), self._lang(request))

    def intent_picked(self, request: gr.Request, event: gr.EventData, *values: Any) -> list[Any]:
        """Fill the form with what the intent of a card suggests."""
        lang, wanted = self._lang(request), str(event._data.get("intent", ""))
        config = self._form.lenient(*values)
        known = self._suggestions.intents(lang).found
        if wanted not in known and wanted != EXPERT:
            return self._suggested(config, lang)
        return self._suggested(config.changed(goal__intent=wanted), lang)

    def wished(self, request: gr.Request, wish: str, *values: Any) -> list[Any]:
        """Propose an intent for a wish in plain words."""
        lang = self._lang(request)
        config = self._form.lenient(*values)
        known = self._suggestions.intents(lang)
        return guide.proposed(known, config.goal.intent, wish, lang)

    def taken_back(self, request: gr.Request, event: gr.EventData, *values: Any) -> list[Update]:
        """Put one value back to the suggestion, or all."""
        found = self._suggestions.look(self._form.lenient(*values), None, self._lang(request))
        paths = suggestion_panel.wanted(event, found)
        assert found.suggestion is not None or not paths
        config = found.suggestion.config if found.suggestion else found.config
        return self._only(config, paths)

    def previewed(self, request: gr.Request, row: float | None, *values: Any) -> list[Update]:
        """Show a row the way the model sees it."""
        lang = self._lang(request)
        problems = self._form.validate(*values, lang=lang)
        if any(path.startswith(("model.", "data.")) for path in problems):
            return preview_panel.say(t("train.preview.settings_first", lang))
        config = self._form.lenient(*values)
        return preview_panel.look(config, self._context.home, row, lang)

    def earlier(self, request: gr.Request, row: float | None, *values: Any) -> list[Update]:
        """Show the row before."""
        return self.previewed(request, (row or 1) - 1, *values)

    def later(self, request: gr.Request, row: float | None, *values: Any) -> list[Update]:
        """Show the row after."""
        return self.previewed(request, (row or 0) + 1, *values)

    def model_chosen(self, request: gr.Request, *values: Any) -> list[Update]:
        """Show the facts of the chosen model, its layers, and what else can be chosen."""
        lang, home = self._lang(request), self._context.home
        config = self._form.lenient(*values)
        targets = list(self._form.control("lora.target_modules").option.knob.choices)
        try:
            line = pickers.facts(config.model, home, lang)
            targets += pickers.linear_modules(config.model, home)
        except EasyTuneError as error:
            line = pickers.problem(sentence(error, lang))
        offered = self._offered(config, lang) | {"lora.target_modules": targets}
        models, datasets = offered["model.base_model"], offered["data.datasets"]
        picked = [gr.update(choices=offered[path]) for path in PICKED]
        # One update each: Gradio takes them apart.
        facts = [gr.update(value=line) for _ in range(2)]
        return [*facts, gr.update(choices=models), gr.update(choices=datasets), *picked]

    def uploaded(self, request: gr.Request, files: list[str], chosen: list[str]) -> list[Any]:
        """Keep uploaded files and add them to the chosen datasets, in place of the demo ones."""
        lang, kept = self._lang(request), []
        for file in files or []:
            try:
                kept.append(str(pickers.accept(Path(file), self._context.home)))
            except EasyTuneError as error:
                gr.Warning(
                    escape(sentence(error, lang), quote=False),
                    title=t("train.upload_refused", lang),
                )
        own = [name for name in chosen if not (kept and name.startswith("demo/"))]
        names = list(dict.fromkeys([*own, *kept]))
        choices = pickers.datasets(self._context.home, lang, names)
        return [gr.update(value=names, choices=choices), gr.update(value=1)]

    def mapped(self, *columns: str | None) -> str:
        """Return the mapping chosen by hand as the control of `data.columns` holds it."""
        return self._form.control("data.columns").show(column_mapping.mapping(*columns))

    def opened(self, request: gr.Request, file: str) -> list[Any]:
        """Fill the form from a YAML file."""
        lang = self._lang(request)
        try:
            return self._filled(config_file.load_file(Path(file), lang), lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def opened_saved(self, request: gr.Request, choice: str | None) -> list[Any]:
        """Fill the form from a bundled configuration or from that of a run."""
        lang = self._lang(request)
        if not choice:
            return [gr.skip() for _ in range(len(self._form.outputs) + 2)]
        try:
            return self._filled(config_bar.open_saved(choice, self._context.runs, lang), lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def restored(self, draft: str | None) -> list[Any]:
        """Fill the form with what the visitor left, and refresh what there is to choose."""
        filled = self._form.fill(self._drafts.first(draft))
        saved = gr.update(choices=config_bar.choices(self._context.runs), value=None)
        return [*filled, None, saved]

    def started(self, request: gr.Request, shown: str, *values: Any) -> list[Any]:
        """Submit the run and select it, or say what stands in the way."""
        lang = self._lang(request)
        problems = self._form.validate(*values, lang=lang)
        if not problems:
            config = self._form.parse(*values)
            try:
                return [*self._form.paint(values, {}), self._submit(config, lang)]
            except EasyTuneError as error:
                problems = self._blamed(error, config, lang)
        gr.Warning(
            escape(toast(problems, lang), quote=False),
            title=t("train.not_started", lang),
            duration=12,
        )
        return [*self._form.paint(values, problems), shown]

    def stopped(self, request: gr.Request, run_id: str) -> None:
        """Ask the run on the right to finish its step and keep what it has."""
        try:
            self._context.runs.stop(run_id)
        except EasyTuneError as error:
            raise spoken(error, self._lang(request)) from error

    def proposed(
        self, request: gr.Request, proposal: dict[str, Any] | None, held: Held | None, *values: Any
    ) -> list[Any]:
        """Fill the form with a configuration that the live run, or the Data tab, proposes."""
        if not proposal:
            return [gr.skip() for _ in range(len(self._form.outputs) + 1)]
        gr.Info(t("train.proposal_filled", self._lang(request)), title="")
        config = TrainConfig.model_validate(proposal)
        before = self._form.lenient(*values)
        return [*self._form.fill(config), suggestion_panel.kept(held, before, config)]

    def _submit(self, config: TrainConfig, lang: str) -> str:
        folder = model_files.resolve(config.model, self._context.home)
        if folder is not None:
            # A dataset that cannot be read is told before the run, not by it.
            data_preview.preview(config.data, folder, 0, config.schedule.seed, self._context.home)
        run_id = self._context.runs.submit(config)
        self._drafts.remember(config)
        if self._context.runs.latest() != run_id:
            gr.Info(t("train.queued", lang), title=t("train.queued_title", lang))
        return run_id

    def _blamed(self, error: EasyTuneError, config: TrainConfig, lang: str) -> dict[str, str]:
        if error.code() not in BLAMED:
            raise spoken(error, lang) from error
        about = str(error.values.get("path") or error.values.get("dataset") or "")
        named = (path for path in SOURCES if _is_about(about, value(config, path)))
        return {next(named, BLAMED[error.code()]): sentence(error, lang)}

    def _filled(self, loaded: Loaded, lang: str) -> list[Any]:
        notices = config_bar.notices(loaded, lang)
        if notices:
            gr.Info(t("train.opened_with_notices", lang, count=len(loaded.notices)))
        shown = gr.update(value=notices, visible=bool(notices))
        # A file says exactly what is to run: nothing in it follows a suggestion.
        return [*self._form.fill(loaded.config), None, shown]

    def _suggested(self, config: TrainConfig, lang: str) -> list[Any]:
        """Return updates of the form's inputs and of what the page holds."""
        found = self._suggestions.chosen(config, lang)
        return [*self._only(found.config, ["goal.intent", *found.followed]), found.held]

    def _only(self, config: TrainConfig, paths: Sequence[str]) -> list[Update]:
        """Return updates of the form's inputs that show these options of a config."""
        content = config.model_dump()
        return [
            gr.update(value=self._form.control(path).show(content[section][name]))
            if path in paths
            else gr.skip()
            for path in self._form.placed
            for section, _, name in [path.partition(".")]
        ]

    def _painted(
        self, values: Sequence[Any], problems: Mapping[str, str], found: Suggested
    ) -> list[Update]:
        """Return updates of the form's outputs, with the values that follow the suggestion."""
        held, content = [*values], found.config.model_dump()
        for path in found.followed:
            section, _, name = path.partition(".")
            shown = self._form.control(path).show(content[section][name])
            held[self._form.placed.index(path)] = shown
        painted = self._form.paint(held, problems)
        for path in found.followed:
            place = self._form.placed.index(path)
            painted[place] = {**painted[place], "value": held[place]}
        return painted

    def _offered(self, config: TrainConfig, lang: str) -> dict[str, list[Any]]:
        """Return what can be chosen where that depends on this machine, by option."""
        home, data = self._context.home, config.data
        held_out = pickers.datasets(home, lang, [data.held_out_file or ""])
        return {
            "goal.intent": guide.choices(self._suggestions.intents(lang), lang),
            "model.base_model": pickers.models(home),
            "data.datasets": pickers.datasets(home, lang, data.datasets),
            "data.held_out_file": [one for one in held_out if not one[1].startswith("demo/")],
            "data.replay": pickers.general(home, lang, "replay", data.replay),
            "monitor.probe": pickers.general(home, lang, "probe", config.monitor.probe),
        }

    def _lang(self, request: gr.Request) -> str:
        return self._context.language_of(request)


def _is_about(about: str, source: str | None) -> bool:
    """Tell whether an error about a dataset or a file, by its full path, is about this source."""
    if not about or not source:
        return False
    reference = Reference.parse(source)
    name = reference.id if reference else str(Path(source).expanduser().resolve())
    return about in (name, source)
