"""Watching a run from the terminal until it ends."""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Protocol

from rich.console import Console

from easytune import remedies
from easytune.cli import showing
from easytune.config import TrainConfig
from easytune.i18n import t
from easytune.services import forgotten
from easytune.services.dispatch import Dispatcher
from easytune.services.runs import Runs
from easytune.services.story import Story

INTERRUPTED = 130
ENDED = ("finished", "stopped", "failed", "crashed", "lost")
PAUSE_SECONDS = 0.2


class Stop(Protocol):
    """Asks a job to end: after what it is at, or at once."""

    def __call__(self, *, now: bool) -> None: ...


def follow(runs: Runs, run: str, home: Path, lang: str) -> int:
    """Show a run's progress until it ends; return 0 finished, 130 stopped by Ctrl-C, else 1.

    The first Ctrl-C finishes the step and keeps what there is, the second ends the job at once,
    the third leaves it alone and returns.
    """
    console = Console(stderr=True)
    console.print(t("cli.run_is", lang, run=run), highlight=False)
    dispatcher = Dispatcher(home)
    view = showing.view(console)
    noted = 0
    with interruptions(partial(runs.stop, run), console, lang) as interrupts, view:
        while (story := _look(runs, run, dispatcher)).state not in ENDED:
            noted = _say_new_notices(story, noted, console, lang)
            view.show(_stage(story, lang))
            time.sleep(PAUSE_SECONDS)
        _say_new_notices(story, noted, console, lang)
        view.show(_stage(story, lang))
    return _tell_end(runs, run, story, interrupted=bool(interrupts), lang=lang)


def _stage(story: Story, lang: str) -> showing.Stage:
    """Return how far a run is."""
    doing, total = situation(story, lang), story.total_steps or None
    return showing.Stage(doing, figures(story, lang), story.step, total)


def situation(story: Story, lang: str) -> str:
    """Return what the run does now, in words."""
    if story.state == "queued" and story.queue_position:
        return t("cli.waiting", lang, position=story.queue_position)
    if story.state == "running" and story.phase:
        return t(f"cli.phase.{story.phase}", lang)
    return t(f"cli.state.{story.state}", lang).capitalize()


def figures(story: Story, lang: str) -> str:
    """Return step, losses and time left, as far as they are known."""
    parts: list[str] = []
    if story.total_steps:
        parts.append(t("cli.figure.step", lang, step=story.step, total=story.total_steps))
    if story.losses:
        parts.append(t("cli.figure.loss", lang, loss=f"{story.losses[-1][1]:.4f}"))
    if story.held_out:
        parts.append(t("cli.figure.held_out", lang, loss=f"{story.held_out[-1][1]:.4f}"))
    if (measured := story.final_forgetting) is not None:
        band = forgotten.band_name(measured.score, lang)
        score = forgotten.number(measured.score)
        parts.append(t("forgetting.figure", lang, score=score, band=band))
    if story.seconds_left is not None and story.state == "running":
        parts.append(t("cli.figure.left", lang, time=clock(story.seconds_left)))
    return "  ".join(parts)


def clock(seconds: float) -> str:
    """Return a duration as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _say_new_notices(story: Story, noted: int, console: Console, lang: str) -> int:
    """Print the notices after the first `noted`, and return how many there are now."""
    for notice in story.notices[noted:]:
        sentence = t(f"notice.{notice.code}", lang, **notice.values)
        console.print(sentence, highlight=False, markup=False, soft_wrap=True)
    return len(story.notices)


def _tell_forgotten(runs: Runs, story: Story, lang: str) -> None:
    """Print what the result has forgotten, and what helps where that is much."""
    measured = story.final_forgetting
    if measured is None:
        return
    lines = [forgotten.told(measured, lang)]
    if forgotten.is_severe(story):
        lines += [*_earlier(runs, story, lang), *_again(runs.config(story.run_id), lang)]
    print("\n".join(lines), file=sys.stderr)


def _earlier(runs: Runs, story: Story, lang: str) -> list[str]:
    models = runs.models_by_step(story.run_id)
    found = forgotten.trade_off(story, models)
    if found is None:
        return []
    learning, left = forgotten.percent(found.learning), forgotten.percent(found.forgetting)
    facts = {"step": found.step, "learning": learning, "forgetting": left}
    return [t("forgetting.hint_earlier", lang, model=models[found.step], **facts)]


def _again(config: TrainConfig, lang: str) -> list[str]:
    """Return which options to train again with, none where each has gone as far as it can."""
    tried = remedies.against_forgetting(config).values()
    found = [
        f"--{path} {value}" for new in tried for path, _, value in remedies.changes(config, new)
    ]
    return [t("forgetting.hint", lang, options=", ".join(found))] if found else []


def _look(runs: Runs, run: str, dispatcher: Dispatcher) -> Story:
    dispatcher.tick()
    return runs.story(run)


@contextmanager
def interruptions(stop: Stop, console: Console, lang: str, key: str = "cli") -> Iterator[list[int]]:
    """Turn Ctrl-C into stop, then terminate, then leave; yield the list of those that came.

    What is said are the texts `stopping` and `terminating` below `key`.
    """
    came: list[int] = []

    def react(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 2:
            raise KeyboardInterrupt
        stop(now=len(came) == 2)
        said = t(f"{key}.stopping" if len(came) == 1 else f"{key}.terminating", lang)
        console.print(said, highlight=False)

    before = signal.signal(signal.SIGINT, react)
    try:
        yield came
    finally:
        signal.signal(signal.SIGINT, before)


def _tell_end(runs: Runs, run: str, story: Story, *, interrupted: bool, lang: str) -> int:
    folder = runs.folder(run)
    if story.state == "finished":
        print(t("cli.finished", lang, folder=folder.adapter))
        _tell_forgotten(runs, story, lang)
        return 0
    if story.state == "stopped":
        key = "cli.stopped" if folder.adapter.is_dir() else "cli.stopped_early"
        print(t(key, lang, folder=folder.adapter, run=run), file=sys.stderr)
        return INTERRUPTED if interrupted else 1
    if story.failure is not None:
        print(t(f"error.{story.failure.code}", lang, **story.failure.values), file=sys.stderr)
    print(t("cli.log_is", lang, path=folder.log), file=sys.stderr)
    return INTERRUPTED if interrupted else 1
