"""What is known of a task, told from the files in its folder."""

import time
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from easytune import locks, records
from easytune.data.tasks import Task, TaskFolder
from easytune.dataset_errors import TaskCancelled, TaskLost
from easytune.services import processes
from easytune.services.processes import Identity

State = Literal["waiting", "running", "finished", "failed", "cancelled", "lost"]
ACTIVE: tuple[State, ...] = ("waiting", "running")
_SOONEST_S = 1.0


@dataclass(frozen=True)
class TaskFailure:
    """Why a task came to nothing: text `error.<code>` with `values`."""

    code: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskStory:
    """What is known of a task.

    `phase` (text `data_task.phase.<phase>`), `done` and `total` of `unit`s are those of the part
    of the work that goes on now; `seconds_left` too, None while it cannot be told. `seconds` counts
    from the start of the work, and stands still once it has ended. `result`: see `DataTasks.get`.
    """

    id: str
    task: Task
    state: State
    phase: str = ""
    done: int = 0
    total: int | None = None
    unit: str = "rows"
    seconds: float = 0.0
    seconds_left: float | None = None
    result: dict[str, Any] | None = None
    error: TaskFailure | None = None
    cancelling: bool = False
    """It was asked to end and has not ended yet."""
    is_recorded: bool = True
    """Its folder says how it ended; not so when its process was killed."""

    @property
    def is_active(self) -> bool:
        """Tell whether the task waits or runs."""
        return self.state in ACTIVE


def tell(folder: TaskFolder) -> TaskStory:
    """Return the story of a task. Raises OSError or ValueError for a damaged folder."""
    task = folder.read()
    ended = _ended(folder, task)
    if ended is not None:
        return ended
    state = _state(folder)
    # It may have ended while we looked; then its lock was free for the best of reasons.
    if state not in ACTIVE and (ended := _ended(folder, task)):
        return ended
    return _unfinished(folder, task, state)


def worker_of(folder: TaskFolder) -> Identity | None:
    """Return which process of this machine works on a task, dead or alive."""
    process = records.read(folder.process)
    if process is None or process.get("boot_id") != processes.boot_id():
        return None
    return Identity(int(process["pid"]), str(process["started"]))


def _ended(folder: TaskFolder, task: Task) -> TaskStory | None:
    if result := records.read(folder.result):
        seconds = float(result.get("seconds", 0))
        return TaskStory(folder.id, task, "finished", seconds=seconds, result=result["result"])
    if error := records.read(folder.error):
        code, values = str(error.get("code")), error.get("values") or {}
        seconds = float(error.get("seconds", 0))
        known: dict[str, State] = {TaskCancelled.code(): "cancelled", TaskLost.code(): "lost"}
        state = known.get(code, "failed")
        failure = TaskFailure(code, values)
        return TaskStory(folder.id, task, state, seconds=seconds, error=failure)
    return None


def _state(folder: TaskFolder) -> State:
    worker = worker_of(folder)
    # A worker that has just been started has not taken its lock yet.
    if locks.is_held(folder.lock) or (worker is not None and processes.is_alive(worker)):
        return "running"
    if folder.cancel.exists():
        return "cancelled"
    return "lost" if folder.process.exists() else "waiting"


def _unfinished(folder: TaskFolder, task: Task, state: State) -> TaskStory:
    story = TaskStory(folder.id, task, state)
    if state == "waiting":
        return story
    progress = records.read(folder.progress) or {}
    process = records.read(folder.process) or {}
    began = float(process.get("at") or time.time())
    story = replace(
        story,
        phase=str(progress.get("phase", "begin")),
        done=int(progress.get("done", 0)),
        total=progress.get("total"),
        unit=str(progress.get("unit", "rows")),
    )
    if state == "running":
        left = _seconds_left(progress)
        cancelling = folder.cancel.exists()
        elapsed = max(0.0, time.time() - began)
        return replace(story, seconds=elapsed, seconds_left=left, cancelling=cancelling)
    elapsed = max(0.0, float(progress.get("at") or began) - began)
    code = TaskLost.code() if state == "lost" else TaskCancelled.code()
    failure = TaskFailure(code, {"task": folder.id})
    return replace(story, seconds=elapsed, error=failure, is_recorded=False)


def _seconds_left(progress: dict[str, Any]) -> float | None:
    """Return the estimate for the phase: what is left, at the pace so far."""
    done, total = progress.get("done") or 0, progress.get("total")
    took = float(progress.get("at", 0)) - float(progress.get("phase_began", 0))
    if not total or done <= 0 or took < _SOONEST_S:
        return None
    since = time.time() - float(progress.get("at", 0))
    return max(0.0, took * (total - done) / done - since)
