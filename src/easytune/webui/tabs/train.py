"""The Train tab: what to train on the left, the live run on the right."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.context import Context as GradioContext

from easytune import config_file, model_files
from easytune.config import TrainConfig, options
from easytune.config_file import Loaded
from easytune.data import preview as data_preview
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.webui import column_mapping, config_bar, pickers, preview_panel, run_panel
from easytune.webui.config_bar import ConfigBar
from easytune.webui.context import Context
from easytune.webui.drafts import Drafts, demo
from easytune.webui.form import Form, toast
from easytune.webui.job_monitor import stop_button
from easytune.webui.language import label
from easytune.webui.preview_panel import PreviewPanel
from easytune.webui.run_panel import RunPanel
from easytune.webui.spoken import sentence, spoken

# The controls whose choices depend on what is on this machine.
PICKED = ("model.base_model", "data.datasets", "data.held_out_file", "lora.target_modules")
SECTIONS = {
    "model": ("model",),
    "data": ("data",),
    "lora": ("lora",),
    "optim": ("optim",),
    "schedule": ("schedule",),
    "memory": ("memory",),
    "monitor": ("monitor", "output"),
}
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
}
Update = dict[str, Any]


@dataclass(frozen=True)
class TrainTab:
    """What other tabs need of this one."""

    form: Form
    panel: RunPanel


def build(context: Context, tab: gr.Tab | None = None) -> TrainTab:
    """Build the tab in the Blocks that are open; `tab` is the one it is in, if any."""
    page = _Page(context)
    _wire(page, _Handlers(context, page), tab)
    return TrainTab(page.form, page.live)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self, context: Context) -> None:
        self.form = Form(demo())
        with gr.Row(elem_classes=["et-columns"]):
            with gr.Column(scale=5, min_width=320, elem_id="train-form"):
                self._top(context)
                self._essentials()
                with gr.Accordion(
                    label("train.preview.title"), open=True, elem_id="section-preview"
                ):
                    self.preview: PreviewPanel = preview_panel.build()
                self._sections()
                with gr.Accordion(label("train.file"), open=False, elem_id="section-file"):
                    self.file: ConfigBar = config_bar.build(context.runs)
                with gr.Row(elem_classes=["et-sticky"]):
                    self.start = gr.Button(
                        label("train.start"), variant="primary", scale=3, elem_id="train-start"
                    )
                    self.stop = gr.Button(
                        label("monitor.stop"), variant="stop", visible=False, min_width=120,
                        elem_id="train-stop",
                    )  # fmt: skip
            with gr.Column(scale=6, min_width=320, elem_id="train-live", elem_classes=["et-live"]):
                self.live: RunPanel = run_panel.build(context)
        self.draft = gr.BrowserState("", storage_key="easytune-train-form", secret="easytune")
        self.relabel = gr.Button("", elem_id="train-relabel")

    def _top(self, context: Context) -> None:
        upload_text: Any = label("train.upload")
        with gr.Column(elem_id="train-top"):
            self.form.place("model.base_model")
            self.facts = gr.HTML("", elem_id="train-facts", apply_default_css=False)
            self.form.place("model.method", "data.datasets")
            self.upload = gr.UploadButton(
                upload_text, file_count="multiple", size="sm", elem_id="train-upload",
                elem_classes=["et-outlined"],
            )  # fmt: skip

    def _essentials(self) -> None:
        with gr.Row(elem_classes=["et-form-grid"], elem_id="train-essentials"):
            self.form.place(*_paths("essential"))

    def _sections(self) -> None:
        for key, sections in SECTIONS.items():
            self.form.accordion(key, *_paths("advanced", *sections))
        self.form.accordion("expert", *_paths("expert"))


def _paths(level: str, *sections: str) -> list[str]:
    """Return the options of a level, of all sections or of those named."""
    found = [option for option in options() if option.knob.level == level]
    return [option.path for option in found if not sections or option.section in sections]


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """From values to updates, with one call to a service between."""

    def __init__(self, context: Context, page: _Page) -> None:
        self._context = context
        self._page = page
        self._form = page.form
        self._drafts = Drafts(context.home)

    def edited(self, request: gr.Request, shell: Any, draft: str, *values: Any) -> list[Any]:
        """Show what applies, what is wrong, and the configuration as a file."""
        problems = self._form.validate(*values, lang=self._lang(request))
        painted = self._form.paint(values, problems)
        if problems:
            return [*painted, gr.skip(), gr.skip(), gr.skip(), draft]
        yaml, command, name = config_bar.texts(self._form.parse(*values), shell)
        return [*painted, yaml, command, name, yaml]

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
        model, data = config.model, config.data
        targets = list(self._form.control("lora.target_modules").option.knob.choices)
        try:
            line = pickers.facts(model, home, lang)
            targets += pickers.linear_modules(model, home)
        except EasyTuneError as error:
            line = pickers.problem(sentence(error, lang))
        datasets = pickers.datasets(home, lang, data.datasets)
        held_out = [choice for choice in pickers.datasets(home, lang, [data.held_out_file or ""])
                    if not choice[1].startswith("demo/")]  # fmt: skip
        return [gr.update(value=line), gr.update(choices=pickers.models(home)),
                gr.update(choices=datasets), gr.update(choices=held_out),
                gr.update(choices=targets)]  # fmt: skip

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

    def opened(self, request: gr.Request, file: str) -> list[Update]:
        """Fill the form from a YAML file."""
        lang = self._lang(request)
        try:
            return self._filled(config_file.load_file(Path(file), lang), lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def opened_saved(self, request: gr.Request, choice: str | None) -> list[Update]:
        """Fill the form from a bundled configuration or from that of a run."""
        lang = self._lang(request)
        if not choice:
            return [gr.skip() for _ in range(len(self._form.outputs) + 1)]
        try:
            return self._filled(config_bar.open_saved(choice, self._context.runs, lang), lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def restored(self, draft: str | None) -> list[Update]:
        """Fill the form with what the visitor left, and refresh what there is to choose."""
        filled = self._form.fill(self._drafts.first(draft))
        saved = gr.update(choices=config_bar.choices(self._context.runs), value=None)
        return [*filled, saved]

    def started(self, request: gr.Request, shown: str, *values: Any) -> list[Any]:
        """Submit the run and select it, or say what stands in the way."""
        lang = self._lang(request)
        problems = self._form.validate(*values, lang=lang)
        if not problems:
            try:
                return [
                    *self._form.paint(values, {}),
                    self._submit(self._form.parse(*values), lang),
                ]
            except EasyTuneError as error:
                problems = self._blamed(error, lang)
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

    def proposed(self, request: gr.Request, proposal: dict[str, Any] | None) -> list[Update]:
        """Fill the form with a configuration that the live run proposes."""
        if not proposal:
            return [gr.skip() for _ in self._form.outputs]
        gr.Info(t("train.proposal_filled", self._lang(request)), title="")
        return self._form.fill(TrainConfig.model_validate(proposal))

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

    def _blamed(self, error: EasyTuneError, lang: str) -> dict[str, str]:
        if error.code() not in BLAMED:
            raise spoken(error, lang) from error
        return {BLAMED[error.code()]: sentence(error, lang)}

    def _filled(self, loaded: Loaded, lang: str) -> list[Update]:
        notices = config_bar.notices(loaded, lang)
        if notices:
            gr.Info(t("train.opened_with_notices", lang, count=len(loaded.notices)))
        return [*self._form.fill(loaded.config), gr.update(value=notices, visible=bool(notices))]

    def _lang(self, request: gr.Request) -> str:
        return self._context.language_of(request)


def _stop_offered(state: str) -> Update:
    return gr.update(**stop_button(state))


# --- wiring -----------------------------------------------------------------


def _wire(page: _Page, on: _Handlers, tab: gr.Tab | None) -> None:
    form, file, panel, live = page.form, page.file, page.preview, page.live
    # "always_last": leaving one control by changing another is two edits, and the second counts.
    told: dict[str, Any] = {
        "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last",
    }  # fmt: skip
    now: dict[str, Any] = {"queue": False, **told}
    once: dict[str, Any] = {**told, "trigger_mode": "once"}
    edited: dict[str, Any] = {
        "fn": on.edited, "inputs": [file.shell, page.draft, *form.inputs],
        "outputs": [*form.outputs, file.yaml, file.command, file.file_name, page.draft], **now,
    }  # fmt: skip
    seen: dict[str, Any] = {"inputs": [panel.row, *form.inputs], "outputs": panel.outputs, **told}
    looked: dict[str, Any] = {"fn": on.previewed, **seen}
    modelled: dict[str, Any] = {
        "fn": on.model_chosen, "inputs": form.inputs, **now,
        "outputs": [page.facts, *map(form.component, PICKED)],
    }  # fmt: skip
    datasets = form.component("data.datasets")

    def refreshed(event: Any) -> None:
        """After the form was filled from elsewhere, bring all that depends on it up to date."""
        for update in (edited, modelled, looked):
            event.then(**update)

    gr.on(form.edits(), **edited)
    gr.on(form.edits("model"), **modelled)
    if tab is not None:
        # There may be new datasets.
        tab.select(**modelled)
    gr.on([*form.edits("model"), *form.edits("data"), panel.row.submit, panel.row.blur], **looked)
    file.shell.input(**edited)
    panel.earlier.click(on.earlier, **seen)
    panel.later.click(on.later, **seen)
    upload = page.upload.upload(on.uploaded, [page.upload, datasets], [datasets, panel.row], **told)
    refreshed(upload)
    refreshed(
        panel.columns.apply.click(
            on.mapped, panel.columns.roles, form.component("data.columns"), **now
        )
    )
    filled = [*form.outputs, file.notices]
    refreshed(file.upload.upload(on.opened, file.upload, filled, **told))
    refreshed(file.saved.input(on.opened_saved, file.saved, filled, **told))
    refreshed(live.proposal.change(on.proposed, live.proposal, form.outputs, **told))
    file.save.click(None, [file.file_name, file.yaml], js=config_bar.SAVE)
    file.copy.click(None, file.yaml, js=config_bar.COPY)
    page.start.click(
        on.started, [live.run_id, *form.inputs], [*form.outputs, live.run_id],
        **once,
    ).then(None, live.run_id, js="(run) => easytune.showRun(run)")  # fmt: skip
    page.stop.click(on.stopped, live.run_id, **told)
    live.state.change(_stop_offered, live.state, page.stop, **now)
    for update in (edited, modelled, looked):
        page.relabel.click(**update)
    root = GradioContext.root_block
    assert root is not None
    refreshed(root.load(on.restored, page.draft, [*form.outputs, file.saved], **now))
