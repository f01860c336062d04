"""The long tasks of a home: started in processes of their own, followed, cancelled, forgotten.

A task needs neither the page nor the server. What is known of it is read from its folder, see
`easytune.data.tasks`.
"""

import logging
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from easytune import locks, records
from easytune.data import tasks as stored
from easytune.data.tasks import ImportTask, Task, TaskFolder
from easytune.data.versions.library import Library
from easytune.dataset_errors import StorageFull, TaskActive, TaskFailed, TaskUnknown
from easytune.errors import EasyTuneError
from easytune.services import processes
from easytune.services.data_task_story import (
    ACTIVE,
    State,
    TaskFailure,
    TaskStory,
    tell,
    worker_of,
)
from easytune.services.uploads import Uploads

__all__ = ["ACTIVE", "DataTasks", "State", "TaskFailure", "TaskStory"]

AT_ONCE = 2
CANCEL_S = 10.0
TICK_S = 0.5
KEPT_S = 7 * 24 * 3600.0
_WAIT_S = 0.1
_log = logging.getLogger(__name__)


class DataTasks:
    """All tasks of one home. Any number of processes may have one; threads may share one."""

    def __init__(self, home: Path, worker: Sequence[str] = ()) -> None:
        """Look at the tasks under `home`. Tests give another `worker` command than our own."""
        self._home = home
        self._worker = list(worker) or [sys.executable, "-m", "easytune.data.worker"]
        self._lock = threading.RLock()
        self._children: list[subprocess.Popen[bytes]] = []
        self._ended: dict[str, TaskStory] = {}
        self._settled: set[str] = set()
        self._orphans_ended: set[str] = set()
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, task: Task) -> str:
        """Begin a task, or queue it while two others run; return its id.

        Raises FolderUnwritable or StorageFull.
        """
        folder = stored.create(self._home, task)
        self.tick(patience_s=1.0)
        return folder.id

    def get(self, task_id: str) -> TaskStory:
        """Return what is known of a task, with the result of a finished one. Raises TaskUnknown.

        Results by kind: import {"made": [{"dataset", "number", "title", "rows", "problems"}]};
        preprocess {"dataset", "number", "title", "rows", "problems", "counts": [fields of
        `StepCount`]}; statistics, measure and leaks the fields of `Statistics`, `Measured` and
        `Leaks`; export {"path", "bytes"}; facts {}.
        """
        try:
            return tell(self._folder(task_id))
        except (OSError, ValueError) as error:
            # Somebody has just removed it.
            raise TaskUnknown(task_id) from error

    def cancel(self, task_id: str) -> None:
        """Ask a task to end and keep nothing; after ten seconds its processes are killed.

        One that has ended is left alone. Raises TaskUnknown.
        """
        folder = self._folder(task_id)
        if self.get(task_id).is_active:
            folder.cancel.touch()
            self.tick()

    def forget(self, task_id: str) -> None:
        """Remove a task that has ended, with the files in its folder.

        Raises TaskUnknown, or TaskActive while it waits or runs.
        """
        folder = self._folder(task_id)
        story = self.get(task_id)
        if story.is_active:
            raise TaskActive(task_id)
        self._ended.pop(task_id, None)
        # Out of sight in one step, so that nobody meets half a folder.
        hidden = folder.path.rename(folder.path.with_name(f".forgotten-{task_id}"))
        shutil.rmtree(hidden, ignore_errors=True)
        self._discard_uploads(story.task)

    def wait(self, task_id: str, timeout: float | None = None) -> TaskStory:
        """Return a task's story once it has ended, or after `timeout` seconds. Raises TaskUnknown.

        Meanwhile the queue is served, so that no app needs to run.
        """
        give_up = time.monotonic() + timeout if timeout is not None else None
        while (story := self.get(task_id)).is_active:
            if give_up is not None and time.monotonic() >= give_up:
                break
            self.tick()
            time.sleep(_WAIT_S)
        self.tick()
        return story

    def serve(self, on_end: Callable[[TaskStory], None] = lambda story: None) -> None:
        """Serve the queue from a background thread until `close`.

        `on_end` is called there with the story of each task that has ended since.
        """
        self._thread = threading.Thread(
            target=self._serve, args=(on_end,), name="data-tasks", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop serving. Tasks that run go on."""
        self._closed.set()
        if self._thread:
            self._thread.join()

    def tick(self, patience_s: float = 0.0) -> None:
        """Do what is due: end cancelled tasks, tidy up after lost ones, begin the next.

        Any number of processes may do so at once; `patience_s` waits for another's turn to end.
        """
        root = stored.folder_of(self._home)
        if not root.is_dir():
            return
        with self._lock:
            # Asking our children how they fare is what buries the ones that have ended.
            self._children = [child for child in self._children if child.poll() is None]
            try:
                if (lock := locks.hold(root / ".dispatch.lock", patience_s)) is not None:
                    with lock:
                        self._serve_once(root)
            except (OSError, EasyTuneError):
                # A full disk or a folder deleted meanwhile: the queue must survive both.
                _log.exception("The tasks could not be served; trying again.")

    def claimed_uploads(self) -> set[str]:
        """Return the upload folders that a task still needs."""
        active = [story.task for story in self.list() if story.is_active]
        return {each for task in active if isinstance(task, ImportTask) for each in task.uploads}

    def forget_old(self) -> None:
        """Forget the tasks that ended more than a week ago."""
        for story in self.list():
            folder = TaskFolder(stored.folder_of(self._home) / story.id)
            if not story.is_active and time.time() - folder.path.stat().st_mtime > KEPT_S:
                self.forget(story.id)

    def _serve(self, on_end: Callable[[TaskStory], None]) -> None:
        told = {story.id for story in self.list() if not story.is_active}
        while not self._closed.wait(TICK_S):
            self.tick()
            ended = [story for story in self.list() if not story.is_active]
            for story in ended:
                if story.id not in told:
                    on_end(story)
            told = {story.id for story in ended}

    def _serve_once(self, root: Path) -> None:
        stories = self.list()
        for story in stories:
            if story.id not in self._settled:
                self._tidy(TaskFolder(root / story.id), story)
        self._begin_waiting([story for story in stories if story.is_active])

    def _tidy(self, folder: TaskFolder, story: TaskStory) -> None:
        """Kill what does not end by itself, and remove what ended tasks no longer need."""
        worker = worker_of(folder)
        if story.cancelling and worker and _age(folder.cancel) >= CANCEL_S:
            processes.kill_group_of(worker)
        if story.state == "running" and worker and not processes.is_alive(worker):
            # Children of a killed worker keep its lock.
            self._end_orphans(folder)
        if not story.is_recorded:
            self._bury(folder, story)
        if not story.is_active:
            self._settled.add(story.id)
            if not _may_be_tried_again(story):
                self._discard_uploads(story.task)

    def _end_orphans(self, folder: TaskFolder) -> None:
        if folder.id not in self._orphans_ended:
            self._orphans_ended.add(folder.id)
            processes.kill_marked(folder.path.resolve())

    def _bury(self, folder: TaskFolder, story: TaskStory) -> None:
        """Write down that a worker died, so that it stays so, and sweep what it left behind."""
        self._end_orphans(folder)
        Library(self._home).sweep()
        if story.error:
            failure = {"code": story.error.code, "values": story.error.values}
            records.write(folder.error, failure | {"seconds": story.seconds})

    def _begin_waiting(self, active: Sequence[TaskStory]) -> None:
        """Begin the oldest waiting tasks, as many as there is room for."""
        room = AT_ONCE - sum(story.state == "running" for story in active)
        waiting = [story for story in reversed(active) if story.state == "waiting"]
        for story in waiting[: max(0, room)]:
            self._launch(TaskFolder(stored.folder_of(self._home) / story.id))

    def _launch(self, folder: TaskFolder) -> None:
        path = folder.path.resolve()
        try:
            with folder.log.open("ab") as log:
                child = subprocess.Popen(
                    [*self._worker, str(path)],
                    cwd=path,
                    env=processes.environment_of(path),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    **processes.detached(),
                )
        except OSError as error:
            failed = TaskFailed(str(error), str(folder.log))
            records.write(folder.error, {"code": failed.code(), "values": failed.values})
            return
        self._children.append(child)
        identity = processes.identify(child.pid)
        started = identity.started if identity else ""
        record = {"boot_id": processes.boot_id(), "pid": child.pid, "started": started}
        records.write(folder.process, record | {"at": time.time()})

    def _discard_uploads(self, task: Task) -> None:
        if isinstance(task, ImportTask) and task.uploads:
            # The same files may be wanted twice, with another mapping.
            for folder in set(task.uploads) - self.claimed_uploads():
                Uploads(self._home).discard(Path(folder))

    def _folder(self, task_id: str) -> TaskFolder:
        folder = TaskFolder(stored.folder_of(self._home) / task_id)
        is_plain = Path(task_id).name == task_id and not task_id.startswith(".")
        if not is_plain or not folder.task.is_file():
            raise TaskUnknown(task_id)
        return folder

    # Last in the class: after it the name no longer means the builtin that annotations need.
    def list(self) -> "list[TaskStory]":
        """Return all tasks without their results, newest first."""
        root = stored.folder_of(self._home)
        if not root.is_dir():
            return []
        names = sorted((p.name for p in root.iterdir() if p.name[0] != "."), reverse=True)
        return [story for name in names if (story := self._story(TaskFolder(root / name)))]

    def _story(self, folder: TaskFolder) -> TaskStory | None:
        """Return a story without its result; None for a damaged folder, or one just forgotten."""
        if folder.id not in self._ended:
            try:
                story = replace(tell(folder), result=None)
            except (OSError, ValueError):
                return None
            if story.is_active or not story.is_recorded:
                return story
            self._ended[folder.id] = story
        return self._ended.get(folder.id)


def _may_be_tried_again(story: TaskStory) -> bool:
    """Tell whether the files of an import are still wanted, say for another column mapping."""
    is_full = story.error is not None and story.error.code == StorageFull.code()
    return story.state == "failed" and not is_full


def _age(file: Path) -> float:
    try:
        return time.time() - file.stat().st_mtime
    except FileNotFoundError:
        return 0.0
