"""Statistics of a version: languages, lengths, repetitions, short answers, openings."""

from typing import Any

import gradio as gr

from easytune.data.stored import Reference
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.webui import clicks
from easytune.webui import data_figures as figures
from easytune.webui import data_statistics_view as view
from easytune.webui.context import Context
from easytune.webui.data_figures import reference_of
from easytune.webui.data_job import JobPanel
from easytune.webui.language import label
from easytune.webui.spoken import sentence, spoken

# Small enough that nobody minds the seconds it takes; larger versions are counted on request.
COUNTED_UNASKED = 20_000


def build(
    context: Context,
    selected: gr.Textbox,
    tab: gr.Tab,
    jobs: JobPanel,
    to_row: tuple[gr.Tabs, gr.Number],
) -> None:
    """Lay out the panel inside `tab`, and wire it; `selected` holds the version ("name@3").

    A click on the number of a row puts it into the number of `to_row`, counted from 1, and opens
    the X-ray among the tabs of `to_row`.
    """
    with gr.Column(elem_id="data-statistics", elem_classes=["work"]):
        with gr.Row(elem_classes=["work-actions"]):
            small: dict[str, Any] = {
                "size": "sm", "scale": 0, "min_width": 150, "elem_classes": ["et-outlined"],
            }  # fmt: skip
            count = gr.Button(
                label("dataset_work.statistics.count"), elem_id="statistics-count", **small
            )
            near = gr.Button(
                label("dataset_work.statistics.search_near"), elem_id="statistics-near", **small
            )
        shown = gr.HTML(
            "", elem_id="statistics-part", apply_default_css=False, js_on_load=figures.CLICKS
        )
        relabel = gr.Button("", elem_classes=["work-relabel"])
    on = _Handlers(context)
    told: dict[str, Any] = {
        "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "always_last",
    }  # fmt: skip
    seen: dict[str, Any] = {"inputs": selected, "outputs": shown, "queue": False, **told}
    start: dict[str, Any] = {"inputs": selected, "outputs": jobs.task_id, **told}
    visible: dict[str, Any] = {"js": figures.if_shown("data-statistics")}

    tab.select(on.shown, **seen).then(on.opened, **start).then(on.shown, **seen)
    selected.change(on.shown, **seen, **visible).then(on.opened, **start, **visible)
    gr.on([jobs.finished.change, relabel.click], on.shown, **seen, **visible)
    count.click(on.count, **start).then(on.shown, **seen)
    near.click(on.search_near, **start).then(on.shown, **seen)
    shown.click(on.row_chosen, None, list(to_row), **(told | clicks.EACH))


class _Handlers:
    """From values to updates, with one call to a service between."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._datasets = context.datasets

    def shown(self, request: gr.Request, selected: str | None) -> Any:
        """Show the figures, or why there are none; nothing for a panel out of sight."""
        reference, lang = reference_of(selected), self._context.language_of(request)
        if reference is None:
            return gr.skip()
        try:
            found = self._datasets.statistics(reference)
        except EasyTuneError as error:
            return figures.notice(sentence(error, lang), "warn")
        counting = self._is_counted(reference)
        said = figures.notice(t("dataset_work.statistics.counting", lang)) if counting else ""
        if found is None:
            return said or figures.empty(t("dataset_work.statistics.not_counted", lang))
        return said + view.render(found, lang)

    def opened(self, selected: str | None) -> Any:
        """Begin to count a small version that was not counted yet."""
        reference = reference_of(selected)
        if reference is None:
            return gr.skip()
        try:
            rows = self._datasets.library.version(reference.id, reference.number).rows
            known = self._datasets.statistics(reference) is not None
            if known or rows > COUNTED_UNASKED or self._is_counted(reference):
                return gr.skip()
            return self._datasets.start_statistics(reference)
        except EasyTuneError:
            # What is wrong stands where the figures should be.
            return gr.skip()

    def count(self, request: gr.Request, selected: str) -> Any:
        """Begin to count."""
        return self._start(request, selected, False)

    def search_near(self, request: gr.Request, selected: str) -> Any:
        """Begin to count, and to search for rows that are nearly the same."""
        return self._start(request, selected, True)

    def row_chosen(self, event: gr.EventData) -> list[Any]:
        """Open the X-ray on the row that was clicked."""
        position = str(event._data.get("position", ""))
        if not position.isdigit():
            return [gr.skip(), gr.skip()]
        return [gr.Tabs(selected="xray"), int(position) + 1]

    def _start(self, request: gr.Request, selected: str, near: bool) -> Any:
        reference = reference_of(selected)
        if reference is None:
            return gr.skip()
        try:
            return self._datasets.start_statistics(reference, near_duplicates=near)
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error

    def _is_counted(self, reference: Reference) -> bool:
        return any(
            story.is_active and story.task.kind == "statistics"
            and story.task.reference == str(reference)
            for story in self._datasets.tasks.list()
        )  # fmt: skip
