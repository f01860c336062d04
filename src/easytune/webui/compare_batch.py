"""Many prompts to all columns: start, progress that survives a reload, the table of answers."""

from typing import Any
from zlib import crc32

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.inference_errors import ComparisonMissing, PromptEmpty
from easytune.services.comparison import BatchProgress, Comparison
from easytune.webui import compare_batch_view, compare_downloads
from easytune.webui.compare_columns import ColumnsPanel
from easytune.webui.compare_prompts import PromptsPanel
from easytune.webui.compare_view import Look, look_at, reference_choices
from easytune.webui.context import Context
from easytune.webui.language import button_update, label
from easytune.webui.spoken import spoken

TICK_SECONDS = 1.0
_PAGE_BUTTONS = "easytune.compareClicks(element, trigger);"


class BatchPanel:
    """The components of a batch."""

    def __init__(self, context: Context) -> None:
        """Build the panel here in the layout."""
        self.comparison = gr.Textbox("", visible="hidden", elem_id="compare-batch-id")
        self.stamp = gr.Textbox("", visible="hidden", elem_id="compare-batch-stamp")
        self.page = gr.Textbox("1", visible="hidden", elem_id="compare-page")
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        with gr.Column(elem_id="compare-batch"):
            self.prompts = PromptsPanel(context)
            with gr.Row(elem_classes=["compare-under"]):
                self._buttons()
            self.progress = gr.HTML("", apply_default_css=False, elem_id="compare-progress")
            self.scores = gr.HTML("", apply_default_css=False, elem_id="compare-scores-part")
            with gr.Row(elem_classes=["compare-under"]):
                self.only = gr.Checkbox(
                    False, label=label("compare.batch.different_only"), interactive=True,
                    container=False, scale=0, min_width=200, elem_id="compare-only",
                )  # fmt: skip
                self.pages = gr.HTML(
                    "", apply_default_css=False, js_on_load=_PAGE_BUTTONS, elem_id="compare-pages"
                )
                self.links = gr.HTML("", apply_default_css=False, elem_id="compare-batch-links")
            self.table = gr.HTML("", apply_default_css=False, elem_id="compare-table")

    def _buttons(self) -> None:
        small: dict[str, Any] = {"scale": 0, "min_width": 130}
        self.start = gr.Button(
            label("compare.batch.start"), variant="primary", elem_id="compare-start", **small
        )
        self.stop = gr.Button(
            label("compare.batch.stop"), variant="stop", visible=False,
            elem_id="compare-batch-stop", **small,
        )  # fmt: skip
        self.resume = gr.Button(
            label("compare.batch.resume"), visible=False, elem_id="compare-resume", **small
        )

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `BatchHandlers.look` updates."""
        return [
            self.stamp, self.page, self.progress, self.scores, self.pages, self.links, self.table,
            self.start, self.stop, self.resume, self.timer,
        ]  # fmt: skip


class BatchHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context, columns: ColumnsPanel, panel: BatchPanel) -> None:
        self._context = context
        self._comparisons = context.comparisons
        self._columns = columns
        self._panel = panel

    def wire(self, marks: list[Any], refreshing: list[Any]) -> dict[str, Any]:
        """Connect the panel; return the event that draws it again.

        `marks` are the controls of the differences; `refreshing` are further events after which
        it is drawn again.
        """
        panel = self._panel
        now: dict[str, Any] = {
            "queue": False, "show_progress": "hidden", "api_visibility": "private",
        }  # fmt: skip
        which = [panel.comparison, panel.page, panel.only, *marks]
        look: dict[str, Any] = {
            "fn": self.look, "inputs": [panel.stamp, *which],
            "outputs": [*panel.outputs, marks[-1]], **now,
        }  # fmt: skip
        # Queued: only then does Gradio show what an error says.
        told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
        panel.prompts.wire()
        started = [*panel.prompts.inputs, *self._columns.inputs]
        panel.start.click(
            self.started, started, [panel.comparison, panel.page], **told, trigger_mode="once"
        ).then(**look)
        panel.stop.click(self.stopped, panel.comparison, None, **told).then(**look)
        panel.resume.click(self.resumed, panel.comparison, None, **told).then(**look)
        panel.only.input(lambda: "1", None, panel.page, **now).then(**look)
        panel.pages.click(self.turned, panel.page, panel.page, **now).then(**look)
        # One event for all, so that an older answer cannot come last.
        triggers = [panel.timer.tick, *(mark.input for mark in marks), *refreshing]
        gr.on(triggers, **look, trigger_mode="always_last")
        return look

    def started(self, request: gr.Request, *values: Any) -> list[str]:
        """Begin a batch; return its comparison and the first page."""
        lang = self._context.language_of(request)
        count = len(self._panel.prompts.inputs)
        setup = self._columns.checked(values[count:], lang)
        try:
            prompts = self._panel.prompts.read(*values[:count])
            comparison = self._comparisons.create(self._columns.columns(setup, lang), kind="batch")
            self._comparisons.start_batch(comparison.id, prompts)
        except PromptEmpty as error:
            said = t("compare.prompts.none", lang)
            raise gr.Error(said, title=t("app.problem", lang), print_exception=False) from error
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        return [comparison.id, "1"]

    def stopped(self, request: gr.Request, comparison: str) -> None:
        """Stop the batch; its answers stay."""
        try:
            self._comparisons.stop_batch(comparison)
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error

    def resumed(self, request: gr.Request, comparison: str) -> None:
        """Go on with what is missing."""
        try:
            self._comparisons.resume_batch(comparison)
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error

    def turned(self, event: gr.EventData, page: str) -> str:
        """Return the page of the table to show."""
        chosen = str(event._data.get("page", ""))
        return chosen if chosen.isdigit() else page

    def look(
        self, request: gr.Request, stamp: str, comparison: str, page: str, only: bool, *marks: Any
    ) -> Any:
        """Return what changed since the page last asked: nothing, or all parts."""
        lang = self._context.language_of(request)
        look = look_at(lang, *marks)
        try:
            state = self._comparisons.batch(comparison) if comparison else None
            revision = self._comparisons.revision(comparison) if comparison else 0
            now = _stamp(comparison, revision, state, page, only, look)
            if now == stamp:
                return gr.skip()
            whole = self._comparisons.get(comparison) if comparison else None
            parts = self._parts(whole, state, page, only, look)
            if whole is None:
                return [now, *parts, gr.skip()]
            return [now, *parts, gr.update(**reference_choices(whole.columns, marks[-1]))]
        except ComparisonMissing:  # deleted on another page
            return [_stamp("", 0, None, page, only, look), *_nothing(lang), gr.skip()]
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def _parts(
        self, whole: Comparison | None, state: BatchProgress | None, page: str, only: bool,
        look: Look,
    ) -> list[Any]:  # fmt: skip
        if whole is None or state is None:
            return _nothing(look.lang)
        entries = compare_batch_view.chosen(whole, only)
        last = compare_batch_view.pages(len(entries))
        number = min(int(page), last) if page.isdigit() and int(page) else 1
        scores = self._comparisons.scores(whole.id)
        return [
            str(number),
            compare_batch_view.progress(state, look.lang),
            compare_batch_view.scores(whole.columns, scores, look.lang),
            compare_batch_view.page_buttons(number, last, len(entries), look.lang),
            compare_downloads.links(whole.id, look.lang),
            compare_batch_view.table(whole, entries, number, look),
            *_offers(state),
        ]


def _offers(state: BatchProgress | None) -> list[Any]:
    """Return which buttons are of use now, and whether there is something to wait for."""
    is_running = state is not None and state.state == "running"
    unfinished = state is not None and not is_running and state.done < state.total
    return [
        button_update("compare.batch.start", not is_running),
        button_update("compare.batch.stop", is_running),
        button_update("compare.batch.resume", unfinished),
        gr.Timer(active=is_running),
    ]


def _nothing(lang: str) -> list[Any]:
    empty = f'<div class="et-empty">{t("compare.batch.empty", lang)}</div>'
    return ["1", "", "", "", "", empty, *_offers(None)]


def _stamp(
    comparison: str, revision: int, state: BatchProgress | None, page: str, only: bool, look: Look
) -> str:
    seen = None
    if state is not None:
        seen = (state.state, state.done, round(state.seconds_left or 0))
    return f"{crc32(repr((comparison, revision, seen, page, only, look)).encode()):08x}"
