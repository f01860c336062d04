"""What the model sees of a version: one row in tokens, and figures on all its rows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from easytune import model_files
from easytune.config import TrainConfig
from easytune.data import xray
from easytune.data.stored import Reference
from easytune.dataset_errors import ModelNotHere
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services.data_tasks import TaskStory
from easytune.webui import data_figures as figures
from easytune.webui import data_xray_view as view
from easytune.webui.context import Context
from easytune.webui.data_figures import reference_of
from easytune.webui.data_job import JobPanel
from easytune.webui.form import Form
from easytune.webui.language import label
from easytune.webui.spoken import sentence, spoken

# Small enough that nobody minds the seconds it takes; larger versions are measured on request.
MEASURED_UNASKED = 20_000
SAMPLE = 10_000
Update = dict[str, Any]


@dataclass(frozen=True)
class XRay:
    """What other parts of the page need of the panel."""

    row: gr.Number
    """The row shown, counted from 1; set it to show another one."""


def build(
    context: Context, selected: gr.Textbox, train_form: Form, tab: gr.Tab, jobs: JobPanel
) -> XRay:
    """Lay out the panel inside `tab`, and wire it.

    `selected` holds the version ("house-style@3", "" for none); `train_form` is the form of the
    Train tab, whose model and settings count here; `jobs` shows the task that measures all rows.
    """
    page = _Page()
    _wire(page, _Handlers(context, train_form), selected, train_form, tab, jobs)
    return XRay(page.row)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the panel."""

    def __init__(self) -> None:
        with gr.Column(elem_id="data-xray", elem_classes=["work"]):
            self.settings = _html("xray-settings-part", clicks=True)
            with gr.Row(elem_classes=["et-row-picker"]):
                self._picker()
            self.shown = _html("xray-row-part")
            with gr.Row(elem_classes=["work-actions"]):
                self._actions()
            self.all_rows = _html("xray-all-part")
            self.relabel = gr.Button("", elem_classes=["work-relabel"])

    def _picker(self) -> None:
        step: dict[str, Any] = {
            "size": "sm", "min_width": 40, "scale": 0, "elem_classes": ["et-outlined"],
        }  # fmt: skip
        self.earlier = gr.Button("←", elem_id="xray-earlier", **step)
        self.row = gr.Number(
            1, step=1, label=label("train.preview.row"), container=False, min_width=90, scale=0,
            elem_id="xray-row", interactive=True,
        )  # fmt: skip
        self.later = gr.Button("→", elem_id="xray-later", **step)

    def _actions(self) -> None:
        self.measure = gr.Button(
            label("dataset_work.xray.measure"), size="sm", scale=0, min_width=150,
            elem_id="xray-measure", elem_classes=["et-outlined"],
        )  # fmt: skip
        self.sample = gr.Button(
            label("dataset_work.xray.measure_sample"), size="sm", scale=0, min_width=190,
            elem_id="xray-sample", elem_classes=["et-outlined"],
        )  # fmt: skip


