"""Following a task on datasets from the terminal until it ends."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from rich.console import Console

from easytune import quantities
from easytune.cli import showing
from easytune.cli.follow import clock
from easytune.i18n import t
from easytune.services.data_tasks import DataTasks, TaskStory

PAUSE_SECONDS = 0.2


class Unfinished(Exception):
    """A task came to nothing: it failed, was cancelled, or its process was killed."""

    def __init__(self, story: TaskStory, interrupted: bool) -> None:
        """Take how it ended, and whether Ctrl-C was what ended it."""
        super().__init__(story.id)
        self.story = story
        self.interrupted = interrupted


def result(tasks: DataTasks, task_id: str, lang: str) -> dict[str, Any]:
    """Show how far a task is until it ends, and return its result.

    The first Ctrl-C cancels it, and nothing of it is kept; the second leaves it to itself.
    Raises Unfinished, and KeyboardInterrupt after the second Ctrl-C.
    """
    console = Console(stderr=True)
    view = showing.view(console, transient=True)
    asked = False
    with _interrupts() as came, view:
        while (story := tasks.wait(task_id, PAUSE_SECONDS)).is_active:
            if came and not asked:
                asked = True
                tasks.cancel(task_id)
                console.print(t("cli.data.cancelling", lang), highlight=False)
            view.show(_stage(story, lang))
    if story.state != "finished":
        raise Unfinished(story, bool(came))
    return story.result or {}


def _stage(story: TaskStory, lang: str) -> showing.Stage:
    """Return how far a task is."""
    return showing.Stage(doing(story, lang), figures(story, lang), story.done, story.total)


def doing(story: TaskStory, lang: str) -> str:
    """Return what the task does now, in words."""
    if story.state == "waiting":
        return t("cli.data.waiting", lang)
    return t(f"data_task.phase.{story.phase or 'begin'}", lang)


def figures(story: TaskStory, lang: str) -> str:
    """Return how much is done and how long the rest takes, as far as that is known."""
    parts: list[str] = []
    if story.done:
        parts.append(_amounts(story, lang))
    if story.seconds_left is not None:
        parts.append(t("cli.figure.left", lang, time=clock(story.seconds_left)))
    return "  ".join(parts)


def _amounts(story: TaskStory, lang: str) -> str:
    written = quantities.size if story.unit == "bytes" else "{:,}".format
    amounts = [written(story.done)] + ([written(story.total)] if story.total else [])
    unit = "" if story.unit == "bytes" else f" {t(f'data_task.unit.{story.unit}', lang)}"
    return " / ".join(amounts) + unit


@contextmanager
def _interrupts() -> Iterator[list[int]]:
    """Note the first Ctrl-C, and leave with the second; yield the list of those that came."""
    came: list[int] = []

    def react(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, react)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)
