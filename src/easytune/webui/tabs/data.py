"""The Data tab: datasets on the left; on the right one of them, or the way to bring one in."""

from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from easytune.config import TrainConfig
from easytune.data.stored import Reference
from easytune.data.versions.manifest import DatasetFacts
from easytune.dataset_errors import DatasetUnknown, VersionUnknown
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services import demo_datasets
from easytune.webui import (
    clicks,
    data_head,
    data_import,
    data_job,
    data_list,
    data_looked,
    data_preprocess,
    data_statistics,
    data_versions,
    data_xray,
)
from easytune.webui.context import Context
from easytune.webui.data_import import ImportPanel
from easytune.webui.data_job import JobPanel
from easytune.webui.data_table import RowsPanel
from easytune.webui.language import label
from easytune.webui.spoken import spoken
from easytune.webui.tabs.train import TrainTab

IMPORT, LOOK = "import", "look"
VIEWS = ("rows", "xray", "statistics", "preprocess", "versions")
_CLICKS = "easytune.dataClicks(element, trigger);"
_AUTHOR = "() => easytune.dataAuthor()"
_KEEP_AUTHOR = "(name) => easytune.dataKeepAuthor(name)"


@dataclass(frozen=True)
class DataTab:
    """What other parts of the page need of the tab."""

    timer: gr.Timer
    shown: list[gr.Textbox]
    """What is looked at ("house-style@3"), and the view: `LOOK` to see it, `IMPORT` to bring in."""
    selected: gr.Textbox
    """The version that is shown ("house-style@3"); set it to show another. Empty: none."""
    views: gr.Tabs
    """Rows, what the model sees, statistics, preprocess, versions: `VIEWS` are their ids."""
    compare: gr.Textbox
    """Set it to "house-style@2 house-style@5" to show what differs between two versions."""