def _html(name: str, clicks: bool = False) -> gr.HTML:
    return gr.HTML(
        "", elem_id=name, apply_default_css=False, js_on_load=figures.CLICKS if clicks else None
    )


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """From values to updates, with one call to a service between."""

    def __init__(self, context: Context, form: Form) -> None:
        self._context = context
        self._form = form

    def shown(
        self, request: gr.Request, selected: str | None, row: float | None, *values: Any
    ) -> list[Any]:
        """Show settings, a row and what is known of all rows; nothing for a panel out of sight."""
        reference, lang = reference_of(selected), self._context.language_of(request)
        if reference is None:
            return [gr.skip() for _ in range(4)]
        config = self._config(reference, values)
        settings = view.settings(config, lang)
        try:
            place, html = self._row(config, reference, row, lang)
        except EasyTuneError as error:
            said = figures.notice(sentence(error, lang), "warn")
            return [settings, gr.skip(), said, self._all(config, reference, lang)]
        return [settings, place, html, self._all(config, reference, lang)]

    def figured(self, request: gr.Request, selected: str | None, *values: Any) -> Any:
        """Show what is known of all rows; the row stays, as somebody may be typing its number."""
        reference, lang = reference_of(selected), self._context.language_of(request)
        if reference is None:
            return gr.skip()
        return self._all(self._config(reference, values), reference, lang)

    def earlier(
        self, request: gr.Request, selected: str, row: float | None, *values: Any
    ) -> list[Any]:
        """Show the row before."""
        return self.shown(request, selected, (row or 1) - 1, *values)

    def later(
        self, request: gr.Request, selected: str, row: float | None, *values: Any
    ) -> list[Any]:
        """Show the row after."""
        return self.shown(request, selected, (row or 0) + 1, *values)

    def opened(self, request: gr.Request, selected: str | None, *values: Any) -> Any:
        """Begin to measure a small version that has not been measured with these settings."""
        reference = reference_of(selected)
        if reference is None:
            return gr.skip()
        try:
            rows = self._context.datasets.library.version(reference.id, reference.number).rows
            config = self._config(reference, values)
            stories = self._stories(reference)
            # Nor is what has failed tried again, or what was cancelled.
            if rows > MEASURED_UNASKED or any(_alike(_asked(s), config) for s in stories):
                return gr.skip()
            return self._context.datasets.measure(config)
        except EasyTuneError:
            # What is wrong stands where the row should be.
            return gr.skip()

    def measured(self, request: gr.Request, selected: str, *values: Any) -> Any:
        """Begin to measure all rows."""
        return self._measure(request, selected, None, values)

    def sampled(self, request: gr.Request, selected: str, *values: Any) -> Any:
        """Begin to measure a sample."""
        return self._measure(request, selected, SAMPLE, values)

    def _measure(
        self, request: gr.Request, selected: str, limit: int | None, values: tuple[Any, ...]
    ) -> Any:
        reference = reference_of(selected)
        if reference is None:
            return gr.skip()
        try:
            return self._context.datasets.measure(self._config(reference, values), limit)
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error

    def _row(
        self, config: TrainConfig, reference: Reference, row: float | None, lang: str
    ) -> tuple[int, str]:
        rows = self._context.datasets.library.open(reference.id, reference.number)
        found = xray.look(rows, round(row or 1) - 1, config.data, self._folder(config))
        return found.position + 1, view.row(found, len(rows), lang)

    def _folder(self, config: TrainConfig) -> Path:
        folder = model_files.resolve(config.model, self._context.home)
        if folder is None:
            raise ModelNotHere(config.model.base_model)
        return folder

    def _config(self, reference: Reference, values: tuple[Any, ...]) -> TrainConfig:
        """Return the settings of the Train tab, with this version alone as the data."""
        return self._form.lenient(*values).changed(
            data__datasets=(str(reference),), data__weights=(), data__columns={},
            data__held_out_file=None,
        )  # fmt: skip

    def _all(self, config: TrainConfig, reference: Reference, lang: str) -> str:
        """Return the figures for these settings, or for others with a word about that."""
        try:
            rows = self._context.datasets.library.version(reference.id, reference.number).rows
        except EasyTuneError:
            # What is wrong stands where the row should be.
            return ""
        few = view.without_sample() if rows <= SAMPLE else ""
        return few + self._known(config, reference, lang)

    def _known(self, config: TrainConfig, reference: Reference, lang: str) -> str:
        stories = self._stories(reference)
        ended = [story for story in stories if story.state == "finished"]
        fitting = next((s for s in ended if _alike(_asked(s), config)), None)
        story = fitting or (ended[0] if ended else None)
        if any(story.is_active for story in stories):
            said = figures.notice(t("dataset_work.xray.measuring", lang))
        elif story is None:
            return figures.empty(t("dataset_work.xray.not_measured", lang))
        else:
            stale = t("dataset_work.xray.other_settings", lang)
            said = "" if fitting else figures.notice(stale, "warn")
        return said + (self._figures(story, lang) if story else "")

    def _figures(self, story: TaskStory, lang: str) -> str:
        from easytune.data.insight.measure import Measured

        result = self._context.datasets.tasks.get(story.id).result
        return view.measured(Measured.model_validate(result), lang) if result else ""

    def _stories(self, reference: Reference) -> list[TaskStory]:
        """Return all measurements of a version, newest first, whatever became of them."""
        return [
            story
            for story in self._context.datasets.tasks.list()
            if story.task.kind == "measure" and story.task.config.data.datasets == (str(reference),)
        ]


def _asked(story: TaskStory) -> TrainConfig:
    assert story.task.kind == "measure"
    return story.task.config


def _alike(a: TrainConfig, b: TrainConfig) -> bool:
    """Tell whether two configs make the same of the same rows, in as many steps."""
    return (a.model.base_model, a.data, a.schedule) == (b.model.base_model, b.data, b.schedule)


# --- wiring -----------------------------------------------------------------


def _wire(
    page: _Page, on: _Handlers, selected: gr.Textbox, form: Form, tab: gr.Tab, jobs: JobPanel
) -> None:
    told: dict[str, Any] = {
        "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last",
    }  # fmt: skip
    now: dict[str, Any] = {"queue": False, **told}
    seen: dict[str, Any] = {
        "inputs": [selected, page.row, *form.inputs],
        "outputs": [page.settings, page.row, page.shown, page.all_rows],
        **now,
    }
    start: dict[str, Any] = {"inputs": [selected, *form.inputs], "outputs": jobs.task_id, **told}
    figured: dict[str, Any] = {
        "inputs": [selected, *form.inputs], "outputs": page.all_rows, **now,
    }  # fmt: skip
    visible: dict[str, Any] = {"js": figures.if_shown("data-xray")}

    tab.select(on.shown, **seen).then(on.opened, **start).then(on.figured, **figured)
    selected.change(on.shown, **seen, **visible).then(on.opened, **start, **visible)
    jobs.finished.change(on.figured, **figured, **visible)
    page.relabel.click(on.shown, **seen, **visible)
    gr.on([page.row.submit, page.row.blur], on.shown, **seen)
    page.earlier.click(on.earlier, **seen)
    page.later.click(on.later, **seen)
    page.measure.click(on.measured, **start).then(on.figured, **figured)
    page.sample.click(on.sampled, **start).then(on.figured, **figured)
    page.settings.click(None, None, None, js='() => { easytune.openTab("tab_train"); return []; }')
