"""Bringing rows in: files, a path, pasted text or a hub id; what they are; where they go."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from easytune.data.stored import row_text
from easytune.data.tasks import Mode
from easytune.dataset_errors import TaskUnknown
from easytune.errors import EasyTuneError, FormatUnknown
from easytune.i18n import t
from easytune.webui import data_import_view, data_mapping
from easytune.webui.context import Context
from easytune.webui.data_mapping import MappingForm
from easytune.webui.language import label
from easytune.webui.spoken import sentence, spoken

SOURCES = ("files", "path", "paste", "hub")
MODES: tuple[Mode, ...] = ("new", "append", "replace")
_LONGEST_EXAMPLE = 20_000
_FOLDER = "folder"
Update = dict[str, Any]
Found = dict[str, Any]
"""What the page keeps of files that were looked at: paths, columns, examples, hub."""


class ImportPanel:
    """The components, and their wiring."""

    def __init__(self, context: Context) -> None:
        """Build the panel here in the layout."""
        self.found = gr.JSON(None, visible="hidden", elem_id="data-found")
        with gr.Column(elem_id="data-import", elem_classes=["data-asking"]) as self.box:
            self.intro = gr.HTML("", apply_default_css=False, elem_id="data-import-intro")
            self._sources()
            self.said = gr.HTML("", apply_default_css=False, elem_id="data-import-said")
            with gr.Column(elem_id="data-import-found"):
                self._found()
        self._on = _Handlers(context, self)

    def _sources(self) -> None:
        with gr.Column(elem_id="data-import-sources"):
            choices: list[Any] = [(label(f"datasets.import.from.{name}"), name) for name in SOURCES]
            self.source = gr.Radio(
                choices, value="files", label=label("datasets.import.from.title"), show_label=False,
                container=False, interactive=True, elem_id="data-from",
                elem_classes=["compare-segments"],
            )  # fmt: skip
            self.files = gr.File(
                file_count="multiple", height=210, show_label=False, elem_id="data-files",
                elem_classes=["data-from-files"],
            )  # fmt: skip
            # A folder that is dropped above comes through here too: see data.js.
            folder: Any = label("datasets.import.folder")
            self.folder = gr.UploadButton(
                folder, file_count="directory", size="sm", elem_id="data-folder",
                elem_classes=["data-from-files"],
            )  # fmt: skip
            self.path, self.look_path = self._line("path")
            with gr.Column(elem_classes=["data-from-paste"]):
                self.text = gr.Textbox(
                    "", lines=9, max_lines=18, label=label("datasets.import.paste"),
                    info=label("datasets.import.paste_help"), elem_id="data-paste",
                )  # fmt: skip
                self.look_text = gr.Button(
                    label("datasets.import.look"), variant="primary", elem_id="data-paste-look"
                )
            self.hub, self.look_hub = self._line("hub")

    @staticmethod
    def _line(name: str) -> tuple[gr.Textbox, gr.Button]:
        with gr.Column(elem_classes=[f"data-from-{name}"]):
            field = gr.Textbox(
                "", label=label(f"datasets.import.{name}"), max_lines=1,
                info=label(f"datasets.import.{name}_help"), elem_id=f"data-{name}",
                placeholder=label(f"datasets.import.{name}_example"),
            )  # fmt: skip
            look = gr.Button(
                label("datasets.import.look"), variant="primary", elem_id=f"data-{name}-look"
            )
        return field, look

    def _found(self) -> None:
        self.facts = gr.HTML("", apply_default_css=False, elem_id="data-import-facts")
        self.mapping = MappingForm()
        with gr.Row(elem_id="data-target"):
            modes: list[Any] = [(label(f"datasets.import.mode.{mode}"), mode) for mode in MODES]
            self.mode = gr.Radio(
                modes, value="new", label=label("datasets.import.mode.title"), interactive=True,
                elem_id="data-mode", scale=1, min_width=260,
            )  # fmt: skip
            self.title = gr.Textbox(
                "", label=label("datasets.import.name"), max_lines=1, elem_id="data-title", scale=1,
                min_width=160,
            )  # fmt: skip
            self.dataset = gr.Dropdown(
                [], value=None, label=label("datasets.import.dataset"), interactive=True,
                elem_id="data-dataset", scale=1, min_width=160,
            )  # fmt: skip
            self.note = gr.Textbox(
                "", label=label("datasets.import.note"), max_lines=1, elem_id="data-note", scale=1,
                min_width=160,
            )  # fmt: skip
        with gr.Row(elem_classes=["et-row"]):
            self.again = gr.Button(label("datasets.import.again"), elem_id="data-again", scale=0)
            self.start = gr.Button(
                label("datasets.import.start"), variant="primary", elem_id="data-import-start"
            )

    @property
    def shown(self) -> list[Any]:
        """Return what a look at files updates, in the order of `_Handlers` answers."""
        return [
            self.found, self.box, self.said, self.facts, self.mapping.intro, *self.mapping.roles,
            self.mapping.example, self.title, self.files,
        ]  # fmt: skip

    @property
    def target(self) -> list[Any]:
        """Return where the rows go: mode, dataset, title, note."""
        return [self.mode, self.dataset, self.title, self.note]

    def wire(self, task_id: gr.Textbox, finished: gr.Textbox, author: gr.Textbox) -> None:
        """Connect everything; a task that was started is put into `task_id`.

        `finished` changes to the id of a task that has ended.
        """
        on = self._on
        # Queued: only then does Gradio show what an error says.
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        looked: dict[str, Any] = {"outputs": self.shown, **told}
        self.files.upload(on.dropped, self.files, **looked)
        self.folder.upload(on.dropped_folder, self.folder, **looked)
        gr.on([self.look_path.click, self.path.submit], on.pathed, self.path, **looked)
        self.look_text.click(on.pasted, self.text, **looked)
        gr.on([self.look_hub.click, self.hub.submit], on.named, self.hub, **looked)
        self.again.click(on.emptied, self.found, **looked)
        gr.on(
            [role.change for role in self.mapping.roles], on.mapped,
            [self.found, *self.mapping.roles], self.mapping.example, queue=False,
            trigger_mode="always_last", **told,
        )  # fmt: skip
        finished.change(on.returned, finished, **looked)
        self.start.click(
            on.started, [self.found, *self.target, author, *self.mapping.roles],
            [task_id, self.text, self.path, self.hub, self.note, *self.shown], **told,
        )  # fmt: skip


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context, panel: ImportPanel) -> None:
        self._context = context
        self._datasets = context.datasets
        self._panel = panel

    def dropped(self, request: gr.Request, files: list[str] | None) -> list[Any]:
        """Take over files that were dropped, and look at them."""
        paths = [Path(file) for file in files or []]
        return self._looked(request, lambda: self._datasets.adopt(paths))

    def dropped_folder(self, request: gr.Request, files: list[str] | None) -> list[Any]:
        """Take over a folder, and look at it; what is no data in it stays out."""
        paths = [Path(file) for file in files or []]

        def taken() -> list[Path]:
            return [path.parent for path in self._datasets.adopt(paths, _FOLDER)[:1]]

        return self._looked(request, taken)

    def pathed(self, request: gr.Request, text: str) -> list[Any]:
        """Look at files or folders on the machine the app runs on."""
        lines = [line.strip().strip("\"'") for line in (text or "").splitlines()]
        paths = [Path(line).expanduser() for line in lines if line]
        if not paths:
            return self._refused(t("datasets.import.no_path", self._lang(request)))
        return self._looked(request, lambda: paths)

    def pasted(self, request: gr.Request, text: str) -> list[Any]:
        """Look at text that was pasted."""
        if not (text or "").strip():
            return self._refused(t("datasets.import.no_text", self._lang(request)))
        return self._looked(request, lambda: [self._datasets.save_text(text)])

    def named(self, request: gr.Request, name: str) -> list[Any]:
        """Note a dataset of a hub; it is looked at when it is fetched."""
        lang, name = self._lang(request), (name or "").strip()
        if not name:
            return self._refused(t("datasets.import.no_hub", lang))
        found: Found = {"paths": [], "hub": name, "columns": [], "examples": [], "many": False}
        offered = self._panel.mapping.offer([], False, lang)
        shown = _classes("data-found", "data-mapped")
        title = name.partition(":")[0].rpartition("/")[2]
        return [found, shown, "", data_import_view.hub(name, lang), *offered, "", title, None]

    def emptied(self, request: gr.Request, found: Found | None) -> list[Any]:
        """Forget what was looked at."""
        for path in (found or {}).get("paths", []):
            self._datasets.discard(Path(path))
        return self._refused("")

    def mapped(self, request: gr.Request, found: Found | None, *columns: str | None) -> Any:
        """Show what the first rows become with the columns chosen."""
        chosen = data_mapping.mapping(*columns)
        if not found or not (chosen or found.get("needs")):
            return gr.skip()
        values = found.get("examples", [])
        return data_mapping.examples(values, chosen, self._lang(request))

    def started(
        self, request: gr.Request, found: Found | None, mode: Mode, dataset: str | None,
        title: str, note: str, author: str, *columns: str | None,
    ) -> list[Any]:  # fmt: skip
        """Begin the import, or say what is missing."""
        lang = self._lang(request)
        if not found:
            return [gr.skip() for _ in range(5 + len(self._panel.shown))]
        lacks = self._lacking(found, mode, dataset, columns, lang)
        if lacks:
            raise gr.Error(lacks, title=t("app.problem", lang), print_exception=False)
        try:
            task = self._begin(found, mode, dataset, title, note, author, columns)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return [task, "", "", "", "", *self._refused("")]

    def returned(self, request: gr.Request, finished: str) -> list[Any]:
        """Offer the mapping when a dataset of a hub was fetched and its columns are not known."""
        lang, same = self._lang(request), [gr.skip() for _ in self._panel.shown]
        try:
            story = self._datasets.tasks.get(finished)
        except TaskUnknown:  # forgotten on another page
            return same
        if story.task.kind != "import" or not story.task.hub or story.error is None:
            return same
        if story.error.code != FormatUnknown.code():
            return same
        columns = [name.strip() for name in str(story.error.values["columns"]).split(",")]
        found: Found = {"paths": [], "hub": story.task.hub, "columns": columns, "needs": True,
                        "examples": [], "many": False}  # fmt: skip
        offered = self._panel.mapping.offer(columns, True, lang)
        facts = data_import_view.hub(story.task.hub, lang)
        drawn = data_mapping.examples([], data_mapping.guess(columns), lang)
        shown = [_classes("data-found"), "", facts, *offered, drawn, story.task.title, None]
        return [found, *shown]

    def _lacking(
        self, found: Found, mode: Mode, dataset: str | None, columns: Sequence[str | None],
        lang: str,
    ) -> str:  # fmt: skip
        if mode != "new" and not dataset and not found.get("many"):
            return t("datasets.import.choose_dataset", lang)
        if found.get("needs") and not data_mapping.mapping(*columns):
            return t("datasets.mapping.choose", lang)
        return ""

    def _begin(
        self, found: Found, mode: Mode, dataset: str | None, title: str, note: str, author: str,
        columns: Sequence[str | None],
    ) -> str:  # fmt: skip
        is_new = mode == "new" or bool(found.get("many"))
        told: dict[str, Any] = {
            "title": "" if found.get("many") else (title or "").strip(),
            "dataset": None if is_new else dataset,
            "mode": "new" if is_new else mode,
            "columns": data_mapping.mapping(*columns),
            "author": author or "",
            "note": note or "",
        }
        if found.get("hub"):
            return self._datasets.import_hub(str(found["hub"]), **told)
        return self._datasets.import_files([Path(path) for path in found["paths"]], **told)

    def _looked(self, request: gr.Request, taken: Callable[[], list[Path]]) -> list[Any]:
        lang, paths = self._lang(request), []
        try:
            paths = taken()
            probe = self._datasets.probe(paths)
        except EasyTuneError as error:
            for path in paths:
                self._datasets.discard(path)
            return self._refused(sentence(error, lang))
        needs = probe.kind is None and not probe.entries
        columns = list(dict.fromkeys(name for file in probe.files for name in file.columns))
        values = [value for file in probe.files for value in file.examples][:3]
        found: Found = {
            "paths": [str(path) for path in paths], "hub": "", "columns": columns, "needs": needs,
            "examples": [_short(value) for value in values], "many": bool(probe.entries),
        }  # fmt: skip
        shown = _classes(
            "data-found", *(["data-many"] if probe.entries else []),
            *([] if needs else ["data-mapped"]),
        )  # fmt: skip
        drawn = (
            data_mapping.examples(found["examples"], data_mapping.guess(columns), lang)
            if needs else data_import_view.examples(probe, lang)
        )  # fmt: skip
        offered = self._panel.mapping.offer(columns, needs, lang)
        facts = data_import_view.found(probe, lang)
        # The browser does not tell what an uploaded folder is called.
        is_upload = paths[0].name == _FOLDER and probe.files
        named = [Path(file.name) for file in probe.files] if is_upload else paths
        return [found, shown, "", facts, *offered, drawn, _title(named), None]

    def _refused(self, text: str) -> list[Any]:
        """Return updates that show the drop area, with a sentence on what was wrong before."""
        roles = [gr.update(choices=[], value=None) for _ in self._panel.mapping.roles]
        said = data_import_view.said(text)
        return [None, _classes("data-asking"), said, "", "", *roles, "", "", None]

    def _lang(self, request: gr.Request) -> str:
        return self._context.language_of(request)


def introduction(lang: str) -> str:
    """Return what stands above the drop area."""
    title, text = t("datasets.import.title", lang), t("datasets.import.intro", lang)
    return f'<h2>{title}</h2><p class="data-hint">{text}</p>'


def _classes(*names: str) -> Update:
    return gr.update(elem_classes=list(names))


def _title(paths: Sequence[Path]) -> str:
    """Return a title made of the first file's name."""
    if not paths:
        return ""
    name = paths[0].name
    while "." in name.strip("."):
        name = name.rpartition(".")[0]
    return name.replace("_", " ").strip()[:80]


def _short(value: Any) -> Any:
    """Return a row for the page to keep: one that is very long is left out."""
    try:
        return value if len(row_text(value)) <= _LONGEST_EXAMPLE else {}
    except (TypeError, ValueError):
        return {}