def build(context: Context, tabs: gr.Tabs, tab: gr.Tab, train: TrainTab) -> DataTab:
    """Build the tab in the Blocks that are open; `train` is where one trains on a dataset."""
    page = _Page(context, train)
    _wire(context, page, tabs, tab, train)
    shown = [page.chosen, page.view]
    return DataTab(page.jobs.timer, shown, page.selected, page.views, page.versions.compare)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self, context: Context, train: TrainTab) -> None:
        hidden: dict[str, Any] = {"visible": "hidden"}
        self.chosen = gr.Textbox("", elem_id="data-chosen", **hidden)
        self.selected = gr.Textbox("", elem_id="data-selected", **hidden)
        self.view = gr.Textbox(IMPORT, elem_id="data-view", **hidden)
        self.to_train = gr.Textbox("", elem_id="data-to-train", **hidden)
        self.relabel = gr.Button("", elem_id="data-relabel")
        with gr.Row(elem_id="et-data"):
            with gr.Column(scale=0, min_width=0, elem_id="data-side"):
                self._side()
            with gr.Column(
                scale=1, min_width=0, elem_id="data-main",
                elem_classes=["data-view-import", "data-none"],
            ) as self.main:  # fmt: skip
                self.jobs: JobPanel = data_job.build(context)
                self.importing = ImportPanel(context)
                with gr.Column(elem_id="data-set"):
                    self._set(context, train)

    def _side(self) -> None:
        self.new = gr.Button(label("datasets.new"), variant="primary", elem_id="data-new")
        self.list = gr.HTML("", elem_id="data-list", js_on_load=_CLICKS, apply_default_css=False)
        self.author = gr.Textbox(
            "", label=label("datasets.author"), info=label("datasets.author_help"), max_lines=1,
            max_length=80, elem_id="data-author",
        )  # fmt: skip

    def _set(self, context: Context, train: TrainTab) -> None:
        self.head = gr.HTML("", elem_id="data-head", js_on_load=_CLICKS, apply_default_css=False)
        self._questions()
        with gr.Tabs(selected=VIEWS[0], elem_id="data-views") as self.views:
            with self._tab("rows", "app.tab_data_rows"):
                self.rows = RowsPanel(context, self.chosen, self.author)
            with self._tab("xray", "app.tab_data_xray") as xray:
                self.xray = data_xray.build(context, self.selected, train.form, xray, self.jobs)
            with self._tab("statistics", "app.tab_data_statistics") as statistics:
                to_row = (self.views, self.xray.row)
                data_statistics.build(context, self.selected, statistics, self.jobs, to_row)
            with self._tab("preprocess", "app.tab_data_preprocess") as preprocess:
                data_preprocess.build(context, self.selected, preprocess, self.jobs, self.author)
            with self._tab("versions", "app.tab_data_versions") as versions:
                self.versions = data_versions.build(
                    context, self.selected, versions, self.jobs, self.author
                )

    def _questions(self) -> None:
        small: dict[str, Any] = {"scale": 0, "min_width": 110}
        with gr.Row(elem_id="data-rename", elem_classes=["data-hidden", "data-ask"]) as self.naming:
            self.name = gr.Textbox(
                "", label=label("datasets.import.name"), show_label=False, container=False,
                max_lines=1, max_length=120, elem_id="data-new-name", scale=1, min_width=160,
            )  # fmt: skip
            self.not_named = gr.Button(label("datasets.cancel"), **small)
            self.named = gr.Button(
                label("datasets.save_name"), variant="primary", elem_id="data-save-name", **small
            )
        hidden = ["data-hidden", "data-ask"]
        with gr.Row(elem_id="data-delete", elem_classes=hidden) as self.dooming:
            self.question = gr.HTML("", elem_id="data-question", apply_default_css=False)
            self.spared = gr.Button(label("datasets.keep_it"), **small)
            self.doomed = gr.Button(
                label("datasets.delete_it"), variant="stop", elem_id="data-delete-it", **small
            )

    @staticmethod
    def _tab(name: str, key: str) -> gr.Tab:
        title: Any = label(key)
        return gr.Tab(title, id=name, elem_id=f"data-tab-{name}")

    @property
    def drawn(self) -> list[Any]:
        """Return what is drawn whenever something else is looked at."""
        return [
            self.chosen, self.selected, self.view, self.list, self.head, self.main,
            self.importing.intro, self.importing.dataset, self.importing.mode, self.naming,
            self.dooming,
        ]  # fmt: skip


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context, train: TrainTab) -> None:
        self._context = context
        self._datasets = context.datasets
        self._library = context.datasets.library
        self._form = train.form

    def drawn(self, request: gr.Request, chosen: str, view: str) -> list[Any]:
        """Draw the list, and the head of what is looked at; what is gone is left for the import."""
        lang, asked = self._lang(request), (chosen, view)
        datasets = self._library.list()
        try:
            head, version = self._head(chosen, datasets, lang)
        except (DatasetUnknown, VersionUnknown):
            chosen, head, version = self._left(chosen, datasets, lang)
        if not chosen:
            view = IMPORT
        classes = [
            f"data-view-{view}", *(["data-is-demo"] if chosen.startswith(data_looked.DEMO) else []),
            *([] if datasets else ["data-none"]),
        ]  # fmt: skip
        shown = chosen if view == LOOK else ""
        # What stays is not sent: somebody may have clicked on another one in the meantime.
        pairs = zip((chosen, view), asked, strict=True)
        where = [gr.skip() if now == before else now for now, before in pairs]
        return [
            where[0], version, where[1], data_list.draw(datasets, shown, lang), head,
            gr.update(elem_classes=classes), data_import.introduction(lang),
            gr.update(choices=data_list.choices(datasets)), gr.skip() if datasets else "new",
            _closed(), _closed(),
        ]  # fmt: skip

    def _head(self, chosen: str, datasets: list[DatasetFacts], lang: str) -> tuple[str, str]:
        """Return the head, and the version for the panels that know versions only."""
        looked = data_looked.look(self._library, chosen)
        if looked is None:
            return "", ""
        if looked.facts is None:
            return data_head.draw(looked, None, lang), ""
        dataset = next((one for one in datasets if one.id == looked.facts.dataset), None)
        return data_head.draw(looked, dataset, lang), looked.name

    def _left(self, chosen: str, datasets: list[DatasetFacts], lang: str) -> tuple[str, str, str]:
        """Return what to look at when a version, or the whole dataset, was deleted."""
        reference = data_looked.parse(chosen)
        left = next((one for one in datasets if reference and one.id == reference.id), None)
        if left is None:
            return "", "", ""
        name = f"{left.id}@{left.current.number}"
        return (name, *self._head(name, datasets, lang))

    def followed(self, selected: str, chosen: str, view: str) -> list[Any]:
        """Look at a version that another panel made or chose."""
        if not selected or selected == chosen:
            return [gr.skip(), gr.skip()]
        return [selected, view if view == LOOK else LOOK]

    def ended(
        self, request: gr.Request, finished: str, task_id: str, chosen: str, view: str
    ) -> list[Any]:
        """Look at what this page's import made, or at its newest version when it is open."""
        try:
            story = self._datasets.tasks.get(finished)
        except EasyTuneError as error:
            raise spoken(error, self._lang(request)) from error
        made = (story.result or {}).get("made", []) if story.task.kind == "import" else []
        if story.state != "finished" or not made:
            return [gr.skip(), gr.skip()]
        name = f"{made[0]['dataset']}@{made[0]['number']}"
        is_open = chosen.partition("@")[0] == made[0]["dataset"]
        if finished == task_id and (view == IMPORT or is_open):
            return [name, LOOK]
        return [gr.skip(), gr.skip()]

    def clicked(self, event: gr.EventData) -> list[Any]:
        """Look at an entry of the list, at all its rows. Updates: chosen, view, problem."""
        name = str(event._data.get("name", ""))
        return [name, LOOK, ""] if name else [gr.skip(), gr.skip(), gr.skip()]

    def acted(self, request: gr.Request, event: gr.EventData, chosen: str) -> list[Any]:
        """Do what a button of the head says.

        Updates: chosen, view, to_train, mode, dataset, naming, name, dooming, question.
        """
        lang, same = self._lang(request), [gr.skip() for _ in range(9)]
        reference = data_looked.parse(chosen)
        try:
            match str(event._data.get("act", "")):
                case "open":
                    return [str(event._data.get("name", "")), LOOK, *same[2:]]
                case "train_on":
                    return [*same[:2], self._trainable(chosen), *same[3:]]
                case "copy_demo":
                    return [self._copied(chosen, lang), LOOK, *same[2:]]
                case "add_rows" if reference:
                    return [*same[:1], IMPORT, *same[:1], "append", reference.id, *same[5:]]
                case "rename" if reference:
                    title = self._library.get(reference.id).title
                    return [*same[:5], _opened(), title, _closed(), *same[:1]]
                case "delete" if reference:
                    asked = self._asked(reference, lang)
                    return [*same[:5], _closed(), *same[:1], _opened(), asked]
                case _:
                    return same
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def from_job(self, acted: dict[str, Any] | None) -> list[Any]:
        """Do what a button of a finished task says. Updates: chosen, view, to_train."""
        told = acted or {}
        dataset = str(told.get("dataset", ""))
        if told.get("act") == "train_on":
            return [gr.skip(), gr.skip(), str(Reference(dataset))]
        if told.get("act") == "open" and dataset:
            return [f"{dataset}@{self._library.version(dataset).number}", LOOK, gr.skip()]
        return [gr.skip(), gr.skip(), gr.skip()]

    def x_rayed(self, event: gr.EventData) -> list[Any]:
        """Show the tokens of the row that is open."""
        position = event._data.get("position")
        if event._data.get("act") != "xray" or not isinstance(position, int):
            return [gr.skip(), gr.skip()]
        return [position + 1, gr.Tabs(selected="xray")]

    def renamed(self, request: gr.Request, chosen: str, name: str) -> dict[str, Any]:
        """Call the dataset something else."""
        reference, title = data_looked.parse(chosen), (name or "").strip()
        if reference and title:
            try:
                self._library.rename(reference.id, title)
            except EasyTuneError as error:
                raise spoken(error, self._lang(request)) from error
        return _closed()

    def deleted(self, request: gr.Request, chosen: str) -> list[Any]:
        """Move the dataset to the bin."""
        reference, lang = data_looked.parse(chosen), self._lang(request)
        if reference is None:
            return [gr.skip(), _closed()]
        try:
            title = self._library.get(reference.id).title
            self._datasets.delete(reference.id, confirmed=True)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        gr.Info(escape(t("datasets.deleted", lang, title=title), quote=False), title="", duration=5)
        return ["", _closed()]

    def proposed(self, request: gr.Request, wanted: str, *values: Any) -> list[Any]:
        """Return the form's config with this dataset in it, for the Train tab to show."""
        if not wanted:
            return [gr.skip(), gr.skip()]
        config = self._form.lenient(*values)
        stage = "sft"
        reference = Reference.parse(wanted)
        try:
            if reference is not None:
                facts = self._library.version(reference.id, reference.number)
                is_text = any(layout.format == "text" for layout in facts.layouts.values())
                stage = "pretrain" if is_text else "sft"
        except EasyTuneError as error:
            raise spoken(error, self._lang(request)) from error
        changed: TrainConfig = config.changed(
            data__datasets=(wanted,), data__weights=(), data__columns={}, data__stage=stage,
            data__held_out_file=None,
        )  # fmt: skip
        return [changed.model_dump(mode="json"), gr.Tabs(selected="train")]

    def _trainable(self, chosen: str) -> str:
        """Return the name to train on: the current version of a dataset goes without a number."""
        reference = data_looked.parse(chosen)
        if reference is None:
            return chosen
        facts = self._library.version(reference.id, reference.number)
        return str(Reference(reference.id) if facts.current else reference)

    def _copied(self, chosen: str, lang: str) -> str:
        name = chosen.removeprefix(data_looked.DEMO)
        title = data_list.demo_title(name, lang)
        made = demo_datasets.copy(name, title.partition(": ")[2] or title, self._library)
        return f"{made.dataset}@{made.number}"

    def _asked(self, reference: Reference, lang: str) -> str:
        dataset = self._library.get(reference.id)
        said = t("datasets.delete_really", lang, title=dataset.title, versions=dataset.versions)
        used = self._datasets.used_by(reference.id)
        if used:
            names = ", ".join(run.name for run in used[:5]) + (" …" if len(used) > 5 else "")
            said += " " + t("datasets.delete_used", lang, runs=names)
        return f"<p>{escape(said)}</p>"

    def _lang(self, request: gr.Request) -> str:
        return self._context.language_of(request)


