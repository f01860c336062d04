"""One prompt to all columns at once: the grid of answers, the prompt box, and the stop buttons."""

from collections.abc import Iterator
from html import escape
from typing import Any

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.inference_errors import ComparisonMissing, PromptEmpty
from easytune.services.comparison import Comparison
from easytune.services.live_turn import LiveTurn
from easytune.webui import compare_downloads
from easytune.webui.compare_columns import ColumnsPanel
from easytune.webui.compare_live import UPDATE_SECONDS, LiveView, RunningTurns
from easytune.webui.compare_setup import Setup, setup_of
from easytune.webui.compare_view import Drawn, Look, bases_of, grid, look_at, reference_choices
from easytune.webui.context import Context
from easytune.webui.language import button_update, label
from easytune.webui.pace import Pace
from easytune.webui.spoken import spoken

# Eight pages may stream at once, and each has its own loop here; more would wait in line.
AT_ONCE = 20
WATCH_SECONDS = 1.0
NOTHING: Drawn = {"id": "", "prompt": "", "line": "", "answers": []}
_GRID = (
    "easytune.mount('compare-grid', element, props, watch);"
    "easytune.compareClicks(element, trigger);"
)
_NOW = "easytune.mount('compare-now', element, props, watch);"
_SLOT = '<div class="et-slot"></div>'


