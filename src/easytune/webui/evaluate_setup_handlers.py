"""What the setup of an evaluation does: from values to updates, with one service call between."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from easytune import config_file
from easytune.config_file import Loaded
from easytune.data.stored import Reference
from easytune.errors import EasyTuneError, FileMissing
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import EvaluationInvalid
from easytune.i18n import t
from easytune.webui import config_bar, evaluate_progress_view, evaluate_setup_choices, pickers
from easytune.webui.context import Context
from easytune.webui.evaluate_setup import SetupPanel
from easytune.webui.evaluate_setup_choices import EARLIER, Machine
from easytune.webui.form import Form, toast
from easytune.webui.spoken import sentence, spoken

# Which control an error of a service is about.
BLAMED = {
    "model_unknown": "candidates.models",
    "model_missing": "candidates.models",
    "model_incomplete": "candidates.models",
    "model_pickled": "candidates.models",
    "model_unloadable": "candidates.models",
    "adapter_mismatch": "candidates.models",
    "adapter_pickled": "candidates.models",
    "adapter_unsafe": "candidates.models",
    "base_missing": "candidates.models",
    "remote_code_refused": "candidates.models",
    "candidate_changed": "candidates.models",
    "run_missing": "test.datasets",
    "nothing_to_ask": "test.datasets",
    "held_out_missing": "test.datasets",
    "file_missing": "test.datasets",
    "file_empty": "test.datasets",
    "file_unreadable": "test.datasets",
    "format_unknown": "test.datasets",
    "column_missing": "test.datasets",
    "dataset_unknown": "test.datasets",
    "version_unknown": "test.datasets",
    "version_damaged": "test.datasets",
    "dataset_entry_unusable": "test.datasets",
    "probe_unusable": "measure.probe",
    "pattern_invalid": "measure.pattern",
}
# What else can name a model, a file or a dataset.
BESIDE = ("judge.model", "measure.probe")
Update = dict[str, Any]
Kept = dict[str, Any]


class SetupHandlers:
    """Values in, updates out; nothing of a visitor is kept."""

    def __init__(self, context: Context, panel: SetupPanel) -> None:
        """Serve the form of `panel`."""
        self._context = context
        self._form: Form[EvaluateConfig] = panel.form
        self._blank = len(panel.filled)

    def entered(
        self, request: gr.Request, kept: Kept | None, held: str, *values: Any
    ) -> list[Update]:
        """Fill the form with what the visitor left, or was sent here to evaluate.

        Somebody who only comes back finds it as it was, with what there is to choose now.
        """
        lang, machine, left = self._lang(request), self.machine(), kept or {}
        wanted = str(left.get("model") or "")
        if held and not wanted:
            return self._offering(self._form.lenient(*values), machine, lang)
        config = self._form.lenient(*values) if held else _draft(left.get("yaml"))
        if wanted:
            config = machine.about(wanted, config or EvaluateConfig())
        return self._shown(config or machine.first(), machine, lang)

    def edited(self, request: gr.Request, shell: Any, held: str, *values: Any) -> list[Any]:
        """Show what applies, what is wrong, and the configuration as a file."""
        problems = self._form.validate(*values, lang=self._lang(request))
        painted = self._form.paint(values, problems)
        if problems:
            return [*painted, gr.skip(), gr.skip(), gr.skip(), held]
        yaml, command, name = config_bar.texts(self._form.parse(*values), shell)
        return [*painted, yaml, command, name, yaml]

    def chosen(self, request: gr.Request, *values: Any) -> list[Update]:
        """Offer the rows that the runs of the chosen models kept back, and say what will be asked.

        Updates of the test sets and the facts.
        """
        config, lang = self._form.lenient(*values), self._lang(request)
        choices = self.machine().sets_offered(config, lang)
        return [gr.update(choices=choices), self._facts(config, lang)]

    def checkpoints(self, request: gr.Request, *values: Any) -> list[Update]:
        """Add the checkpoints of the chosen runs; say so when there are none."""
        lang, machine, config = self._lang(request), self.machine(), self._form.lenient(*values)
        more = machine.with_checkpoints(config)
        if more == config:
            gr.Info(t("evaluate.no_checkpoints", lang), title="")
        return self._shown(more, machine, lang)

    def uploaded(self, request: gr.Request, files: list[str], *values: Any) -> list[Update]:
        """Keep uploaded files and add them to the test sets, in place of the demo ones."""
        lang, kept = self._lang(request), []
        for file in files or []:
            try:
                kept.append(str(pickers.accept(Path(file), self._context.home)))
            except EasyTuneError as error:
                refused = t("train.upload_refused", lang)
                gr.Warning(escape(sentence(error, lang), quote=False), title=refused)
        config = self._form.lenient(*values)
        own = [n for n in config.test.datasets if not (kept and n.startswith("demo/"))]
        names = tuple(dict.fromkeys([*own, *kept]))
        return self._shown(config.changed(test__datasets=names), self.machine(), lang)

    def opened(self, request: gr.Request, file: str) -> list[Any]:
        """Fill the form from a YAML file."""
        return self._read(lambda lang: _from_file(Path(file), lang), self._lang(request))

    def opened_saved(self, request: gr.Request, choice: str | None) -> list[Any]:
        """Fill the form from a bundled configuration or from that of an earlier evaluation."""
        if not choice:
            return [gr.skip() for _ in range(self._blank + 1)]
        kind, _, name = choice.partition(":")
        if kind == EARLIER:
            return self._read(lambda _: Loaded(self._earlier(name)), self._lang(request))
        file = evaluate_setup_choices.CONFIGS / Path(name).name
        return self._read(lambda lang: _from_file(file, lang), self._lang(request))

    def saved(self) -> Update:
        """Return what there is to open: bundled configurations, earlier evaluations."""
        earlier = self._context.evaluations.list()
        found = [(f"{one.name} · {one.id}", f"{EARLIER}:{one.id}") for one in earlier]
        return gr.update(choices=[*evaluate_setup_choices.bundled(), *found], value=None)

    def started(self, request: gr.Request, shown: str, *values: Any) -> list[Any]:
        """Submit the evaluation and show it, or say what stands in the way."""
        lang = self._lang(request)
        problems = self._form.validate(*values, lang=lang)
        if not problems:
            config = self._form.parse(*values)
            try:
                evaluation = self._context.evaluations.submit(config)
                return [*self._form.paint(values, {}), evaluation]
            except EasyTuneError as error:
                problems = self._blamed(error, config, lang)
        said = escape(toast(problems, lang), quote=False)
        gr.Warning(said, title=t("evaluate.not_started", lang), duration=12)
        return [*self._form.paint(values, problems), shown]

    def machine(self) -> Machine:
        """Look at what there is on this machine now."""
        context = self._context
        return Machine(context.home, context.chat.catalogue.list(), context.runs)

    def _earlier(self, evaluation: str) -> EvaluateConfig:
        return self._context.evaluations.story(evaluation).order.config

    def _read(self, load: Any, lang: str) -> list[Any]:
        try:
            loaded: Loaded[EvaluateConfig] = load(lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        notices = config_bar.notices(loaded, lang)
        if notices:
            gr.Info(t("train.opened_with_notices", lang, count=len(loaded.notices)))
        shown = self._shown(loaded.config, self.machine(), lang)
        return [*shown, gr.update(value=notices, visible=bool(notices))]

    def _blamed(self, error: EasyTuneError, config: EvaluateConfig, lang: str) -> dict[str, str]:
        about = BLAMED.get(error.code())
        if isinstance(error, EvaluationInvalid):
            about = error.option
        elif about is not None:
            named = [str(value) for value in error.values.values()]
            about = next((path for path in BESIDE if _is_named(config, path, named)), about)
        if about not in self._form.placed:
            raise spoken(error, lang) from error
        return {str(about): sentence(error, lang)}

    def _shown(self, config: EvaluateConfig, machine: Machine, lang: str) -> list[Update]:
        """Return updates of the form and the facts that show a config."""
        filled = self._form.fill(config)
        for path, choices in machine.offered(config, lang).items():
            place = self._form.placed.index(path)
            filled[place] = {**filled[place], "choices": choices}
        return [*filled, self._facts(config, lang)]

    def _offering(self, config: EvaluateConfig, machine: Machine, lang: str) -> list[Update]:
        """Return updates of the form and the facts that leave every value as it is."""
        offered = machine.offered(config, lang)
        updates = [
            gr.update(choices=offered[path]) if path in offered else gr.skip()
            for path in self._form.placed
        ]
        boxes = [gr.skip() for _ in range(self._blank - len(updates) - 1)]
        return [*updates, *boxes, self._facts(config, lang)]

    def _facts(self, config: EvaluateConfig, lang: str) -> Update:
        """Return how much will be asked, and earlier evaluations of the models, to open."""
        models, evaluations = config.candidates.models, self._context.evaluations
        found = [one for name in models for one in evaluations.of_model(name)]
        distinct = {one.id: one for one in found}
        asked = evaluate_progress_view.asked(self._counts(config, lang), len(models), lang)
        return gr.update(value=asked + evaluate_progress_view.links([*distinct.values()], lang))

    def _counts(self, config: EvaluateConfig, lang: str) -> list[int | str | None]:
        """Return how many rows of each test set will be asked, or why it cannot be."""
        counts: list[int | str | None] = []
        for name in dict.fromkeys(config.test.datasets):
            try:
                counts.append(self._context.evaluations.rows_asked(name, config))
            except EasyTuneError as error:
                counts.append(sentence(error, lang))
        return counts

    def _lang(self, request: gr.Request) -> str:
        return self._context.language_of(request)


def _from_file(file: Path, lang: str) -> Loaded[EvaluateConfig]:
    if not file.is_file():
        raise FileMissing(path=file.name)
    return config_file.load_file(file, lang, EvaluateConfig)


def _is_named(config: EvaluateConfig, path: str, names: Sequence[str]) -> bool:
    """Tell whether an error with these facts is about what the option at `path` names."""
    section, _, option = path.partition(".")
    value = str(getattr(getattr(config, section), option))
    reference = Reference.parse(value)
    known = {value, reference.id if reference else str(Path(value).expanduser().resolve())}
    # A name that is measured too is blamed there.
    return bool(value and known & {*names}) and value not in (
        *config.candidates.models, *config.test.datasets
    )  # fmt: skip


def _draft(text: Any) -> EvaluateConfig | None:
    """Return what the browser kept; None when it is nothing, or from another version."""
    if not isinstance(text, str) or not text.strip():
        return None
    try:
        return config_file.load(text, kind=EvaluateConfig).config
    except EasyTuneError:
        return None
