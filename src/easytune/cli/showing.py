"""How far something is: a bar on a terminal, a line now and then in log files and pipes."""

import time
from dataclasses import dataclass
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn


@dataclass(frozen=True)
class Stage:
    """What is done now, in words, and how much of it; `total` is None while that is unknown."""

    doing: str
    figures: str
    done: float
    total: float | None


class View(Protocol):
    """Something that shows stages as they come, as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, stage: Stage) -> None:
        """Show what is new."""
        ...


def view(console: Console, *, transient: bool = False) -> View:
    """Return what fits the console; a transient bar goes away at the end."""
    return Bar(console, transient=transient) if console.is_terminal else Lines(console)


class Bar:
    """A progress bar for terminals."""

    def __init__(self, console: Console, *, transient: bool) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(),
            TextColumn("{task.fields[figures]}"), console=console, transient=transient,
        )  # fmt: skip
        self._task = self._progress.add_task("", total=None, figures="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, stage: Stage) -> None:
        """Move the bar."""
        self._progress.update(
            self._task, description=stage.doing, completed=stage.done, total=stage.total,
            figures=stage.figures,
        )  # fmt: skip


class Lines:
    """A line now and then, for log files and pipes."""

    EVERY_SECONDS = 10.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._doing = ""
        self._shown_at = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def show(self, stage: Stage) -> None:
        """Print a line when something else is done, or some time has passed."""
        now = time.monotonic()
        if stage.doing != self._doing or now - self._shown_at > self.EVERY_SECONDS:
            self._doing, self._shown_at = stage.doing, now
            line = f"{stage.doing} {stage.figures}".strip()
            self._console.print(line, highlight=False, markup=False, soft_wrap=True)
