"""What the setup of an evaluation does: from values to updates, with one service call between."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from easytune.data.stored import Reference
from easytune.errors import EasyTuneError
from easytune.evaluation import EvaluateConfig
from easytune.evaluation_errors import EvaluationInvalid
from easytune.i18n import t
from easytune.services.evaluations import Evaluations
from easytune.webui import evaluate_progress_view, evaluate_setup_choices, pickers
from easytune.webui.context import Context
from easytune.webui.evaluate_setup import SetupPanel
from easytune.webui.evaluate_setup_choices import Machine
from easytune.webui.job_setup import SetupDesk, Update
from easytune.webui.pickers import Choice
from easytune.webui.spoken import sentence

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


class SetupHandlers(SetupDesk[EvaluateConfig]):
    """Values in, updates out; nothing of a visitor is kept."""

    name = "evaluate"
    configs = evaluate_setup_choices.CONFIGS

    def __init__(self, context: Context, panel: SetupPanel) -> None:
        """Serve the form of `panel`."""
        super().__init__(context, panel.form, EvaluateConfig)

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
        return self._shown(more, lang)

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
        return self._shown(config.changed(test__datasets=names), lang)

    def machine(self) -> Machine:
        """Look at what there is on this machine now."""
        context = self._context
        return Machine(context.home, context.chat.catalogue.list(), context.runs)

    def _jobs(self) -> Evaluations:
        return self._context.evaluations

    def _submit(self, config: EvaluateConfig) -> str:
        return self._context.evaluations.submit(config)

    def _first(self) -> EvaluateConfig:
        return self.machine().first()

    def _about(self, model: str, config: EvaluateConfig) -> EvaluateConfig:
        return self.machine().about(model, config)

    def _offered(self, config: EvaluateConfig, lang: str) -> dict[str, list[Choice]]:
        return self.machine().offered(config, lang)

    def _beside(self, config: EvaluateConfig, lang: str) -> list[Update]:
        return [self._facts(config, lang)]

    def _blame(self, error: EasyTuneError, config: EvaluateConfig) -> str | None:
        if isinstance(error, EvaluationInvalid):
            return error.option
        about = BLAMED.get(error.code())
        if about is None:
            return None
        named = [str(value) for value in error.values.values()]
        return next((path for path in BESIDE if _is_named(config, path, named)), about)

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
