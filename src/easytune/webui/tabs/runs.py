"""The Runs tab: every run in one table, to open or delete."""

from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from easytune import forgetting, quantities
from easytune.errors import EasyTuneError
from easytune.i18n import t
from easytune.services import forgotten
from easytune.services.runs import RunSummary
from easytune.services.story import Story
from easytune.webui import run_data
from easytune.webui.context import Context
from easytune.webui.job_monitor import choice
from easytune.webui.language import label
from easytune.webui.run_panel import RunPanel
from easytune.webui.run_view import ACTIVE, state_chip
from easytune.webui.spoken import spoken

REFRESH_SECONDS = 2.0
COLUMNS = ("name", "state", "when", "model", "data", "steps", "held_out", "forgetting")
_CLICKS = """
element.addEventListener('click', (event) => {
  const button = event.target.closest('[data-run]');
  if (button) trigger('click', { run: button.dataset.run, action: button.dataset.action });
});
"""


def build(context: Context, tabs: gr.Tabs, tab: gr.Tab, panel: RunPanel) -> gr.Timer:
    """Lay out the tab; opening a run shows it in `panel`, on the Train tab.

    Returns the timer that keeps the table fresh; it need not run while another tab is open.
    """
    table = gr.HTML("", elem_id="et-runs", js_on_load=_CLICKS, apply_default_css=False)
    with gr.Group(visible=False, elem_id="et-delete-box") as box:
        question = gr.HTML(elem_id="et-delete-question", padding=True)
        with gr.Row(elem_classes="et-row"):
            keep = gr.Button(label("monitor.keep"), elem_id="et-keep")
            delete = gr.Button(label("monitor.delete"), variant="stop", elem_id="et-delete")
    doomed = gr.Textbox("", visible="hidden", elem_id="et-doomed")
    timer = gr.Timer(REFRESH_SECONDS, active=False)

    handlers = _Handlers(context)
    # What may raise or tell something is queued: past the queue Gradio shows no toast.
    telling: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    now: dict[str, Any] = {"queue": False, **telling}
    refresh: dict[str, Any] = {"inputs": table, "outputs": table, **now}
    tab.select(handlers.refresh, **refresh)
    timer.tick(handlers.refresh, **refresh)
    table.click(handlers.clicked, None, [panel.run_id, tabs, box, question, doomed], **now)
    keep.click(lambda: gr.update(visible=False), None, box, **now)
    delete.click(handlers.delete, doomed, box, **telling).then(handlers.refresh, **refresh)
    return timer


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runs = context.runs
        self._library = context.datasets.library

    def refresh(self, shown: str | None, request: gr.Request) -> Any:
        """Return the table, if it differs from what the page shows."""
        table = self._table(self._context.language_of(request))
        return gr.skip() if table == shown else table

    def clicked(self, event: gr.EventData, request: gr.Request) -> list[Any]:
        """Open a run, or ask whether to delete it."""
        run_id = str(event._data.get("run", ""))
        if event._data.get("action") == "open":
            return [run_id, gr.Tabs(selected="train"), gr.skip(), gr.skip(), gr.skip()]
        lang = self._context.language_of(request)
        name = next((choice(run, lang) for run in self._runs.list() if run.id == run_id), run_id)
        asked = t("monitor.delete_really", lang, name=name)
        return [gr.skip(), gr.skip(), gr.update(visible=True), escape(asked), run_id]

    def delete(self, run_id: str, request: gr.Request) -> Any:
        """Delete the run that was asked about."""
        lang = self._context.language_of(request)
        try:
            self._runs.delete(run_id)
        except EasyTuneError as error:
            raise spoken(error, lang) from error
        gr.Info(t("monitor.deleted", lang, name=run_id), title="", duration=4)
        return gr.update(visible=False)

    def _table(self, lang: str) -> str:
        runs = self._runs.list()
        if not runs:
            return f'<div class="et-empty">{escape(t("monitor.runs_empty", lang))}</div>'
        heads = "".join(
            f"<th>{escape(t(f'monitor.runs_columns.{name}', lang))}</th>" for name in COLUMNS
        )
        rows = "".join(self._row(run, lang) for run in runs)
        return (
            '<div class="et-table-wrap"><table class="et-table">'
            f"<thead><tr>{heads}<th></th></tr></thead><tbody>{rows}</tbody></table></div>"
        )

    def _row(self, run: RunSummary, lang: str) -> str:
        story = self._runs.story(run.id)
        steps = f"{story.step} / {story.total_steps}" if story.total_steps else ""
        held_out = f"{story.held_out[-1][1]:.4f}" if story.held_out else ""
        when = quantities.minute(run.created)
        cells = [
            escape(run.name),
            state_chip(run.state, lang),
            when,
            escape(Path(run.order.config.model.base_model).name),
            escape(run_data.names(run.order.config, self._library, lang)),
            steps,
            held_out,
            _score(story),
            _buttons(run, lang),
        ]
        return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def _score(story: Story) -> str:
    """Return what a run's result has forgotten, coloured where that is much."""
    measured = story.final_forgetting
    if measured is None:
        return ""
    tone = forgetting.band(measured.score)
    return f'<span data-tone="{tone}">{forgotten.number(measured.score)}</span>'


def _buttons(run: RunSummary, lang: str) -> str:
    """Return the row's buttons; a run that has not ended can only be opened."""
    actions = ["open"] if run.state in ACTIVE else ["open", "delete"]
    name = escape(run.id, quote=True)
    buttons = [
        f'<button type="button" class="et-mini" data-run="{name}"'
        f' data-action="{action}">{escape(t(f"monitor.{action}", lang))}</button>'
        for action in actions
    ]
    if run.state not in ACTIVE and run.folder.adapter.is_dir():
        said = escape(t("evaluate.this", lang))
        buttons.insert(
            1,
            f'<button type="button" class="et-mini" data-et-evaluate="{name}">{said}</button>',
        )
    return f'<span class="et-buttons">{"".join(buttons)}</span>'
