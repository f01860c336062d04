"""The versions of a dataset: look, switch, roll back, describe, delete, download, compare."""

import time
from dataclasses import dataclass
from html import escape
from typing import Any

import gradio as gr

from easytune.data.stored import Reference
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services import data_links
from easytune.services.data_links import UsedBy
from easytune.webui import data_figures as figures
from easytune.webui import data_versions_view as view
from easytune.webui.context import Context
from easytune.webui.data_diff import DiffHandlers, DiffPanel
from easytune.webui.data_figures import reference_of
from easytune.webui.data_job import JobPanel
from easytune.webui.language import label
from easytune.webui.spoken import sentence, spoken

LONGEST_NOTE, LONGEST_TAG, MOST_TAGS = 2_000, 40, 20


@dataclass(frozen=True)
class Versions:
    """What other parts of the page need of the panel."""

    changed: gr.Textbox
    """Gets a new value when a version was switched, rolled back, deleted, tagged or noted."""
    compare: gr.Textbox
    """Set it to "name@2 name@5" to show the differences from the first to the second."""


def build(
    context: Context, selected: gr.Textbox, tab: gr.Tab, jobs: JobPanel, author: gr.Textbox
) -> Versions:
    """Lay out the panel inside `tab`, and wire it; `selected` holds the version ("name@3").

    A version made by rolling back names `author`.
    """
    page = _Page()
    differences = DiffHandlers(context)
    differences.wire(page.diff)
    _wire(page, _Handlers(context, differences), selected, tab, jobs, author)
    return Versions(page.changed, page.diff.wanted)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the panel."""

    def __init__(self) -> None:
        # Outside the parts that come and go: Gradio shows what is hidden in a part that appears.
        self.changed = gr.Textbox("", visible="hidden", elem_id="data-versions-changed")
        self.chosen = gr.Textbox("", visible="hidden", elem_id="data-version-chosen")
        self.first = gr.Textbox("0", visible="hidden", elem_id="data-versions-first")
        with gr.Column(elem_id="data-versions", elem_classes=["work"]):
            self.cards = gr.HTML(
                "", elem_id="versions-part", apply_default_css=False, js_on_load=figures.CLICKS
            )
            self._describing()
            self._deleting()
            self.diff = DiffPanel()
            self.relabel = gr.Button("", elem_classes=["work-relabel"])

    def _describing(self) -> None:
        with gr.Group(visible=False, elem_classes=["work-dialog"]) as self.describing:
            self.note = gr.Textbox(
                "", label=label("dataset_work.versions.note"), lines=2, max_lines=6,
                elem_id="version-note", interactive=True,
            )  # fmt: skip
            self.tags = gr.Dropdown(
                [], value=[], label=label("dataset_work.versions.tags"), multiselect=True,
                info=label("dataset_work.versions.tags_help"), allow_custom_value=True,
                elem_id="version-tags", interactive=True,
            )  # fmt: skip
            with gr.Row(elem_classes=["et-row"]):
                self.leave = gr.Button(label("dataset_work.cancel"), size="sm")
                self.save = gr.Button(
                    label("dataset_work.save"), variant="primary", size="sm",
                    elem_id="version-save",
                )  # fmt: skip

    def _deleting(self) -> None:
        with gr.Group(visible=False, elem_classes=["work-dialog"]) as self.deleting:
            self.question = gr.HTML("", padding=True, elem_id="version-delete-question")
            with gr.Row(elem_classes=["et-row"]):
                self.keep = gr.Button(label("monitor.keep"), size="sm", elem_id="version-keep")
                self.delete = gr.Button(
                    label("monitor.delete"), variant="stop", size="sm", elem_id="version-delete"
                )

    @property
    def dialogs(self) -> list[Any]:
        """Return the two boxes that ask something."""
        return [self.describing, self.deleting]


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """From values to updates, with one call to a service between."""

    def __init__(self, context: Context, differences: DiffHandlers) -> None:
        self._context = context
        self._datasets = context.datasets
        self._library = context.datasets.library
        self._differences = differences

    def shown(
        self,
        request: gr.Request,
        selected: str | None,
        first: str,
        before: str | None,
        after: str | None,
    ) -> list[Any]:
        """Show the versions; nothing for a panel out of sight."""
        reference, lang = reference_of(selected), self._context.language_of(request)
        if reference is None:
            said = figures.empty(t("dataset_work.no_version", lang)) if selected else gr.skip()
            return [said, gr.skip(), gr.skip()]
        try:
            choices = self._differences.offered(reference, before, after, lang)
            return [self._cards(reference, int(first or 0), lang), *choices]
        except EasyTuneError as error:
            return [figures.notice(sentence(error, lang), "bad"), gr.skip(), gr.skip()]

    def clicked(
        self, request: gr.Request, event: gr.EventData, selected: str, author: str
    ) -> list[Any]:
        """Do what was clicked, or ask for what it needs.

        Returns the version to show, a sign that something changed, the number chosen, the page,
        what to compare, and updates of the dialogs and what is in them.
        """
        told, lang = dict(event._data), self._context.language_of(request)
        reference, number = reference_of(selected), str(told.get("number", ""))
        if told.get("work") == "page":
            return [gr.skip(), _sign(), gr.skip(), _whole(told.get("first")), *_skips(6)]
        if reference is None or not number.isdigit():
            return _skips(10)
        try:
            return self._act(str(told.get("work")), reference, int(number), author or "", lang)
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def _act(
        self, act: str, reference: Reference, number: int, author: str, lang: str
    ) -> list[Any]:
        name = f"{reference.id}@{number}"
        match act:
            case "show":
                return [name, *_skips(9)]
            case "compare":
                current = self._library.version(reference.id).number
                pair = f"{name} {reference.id}@{current}"
                return [*_skips(4), pair, *_skips(5)]
            case "switch":
                self._library.switch(reference.id, number)
                gr.Info(t("dataset_work.versions.switched", lang, number=number), title="")
                return [name, _sign(), *_skips(8)]
            case "rollback":
                made = self._library.rollback(reference.id, number, author.strip())
                said = t("dataset_work.versions.rolled_back", lang, new=made.number, number=number)
                gr.Info(said, title="")
                return [f"{reference.id}@{made.number}", _sign(), *_skips(8)]
            case "describe":
                return self._describe(reference.id, number)
            case "delete":
                return self._ask(reference.id, number, lang)
            case _:
                return _skips(10)

    def described(
        self, request: gr.Request, selected: str, chosen: str, note: str, tags: list[str] | None
    ) -> list[Any]:
        """Keep the note and the tags of the chosen version."""
        reference = reference_of(selected)
        if reference is None or not chosen.isdigit():
            return [gr.skip(), *_closed()]
        kept = dict.fromkeys(tag.strip()[:LONGEST_TAG] for tag in tags or [] if tag.strip())
        try:
            self._library.note(reference.id, int(chosen), (note or "").strip()[:LONGEST_NOTE])
            self._library.tag(reference.id, int(chosen), list(kept)[:MOST_TAGS])
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        return [_sign(), *_closed()]

    def deleted(self, request: gr.Request, selected: str, chosen: str) -> list[Any]:
        """Delete the chosen version; runs that used it were named in the question."""
        reference, lang = reference_of(selected), self._context.language_of(request)
        if reference is None or not chosen.isdigit():
            return [gr.skip(), gr.skip(), *_closed()]
        try:
            self._datasets.delete_version(reference.id, int(chosen), confirmed=True)
            current = self._library.version(reference.id).number
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        gr.Info(t("dataset_work.versions.deleted", lang, number=chosen), title="")
        gone = reference.number == int(chosen)
        return [f"{reference.id}@{current}" if gone else gr.skip(), _sign(), *_closed()]

    def _cards(self, reference: Reference, first: int, lang: str) -> str:
        versions = self._library.versions(reference.id)
        page = versions[first : first + view.PAGE]
        used = self._used(reference.id)
        shown = reference.number or versions[0].number
        beginning = []
        if any(one.number == shown for one in page):
            beginning = self._library.open(reference.id, shown).page(0, view.FIRST_ROWS)
        return view.render(versions, shown, first, used, beginning, lang)

    def _used(self, dataset: str) -> dict[int, list[UsedBy]]:
        """Return the runs by the number of the version they use: one look at all runs."""
        used: dict[int, list[UsedBy]] = {}
        for run in self._context.runs.list():
            for reference in data_links.references(run.order.config):
                if reference.id == dataset and reference.number is not None:
                    used.setdefault(reference.number, []).append(UsedBy(run.id, run.name))
        return used

    def _describe(self, dataset: str, number: int) -> list[Any]:
        versions = self._library.versions(dataset)
        facts = next((one for one in versions if one.number == number), None)
        if facts is None:
            return _skips(10)
        known = sorted({tag for one in versions for tag in one.tags})
        tags = gr.update(choices=known, value=list(facts.tags))
        opened = [gr.update(visible=True), gr.update(visible=False)]
        return [*_skips(2), str(number), *_skips(2), *opened, facts.note, tags, gr.skip()]

    def _ask(self, dataset: str, number: int, lang: str) -> list[Any]:
        used = self._datasets.used_by(dataset, number)
        said = t("dataset_work.versions.delete_really", lang, number=number)
        if used:
            runs = ", ".join(run.name for run in used[:8]) + (" …" if len(used) > 8 else "")
            said += " " + t("dataset_work.versions.delete_used", lang, runs=runs)
        opened = [gr.update(visible=False), gr.update(visible=True)]
        return [*_skips(2), str(number), *_skips(2), *opened, *_skips(2), escape(said)]


def _skips(count: int) -> list[Any]:
    return [gr.skip() for _ in range(count)]


def _closed() -> list[Any]:
    return [gr.update(visible=False), gr.update(visible=False)]


def _sign() -> str:
    """Return a text that was never there before."""
    return str(time.time_ns())


def _whole(text: Any) -> str:
    return str(text) if str(text).isdigit() else "0"


# --- wiring -----------------------------------------------------------------


def _wire(
    page: _Page,
    on: _Handlers,
    selected: gr.Textbox,
    tab: gr.Tab,
    jobs: JobPanel,
    author: gr.Textbox,
) -> None:
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    now: dict[str, Any] = {"queue": False, "trigger_mode": "always_last", **told}
    seen: dict[str, Any] = {
        "inputs": [selected, page.first, *page.diff.choices],
        "outputs": [page.cards, *page.diff.choices], **now,
    }  # fmt: skip
    visible: dict[str, Any] = {"js": figures.if_shown("data-versions")}

    tab.select(on.shown, **seen)
    # One event for all, so that an older answer cannot come last.
    gr.on(
        [selected.change, jobs.finished.change, page.changed.change, page.relabel.click],
        on.shown, **seen, **visible,
    )  # fmt: skip
    page.cards.click(
        on.clicked, [selected, author],
        [selected, page.changed, page.chosen, page.first, page.diff.wanted, *page.dialogs,
         page.note, page.tags, page.question], **told,
    )  # fmt: skip
    gr.on([page.leave.click, page.keep.click], _closed, None, page.dialogs, **now)
    page.save.click(
        on.described, [selected, page.chosen, page.note, page.tags],
        [page.changed, *page.dialogs], **told,
    )  # fmt: skip
    page.delete.click(
        on.deleted, [selected, page.chosen], [selected, page.changed, *page.dialogs], **told
    )
