"""Following a job of any kind from the terminal until it has ended."""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

from easytune.cli import showing
from easytune.cli.follow import interruptions
from easytune.i18n import t
from easytune.services.dispatch import Dispatcher
from easytune.services.job_following import JobStory
from easytune.services.job_shelf import JobShelf
from easytune.services.report_table import Table as Figures

INTERRUPTED = 130
_PAUSE_S = 0.2
Story = TypeVar("Story", bound=JobStory)


def follow(
    jobs: JobShelf[Any, Any, Story],
    job: str,
    home: Path,
    lang: str,
    key: str,
    stage: Callable[[Story, str], showing.Stage],
) -> tuple[Story, bool]:
    """Show how far a job is until it has ended; return its story, and whether Ctrl-C came.

    The first Ctrl-C keeps what there is, the second ends the job, the third leaves it. Texts are
    `is`, `stopping` and `terminating` below `key`.
    """
    console = Console(stderr=True)
    console.print(t(f"{key}.is", lang, job=job), highlight=False)
    dispatcher, view, noted = Dispatcher(home), showing.view(console), 0

    def stop(*, now: bool) -> None:
        jobs.stop(job, now=now)

    with interruptions(stop, console, lang, key) as came, view:
        while True:
            dispatcher.tick()
            story = jobs.story(job)
            for notice in story.notices[noted:]:
                said = t(f"notice.{notice.code}", lang, **notice.values)
                console.print(said, highlight=False, markup=False, soft_wrap=True)
            noted = len(story.notices)
            view.show(stage(story, lang))
            if story.has_ended:
                return story, bool(came)
            time.sleep(_PAUSE_S)


def doing(story: JobStory, lang: str) -> str:
    """Return what a job does now, in words."""
    if story.state == "queued" and story.queue_position:
        return t("cli.waiting", lang, position=story.queue_position)
    if story.state == "running" and story.phase:
        return t(f"cli.phase.{story.phase}", lang)
    return t(f"cli.state.{story.state}", lang).capitalize()


def tell_failure(story: JobStory, log: Path, advice: str, interrupted: bool, lang: str) -> int:
    """Say why a job did not go on to its end, and what can be done; return the exit status."""
    if story.failure is not None:
        said = t(f"error.{story.failure.code}", lang, **story.failure.values)
        print(said, file=sys.stderr)
    if advice:
        print(advice, file=sys.stderr)
    if story.state != "stopped":
        print(t("cli.log_is", lang, path=log), file=sys.stderr)
    return INTERRUPTED if interrupted else 1


def drawn(figures: Figures) -> Table:
    """Return a table of figures as a terminal shows it."""
    table = Table(box=None, header_style="bold")
    for place, name in enumerate(figures.head):
        table.add_column(name, overflow="fold", no_wrap=place == 0)
    for row in figures.rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    return table
