"""Long work on datasets: how far it is, to cancel it, and what came of it. Survives a reload."""

import json
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import gradio as gr

from easytune.dataset_errors import TaskUnknown
from easytune.errors import EasyTuneError
from easytune.services.data_tasks import TaskStory
from easytune.webui import data_job_view
from easytune.webui.context import Context
from easytune.webui.spoken import spoken

TICK_SECONDS = 1.0
BROKEN = ("failed", "lost")
TOLD = ("import", "preprocess")
"""Kinds of tasks whose success has a card; of others the panels show what came of them."""
Shown = dict[str, Any]
_CLICKS = "easytune.dataClicks(element, trigger);"


@dataclass(frozen=True)
class JobPanel:
    """What other parts of the Data tab need of the panel."""

    task_id: gr.Textbox
    """Set it to the id of a task that was just started: the panel follows it from then on."""
    finished: gr.Textbox
    """Changes to the id of a task that has ended, however it ended, while this page was open."""
    acted: gr.JSON
    """What was clicked on the card of a task that has ended: {"act": …, "dataset": id}."""
    timer: gr.Timer
    """Rests while nothing runs."""
    look: dict[str, Any]
    """The event that brings the panel up to date."""

    @property
    def outputs(self) -> list[Any]:
        """Return the components that `look` updates."""
        return self.look["outputs"]


def build(context: Context) -> JobPanel:
    """Lay out the panel here, and keep it up to date."""
    task_id = gr.Textbox("", visible="hidden", elem_id="data-task")
    finished = gr.Textbox("", visible="hidden", elem_id="data-finished")
    acted = gr.JSON(None, visible="hidden", elem_id="data-job-acted")
    shown = gr.JSON(None, visible="hidden", elem_id="data-job-shown")
    timer = gr.Timer(TICK_SECONDS, active=False)
    cards = gr.HTML("", elem_id="data-jobs", js_on_load=_CLICKS, apply_default_css=False)
    on = _Handlers(context)
    told: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    look: dict[str, Any] = {
        "fn": on.look, "inputs": [task_id, shown], "outputs": [cards, shown, finished, timer],
        "queue": False, **told,
    }  # fmt: skip
    # One event for all, so that an older answer cannot come last.
    gr.on([timer.tick, task_id.change], **look, trigger_mode="always_last")
    cards.click(on.clicked, [shown], [acted, shown], **told).then(**look)
    return JobPanel(task_id, finished, acted, timer, look)


class _Handlers:
    """Values in, one service call, updates out."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks = context.datasets.tasks

    def look(self, request: gr.Request, task_id: str, shown: Shown | None) -> Any:
        """Return what changed since the page last asked.

        The page keeps which tasks it has seen at work; one of these that has ended is told once.
        """
        lang, before = self._context.language_of(request), shown or {}
        stories = self._tasks.list()
        followed = {*before.get("followed", []), *([task_id] if task_id else [])}
        followed -= set(before.get("told", []))
        working = [story.id for story in stories if story.is_active]
        ended = next((s.id for s in stories if s.id in followed and s.id not in working), None)
        told = [*before.get("told", []), *([ended] if ended else [])]
        now: Shown = {
            "followed": sorted((followed | set(working)) - set(told)),
            "told": told[-50:],
            "hidden": before.get("hidden", []),
        }
        html = self._cards(stories, now, lang)
        now["html"] = _digest(html)
        if now == before:
            return gr.skip()
        return [
            gr.skip() if before.get("html") == now["html"] else html,
            now,
            ended or gr.skip(),
            gr.Timer(active=bool(now["followed"])),
        ]

    def clicked(self, request: gr.Request, event: gr.EventData, shown: Shown | None) -> list[Any]:
        """Cancel a task, put its card away, or hand on what was clicked."""
        act, task = str(event._data.get("act", "")), str(event._data.get("task", ""))
        try:
            if act == "cancel":
                self._tasks.cancel(task)
            if act != "dismiss":
                return [dict(event._data) | {"at": str(event._data.get("at", ""))}, gr.skip()]
            story = self._tasks.get(task)
            if story.state in BROKEN:
                self._tasks.forget(task)
        except EasyTuneError as error:
            raise spoken(error, self._context.language_of(request)) from error
        before = shown or {}
        return [gr.skip(), before | {"hidden": [*before.get("hidden", []), task][-50:]}]

    def _cards(self, stories: list[TaskStory], now: Shown, lang: str) -> str:
        """Return the cards of what runs, what failed, and what this page saw come to its end."""
        kept = [
            story for story in stories
            if story.id not in now["hidden"] and story.task.kind != "facts"
            and (story.is_active or story.state in BROKEN or story.id in now["told"])
        ]  # fmt: skip
        whole = [self._whole(story) for story in kept]
        return data_job_view.cards([story for story in whole if story is not None], lang)

    def _whole(self, story: TaskStory) -> TaskStory | None:
        """Return a story with its result; None for one that needs no card."""
        if story.state != "finished":
            return story
        if story.task.kind not in TOLD:
            return None
        try:
            return self._tasks.get(story.id)
        except TaskUnknown:  # forgotten since it was listed
            return None


def _digest(content: object) -> str:
    return f"{crc32(json.dumps(content, default=str).encode()):08x}"
