"""How far a long task has come, and whether it shall go on."""

from typing import Literal, Protocol

Unit = Literal["bytes", "rows", "files"]


class Progress(Protocol):
    """What a task tells while it works. Tasks call it as often as they like: it is throttled."""

    def __call__(self, phase: str, done: int, total: int | None, unit: Unit = "rows") -> None:
        """Tell that `done` of `total` units of a phase are done (text `data_task.phase.<phase>`).

        Raises TaskCancelled when the user wants it to end; the task then leaves nothing behind.
        """
        ...


def silent(phase: str, done: int, total: int | None, unit: Unit = "rows") -> None:
    """Tell nobody: for small work and for tests."""