class LivePanel:
    """The components of the live comparison."""

    def __init__(self) -> None:
        """Build the panel here in the layout."""
        self.comparison = gr.Textbox("", visible="hidden", elem_id="compare-live-id")
        self.timer = gr.Timer(WATCH_SECONDS, active=False)
        self.now = gr.HTML(
            None, html_template=_SLOT, js_on_load=_NOW, apply_default_css=False,
            elem_id="compare-now", visible="hidden",
        )  # fmt: skip
        with gr.Column(elem_id="compare-live"):
            self.grid = gr.HTML(
                None, html_template=_SLOT, js_on_load=_GRID, apply_default_css=False,
                elem_id="compare-grid",
            )  # fmt: skip
            self.hint = gr.HTML("", apply_default_css=False, elem_id="compare-hint")
            with gr.Row(elem_classes=["compare-ask"]):
                self.prompt = gr.Textbox(
                    "", label=label("compare.prompt_name"), show_label=False, lines=1, max_lines=8,
                    placeholder=label("compare.prompt"), scale=8, min_width=160, container=False,
                    elem_id="compare-prompt",
                )  # fmt: skip
                small: dict[str, Any] = {"scale": 0, "min_width": 110}
                self.send = gr.Button(
                    label("compare.send"), variant="primary", elem_id="compare-send", **small
                )
                self.stop = gr.Button(
                    label("compare.stop_all"), variant="stop", visible=False,
                    elem_id="compare-stop", **small,
                )  # fmt: skip
            with gr.Row(elem_classes=["compare-under"]):
                self.fresh = gr.Button(
                    label("compare.new"), size="sm", scale=0, min_width=140, elem_id="compare-new",
                    elem_classes=["et-outlined"],
                )  # fmt: skip
                self.links = gr.HTML("", apply_default_css=False, elem_id="compare-links")

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `LiveHandlers.shown` updates."""
        return [self.grid, self.now, self.links, self.send, self.stop, self.timer]


class LiveHandlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context, columns: ColumnsPanel) -> None:
        self._context = context
        self._comparisons = context.comparisons
        self._catalogue = context.chat.catalogue
        self._columns = columns
        self._running = RunningTurns()

    def wire(
        self, page: LivePanel, columns: ColumnsPanel, marks: list[Any], refreshing: list[Any]
    ) -> dict[str, Any]:
        """Connect the panel; return the event that draws what is stored.

        `marks` are the controls of the differences: whether to mark them, and against which column;
        `refreshing` are the events after which all is drawn again.
        """
        now: dict[str, Any] = {
            "queue": False, "show_progress": "hidden", "api_visibility": "private",
        }  # fmt: skip
        streamed: dict[str, Any] = {
            "fn": self.asked, "inputs": [page.prompt, page.comparison, *marks, *columns.inputs],
            "outputs": [page.comparison, page.prompt, page.now, page.grid, page.send, page.stop],
            "show_progress": "hidden", "api_visibility": "private", "trigger_mode": "once",
            "concurrency_limit": AT_ONCE,
        }  # fmt: skip
        shown: dict[str, Any] = {
            "fn": self.shown, "inputs": [page.comparison, *marks],
            "outputs": [*page.outputs, marks[-1]], **now,
        }  # fmt: skip
        gr.on([page.send.click, page.prompt.submit], **streamed).then(**shown)
        page.stop.click(self.stopped, page.comparison, None, **now)
        page.grid.click(self.stopped_one, page.comparison, None, **now)
        page.fresh.click(lambda: "", None, page.comparison, **now).then(**shown)
        page.timer.tick(**{**shown, "fn": self.watched})
        # One event for all, so that an older answer cannot come last.
        triggers = [*(mark.input for mark in marks), *refreshing]
        gr.on(triggers, **shown, trigger_mode="always_last")
        hint = [page.comparison, columns.setup]
        columns.setup.change(self.hinted, hint, page.hint, **now)
        page.comparison.change(self.hinted, hint, page.hint, **now)
        return shown

    def asked(
        self, request: gr.Request, prompt: str, shown: str, marking: Any, reference: Any,
        *values: Any,
    ) -> Iterator[Any]:  # fmt: skip
        """Put a prompt to all columns and draw their answers as they grow."""
        lang = self._context.language_of(request)
        if not prompt.strip():
            raise spoken(PromptEmpty(), lang)
        setup = self._columns.checked(values, lang)
        if shown in self._running:
            raise gr.Error(t("compare.busy", lang), title="", print_exception=False)
        # Before any model is touched, so that the page can stop what comes.
        yield [gr.skip(), gr.skip(), gr.skip(), gr.skip(), *_buttons(is_running=True)]
        try:
            yield from self._answers(shown, setup, prompt, look_at(lang, marking, reference))
        except EasyTuneError as error:
            raise spoken(error, lang) from error

    def stopped(self, comparison: str) -> None:
        """Stop all columns."""
        self._running.stop(comparison)

    def stopped_one(self, event: gr.EventData, comparison: str) -> None:
        """Stop the column whose button was pressed."""
        column = str(event._data.get("column", ""))
        if event._data.get("compare") == "stop" and column.isdigit():
            self._running.stop(comparison, int(column))

    def shown(self, request: gr.Request, comparison: str, *marks: Any) -> list[Any]:
        """Draw what is stored of a comparison; without one, say what to do."""
        lang = self._context.language_of(request)
        is_running = comparison in self._running
        links = compare_downloads.links(comparison, lang) if comparison else ""
        whole = self._found(comparison, lang)
        watch = gr.Timer(active=is_running)
        now = gr.skip() if is_running else NOTHING
        drawn = self._grid(whole, look_at(lang, *marks))
        return [drawn, now, links, *_buttons(is_running), watch, _references(whole, marks[-1])]

    def hinted(self, request: gr.Request, shown: str, content: Any) -> str:
        """Say when the next prompt will begin a new comparison, because the columns changed."""
        lang, setup = self._context.language_of(request), Setup.read(content)
        if setup is None or self._found(shown, lang) is None:
            return ""
        if self._going_on(shown, setup, lang) is not None:
            return ""
        return f'<p class="compare-hint">{escape(t("compare.changed", lang))}</p>'

    def watched(self, request: gr.Request, comparison: str, *marks: Any) -> Any:
        """Draw a turn once it has ended that another page, or this one before a reload, began."""
        if comparison in self._running:
            return gr.skip()
        return self.shown(request, comparison, *marks)

    def _answers(self, shown: str, setup: Setup, prompt: str, look: Look) -> Iterator[Any]:
        comparison, turn = self._begun(shown, setup, prompt, look.lang)
        # Stored before it is let go, so that whoever waits for its end finds it.
        with self._running.holding(comparison.id, turn), turn:
            bases = bases_of(comparison.columns, self._catalogue.list())
            view = LiveView(comparison.id, prompt, bases, look.lang)
            # The same in every update: Gradio sends what changed and mends the last value in place,
            # so a value followed by "no change" could be gone before it was drawn.
            drawn = self._grid(comparison, look)
            yield [comparison.id, "", view.draw(turn.answers), drawn, gr.skip(), gr.skip()]
            for now in _frames(turn, view):
                yield [gr.skip(), gr.skip(), now, drawn, gr.skip(), gr.skip()]

    def _begun(
        self, shown: str, setup: Setup, prompt: str, lang: str
    ) -> tuple[Comparison, LiveTurn]:
        """Return the comparison the prompt belongs to, a new one if the columns changed."""
        comparison = self._going_on(shown, setup, lang)
        if comparison is not None:
            return comparison, self._comparisons.ask(comparison.id, prompt)
        comparison = self._comparisons.create(self._columns.columns(setup, lang))
        try:
            return comparison, self._comparisons.ask(comparison.id, prompt)
        except EasyTuneError:
            self._comparisons.delete(comparison.id)
            raise

    def _going_on(self, shown: str, setup: Setup, lang: str) -> Comparison | None:
        comparison = self._found(shown, lang)
        if comparison is None or comparison.kind != "live":
            return None
        return comparison if setup_of(comparison).asks_like(setup) else None

    def _grid(self, comparison: Comparison | None, look: Look) -> Drawn:
        if comparison is None:
            return {"id": "", "empty": t("compare.empty", look.lang), "heads": [], "turns": []}
        return grid(comparison, self._catalogue.list(), look)

    def _found(self, shown: str, lang: str) -> Comparison | None:
        try:
            return self._comparisons.get(shown) if shown else None
        except ComparisonMissing:  # deleted on another page
            return None
        except EasyTuneError as error:
            raise spoken(error, lang) from error


def _frames(turn: LiveTurn, view: LiveView) -> Iterator[Drawn]:
    """Yield the turn as it grows, not faster than people see, and once more when it is whole."""
    pace = Pace(UPDATE_SECONDS)
    for _ in turn.updates(every=UPDATE_SECONDS):
        if pace.is_due:
            with pace.frame():
                yield view.draw(turn.answers)
    yield view.draw(turn.answers)


def _buttons(is_running: bool) -> list[dict[str, Any]]:
    """Return updates of Send and Stop: one of them is of use."""
    return [
        button_update("compare.send", not is_running),
        button_update("compare.stop_all", is_running),
    ]


def _references(comparison: Comparison | None, chosen: Any) -> Any:
    """Return the columns that the others can be compared with."""
    if comparison is None:
        return gr.skip()
    return gr.update(**reference_choices(comparison.columns, chosen))
