"""Starting the runner of a job: a process that outlives the app."""

import subprocess
import sys
import time
from collections.abc import Sequence

from easytune import records
from easytune.evaluation_files import EvaluationFolder
from easytune.export_files import ExportFolder
from easytune.inspection_files import InspectionFolder
from easytune.job import JobFolder
from easytune.services import processes
from easytune.services.spare import Spare

LAUNCH_S = 20.0
_USUAL = "easytune.engine.worker"
_ENTRIES: dict[type[JobFolder], str] = {
    EvaluationFolder: "easytune.engine.evaluator",
    ExportFolder: "easytune.engine.exporter",
    InspectionFolder: "easytune.engine.inspector",
}


def end_check(folder: JobFolder, grace_s: float = 3.0) -> None:
    """Ask a launch check to end. It keeps nothing, so that nobody need wait for long."""
    records.write(folder.stop, {"mode": "keep", "grace_s": grace_s, "kill_after_s": grace_s})
    folder.revoked.touch()


def start_runner(folder: JobFolder, worker: Sequence[str] = ()) -> subprocess.Popen[bytes]:
    """Start a job's runner; tests give another `worker` command than the engine's."""
    command = [sys.executable, "-m", "easytune.services.runner", str(folder.path)]
    if wanted := list(worker) or _worker_of(folder):
        command += ["--", *wanted]
    with folder.log.open("ab") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            **processes.detached(),
        )


def launch(
    folder: JobFolder, worker: Sequence[str] = (), spare: Spare | None = None
) -> tuple[subprocess.Popen[bytes], bool]:
    """Give a job its runner: the spare one, or a new one where there is none, or it fails.

    Return the runner, and whether it took the job up. Tests give another `worker` command.
    """
    waiting = spare.take(folder.path, _module_of(folder)) if spare and not worker else None
    if waiting is not None:
        if begins(folder, waiting):
            return waiting, True
        # Without it nobody has the job's lock: a new runner decides.
        waiting.kill()
        waiting.wait()
    runner = start_runner(folder, worker)
    return runner, begins(folder, runner)


def begins(folder: JobFolder, runner: subprocess.Popen[bytes]) -> bool:
    """Wait until a runner is seen to work, or has ended; tell whether it took the job up."""
    give_up = time.monotonic() + LAUNCH_S
    while time.monotonic() < give_up and runner.poll() is None:
        if folder.process.exists():
            return True
        time.sleep(0.01)
    return folder.process.exists() or folder.exit.exists()


def _worker_of(folder: JobFolder) -> list[str]:
    """Return what does a job; nothing for those that the runner knows by itself."""
    module = _module_of(folder)
    if module == _USUAL:
        return []
    return [sys.executable, "-m", module, str(folder.path.resolve())]


def _module_of(folder: JobFolder) -> str:
    """Return the entry point of a job's process."""
    found = (module for kind, module in _ENTRIES.items() if isinstance(folder, kind))
    return next(found, _USUAL)
