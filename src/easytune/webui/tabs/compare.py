"""The Compare tab: many models asked the same, live, in batches, judged blind, and kept."""

from typing import Any

import gradio as gr

from easytune.errors import EasyTuneError
from easytune.services.comparison import Comparison
from easytune.webui.compare_batch import BatchHandlers, BatchPanel
from easytune.webui.compare_columns import ColumnsPanel
from easytune.webui.compare_history import HistoryHandlers, HistoryPanel
from easytune.webui.compare_live_panel import LiveHandlers, LivePanel
from easytune.webui.compare_setup import ALL, Setup, setup_of
from easytune.webui.compare_vote import VoteHandlers, VotePanel
from easytune.webui.context import Context
from easytune.webui.language import label
from easytune.webui.spoken import spoken

VIEWS = ("live", "batch", "vote", "history")
ASKING = ("live", "batch")
_KEPT = "(kept, ...rest) => [easytune.compareKept(), ...rest]"
# The browser shows one view and keeps the others: parts that Gradio takes away and brings back
# forget what language they are in.
_SHOW = "(view) => easytune.compareShow(view)"
_KEEP = "(setup, live, batch, view) => easytune.compareKeep(setup, live, batch, view)"


def build(context: Context, tab: gr.Tab) -> None:
    """Build the tab in the Blocks that are open; `tab` is the one it is in."""
    with gr.Column(elem_id="et-compare"):
        page = _Page(context)
    _wire(context, page, tab)


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self, context: Context) -> None:
        self.kept = gr.JSON(None, visible="hidden", elem_id="compare-kept")
        # Outside the parts that come and go: Gradio shows what is hidden in a part that appears.
        setup = gr.JSON(None, visible="hidden", elem_id="compare-setup")
        shown = gr.Textbox(str(ALL), visible="hidden", elem_id="compare-shown")
        self.opened = gr.Textbox("", visible="hidden", elem_id="compare-opened")
        with gr.Row(elem_id="compare-top"):
            self._top()
        with gr.Column(elem_id="compare-columns"):
            self.columns = ColumnsPanel(context.chat.catalogue, setup, shown)
        self.live = LivePanel()
        self.batch = BatchPanel(context)
        self.vote = VotePanel()
        self.history = HistoryPanel()
        self.relabel = gr.Button("", elem_id="compare-relabel")

    def _top(self) -> None:
        self.view = gr.Radio(
            [(label(f"compare.view.{name}"), name) for name in VIEWS], value=VIEWS[0],
            label=label("compare.view_name"), show_label=False, container=False, interactive=True,
            elem_id="compare-view", elem_classes=["compare-segments"],
        )  # fmt: skip
        with gr.Row(elem_id="compare-marks"):
            self._marks()

    def _marks(self) -> None:
        self.marking = gr.Checkbox(
            False, label=label("compare.mark"), interactive=True, container=False, scale=0,
            min_width=190, elem_id="compare-marking",
        )  # fmt: skip
        self.reference = gr.Dropdown(
            [], value=None, label=label("compare.mark"), show_label=False, container=False,
            interactive=True, scale=0, min_width=220, filterable=False, visible=False,
            elem_id="compare-reference",
        )  # fmt: skip

    @property
    def marks(self) -> list[Any]:
        """Return the controls of the differences."""
        return [self.marking, self.reference]


# --- handlers ---------------------------------------------------------------


class _Handlers:
    """From values to updates, with one call to a service between."""

    def __init__(self, context: Context, page: _Page) -> None:
        self._context = context
        self._page = page

    def entered(self, request: gr.Request, kept: Any, *values: Any) -> list[Any]:
        """Show what the visitor left in this browser, or what a newcomer finds.

        Somebody who only comes back from another tab finds it as it was, with the models there
        are now.
        """
        columns, lang = self._page.columns, self._context.language_of(request)
        left = kept if isinstance(kept, dict) else {}
        if left.get("opened"):
            return self._shown(self._found(str(left["opened"]), lang), lang)
        if values[0] is not None:
            setup = columns.lenient(values)
            return [gr.skip(), gr.skip(), gr.skip(), *columns.show(setup, lang)]
        setup = Setup.read(left.get("setup")) or columns.first()
        view = left.get("view") if left.get("view") in VIEWS else VIEWS[0]
        live, batch = (str(left.get(name) or "") for name in ASKING)
        return [live, batch, view, *columns.show(setup, lang)]

    def reopened(self, request: gr.Request, chosen: str) -> list[Any]:
        """Show a comparison of the list, with its columns ready to go on."""
        columns, lang = self._page.columns, self._context.language_of(request)
        if not chosen:
            return [gr.skip() for _ in range(4 + len(columns.outputs))]
        return ["", *self._shown(self._found(chosen, lang), lang)]

    def _shown(self, whole: Comparison, lang: str) -> list[Any]:
        ids = [whole.id if whole.kind == kind else gr.skip() for kind in ASKING]
        return [*ids, whole.kind, *self._page.columns.show(setup_of(whole), lang)]

    def _found(self, chosen: str, lang: str) -> Comparison:
        try:
            return self._context.comparisons.get(chosen)
        except EasyTuneError as error:
            raise spoken(error, lang) from error


# --- wiring -----------------------------------------------------------------


def _wire(context: Context, page: _Page, tab: gr.Tab) -> None:
    on, columns, live, batch = _Handlers(context, page), page.columns, page.live, page.batch
    now: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    # Queued: only then does Gradio show what an error says.
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    ids = [live.comparison, batch.comparison]
    # First of all: what follows a change runs in the order of this wiring, and the rest waits for
    # the server. A page that went away meanwhile would lose the change.
    changes = [columns.setup.change, *(one.change for one in ids), page.view.change]
    gr.on(changes, None, [columns.setup, *ids, page.view], js=_KEEP)
    votes = VoteHandlers(context)
    switched = [page.view.change]
    columns.wire(context)
    shown = LiveHandlers(context, columns).wire(live, columns, page.marks, switched)
    looked = BatchHandlers(context, columns, batch).wire(page.marks, switched)
    drawn = votes.wire(page.vote)
    HistoryHandlers(context).wire(page.history, page.opened, [*switched, page.relabel.click])
    choices: dict[str, Any] = {
        "fn": votes.choices, "inputs": [page.vote.comparison, *ids],
        "outputs": page.vote.comparison, **now,
    }  # fmt: skip
    entered: dict[str, Any] = {
        "fn": on.entered, "inputs": [page.kept, *columns.inputs],
        "outputs": [*ids, page.view, *columns.outputs], "js": _KEPT, **now,
    }  # fmt: skip

    for event in (tab.select(**entered), page.relabel.click(**entered)):
        event.then(**shown).then(**looked)
    page.view.change(None, page.view, None, js=_SHOW)
    page.view.change(**choices).then(**drawn)
    # What was begun or opened last is what one wants to judge.
    for begun in ids:
        begun.change(**{**choices, "inputs": [begun, page.vote.comparison]})
    page.relabel.click(**choices).then(**drawn)
    page.opened.change(
        on.reopened, page.opened, [page.opened, *ids, page.view, *columns.outputs], **told
    )
    page.marking.input(lambda marking: gr.update(visible=marking), *page.marks, **now)
