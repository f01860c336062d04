"""The Models tab: every version there is, where it comes from, what it scores; and the trash."""

from typing import Any

import gradio as gr

from easytune.webui import clicks
from easytune.webui.context import Context
from easytune.webui.import_panel import ImportPanel
from easytune.webui.language import label
from easytune.webui.models_handlers import ModelsHandlers
from easytune.webui.run_panel import RunPanel
from easytune.webui.tabs.data import LOOK, DataTab

TICK_SECONDS = 1.5
VIEWS = ("list", "import", "trash")
_CLICKS = "easytune.modelsClicks(element, trigger);"
# The browser shows one view and keeps the other, as the Evaluate tab does.
_SHOW = "(view) => easytune.modelsShow(view)"
_OPEN_DATA = "(wanted) => easytune.openDataset(wanted)"


def build(
    context: Context, tabs: gr.Tabs, tab: gr.Tab, panel: RunPanel, datasets: DataTab
) -> gr.Timer:
    """Build the tab in the Blocks that are open; `tab` is the one it is in.

    A run opens in `panel`, on the Train tab, a dataset version in `datasets`. Returns the timer
    that ticks while something is read in the background; it begins by itself.
    """
    with gr.Column(elem_id="et-models"):
        page = _Page(context)
    _wire(context, page, tab)
    _wire_links(page, tabs, panel, datasets)
    return page.timer


# --- layout -----------------------------------------------------------------


class _Page:
    """The components of the tab."""

    def __init__(self, context: Context) -> None:
        self.state = gr.JSON({}, visible="hidden", elem_id="models-state")
        self.wanted = gr.Textbox("", visible="hidden", elem_id="models-wanted")
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        self.view = gr.Radio(
            [(label(f"models.view.{name}"), name) for name in VIEWS], value=VIEWS[0],
            label=label("models.view_name"), show_label=False, container=False,
            interactive=True, elem_id="models-view", elem_classes=["compare-segments"],
        )  # fmt: skip
        with gr.Row(elem_classes=["et-columns"], elem_id="models-columns"):
            with gr.Column(scale=6, min_width=320, elem_id="models-left"):
                self.search = gr.Textbox(
                    "", label=label("models.search"), max_lines=1, interactive=True,
                    elem_id="models-search",
                )  # fmt: skip
                self.filters = _part("filters")
                self.list = _part("list")
            with gr.Column(scale=5, min_width=320, elem_id="models-right"):
                self.sheet = _part("sheet")
                self.files = _part("files")
        with gr.Column(elem_id="models-import"):
            self.importing = ImportPanel(context)
        with gr.Column(elem_id="models-bin"):
            self.trash = _part("trash")
        self.relabel = gr.Button("", elem_id="models-relabel", elem_classes=["work-relabel"])

    @property
    def outputs(self) -> list[Any]:
        """Return what every handler updates."""
        return [
            self.state, self.filters, self.list, self.sheet, self.files, self.trash, self.timer,
        ]  # fmt: skip


def _part(name: str) -> gr.HTML:
    return gr.HTML("", apply_default_css=False, elem_id=f"models-{name}", js_on_load=_CLICKS)


# --- wiring -----------------------------------------------------------------


def _wire(context: Context, page: _Page, tab: gr.Tab) -> None:
    on = ModelsHandlers(context)
    # What may raise or tell something is queued: past the queue Gradio shows no toast.
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    now: dict[str, Any] = {"queue": False, **told}
    values: dict[str, Any] = {"inputs": [page.state, page.search], "outputs": page.outputs}

    page.view.change(None, page.view, None, js=_SHOW)
    gr.on(
        [tab.select, page.relabel.click, page.view.change], on.entered, **values,
        trigger_mode="always_last", **now,
    )  # fmt: skip
    page.importing.wire([page.view.change])
    page.search.change(on.searched, **values, trigger_mode="always_last", **now)
    page.timer.tick(on.ticked, **values, **now)
    clicked = [part.click for part in (page.filters, page.list, page.sheet, page.trash)]
    gr.on(clicked, on.clicked, **values, **told, **clicks.EACH)


def _wire_links(page: _Page, tabs: gr.Tabs, panel: RunPanel, datasets: DataTab) -> None:
    """Let the chain of a version open its run, and its dataset version."""
    now: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
    page.sheet.click(_opened, None, [panel.run_id, tabs, page.wanted], **(now | clicks.EACH))
    # Only what is in the page can be set: the tab is opened first.
    page.wanted.change(None, page.wanted, page.wanted, js=_OPEN_DATA).then(
        _looked, page.wanted, [*datasets.shown, page.wanted], **now
    )


def _opened(event: gr.EventData) -> list[Any]:
    opened = str(event._data.get("id", ""))
    match event._data.get("work"):
        case "to-run":
            return [opened, gr.Tabs(selected="train"), gr.skip()]
        case "to-dataset":
            return [gr.skip(), gr.skip(), opened]
    return [gr.skip(), gr.skip(), gr.skip()]


def _looked(wanted: str) -> list[Any]:
    return [wanted, LOOK, ""] if wanted else [gr.skip(), gr.skip(), gr.skip()]