def _opened() -> dict[str, Any]:
    return gr.update(elem_classes=["data-ask"])


def _closed() -> dict[str, Any]:
    return gr.update(elem_classes=["data-hidden", "data-ask"])


# --- wiring -----------------------------------------------------------------


def _wire(context: Context, page: _Page, tabs: gr.Tabs, tab: gr.Tab, train: TrainTab) -> None:
    on, jobs, importing = _Handlers(context, train), page.jobs, page.importing
    # Queued: only then does Gradio show what an error says.
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    now: dict[str, Any] = {**told, "queue": False}
    last: dict[str, Any] = {**now, "trigger_mode": "always_last"}
    where = [page.chosen, page.view]
    drawn: dict[str, Any] = {"fn": on.drawn, "inputs": where, "outputs": page.drawn, **last}

    importing.wire(jobs.task_id, jobs.finished, page.author)
    rows = page.rows.wire([page.chosen.change, page.relabel.click])
    tab.select(**drawn).then(**jobs.look).then(**rows)
    tab.select(None, None, page.author, js=_AUTHOR)
    page.author.change(None, page.author, None, js=_KEEP_AUTHOR)
    page.relabel.click(**drawn).then(**jobs.look)
    gr.on(
        [page.chosen.change, page.view.change, jobs.finished.change, page.versions.changed.change],
        **drawn,
    )
    page.chosen.change(lambda: ["1", ""], None, [page.rows.page, page.rows.place], **last)
    page.selected.change(on.followed, [page.selected, *where], where, **last)
    jobs.finished.change(on.ended, [jobs.finished, jobs.task_id, *where], where, **told)
    page.list.click(on.clicked, None, [*where, page.rows.problem], **(now | clicks.EACH))
    page.rows.row.click(on.x_rayed, None, [page.xray.row, page.views], **(now | clicks.EACH))
    page.new.click(lambda: [IMPORT, "new"], None, [page.view, importing.mode], **now)
    page.head.click(
        on.acted, page.chosen,
        [*where, page.to_train, importing.mode, importing.dataset, page.naming, page.name,
         page.dooming, page.question], **told,
    )  # fmt: skip
    jobs.acted.change(on.from_job, jobs.acted, [*where, page.to_train], **told)
    # Emptied in between, so that the same twice in a row is still a change.
    page.to_train.change(
        on.proposed, [page.to_train, *train.form.inputs], [train.panel.proposal, tabs], **told
    ).then(lambda: "", None, page.to_train, **now)
    gr.on([page.named.click, page.name.submit], on.renamed, [page.chosen, page.name], page.naming,
          **told).then(**drawn)  # fmt: skip
    page.doomed.click(on.deleted, page.chosen, [page.chosen, page.dooming], **told).then(**drawn)
    page.not_named.click(_closed, None, page.naming, **now)
    page.spared.click(_closed, None, page.dooming, **now)
