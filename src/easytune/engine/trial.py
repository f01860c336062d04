"""Entry point of one try of a launch check: `python -m easytune.engine.trial <folder> <home>`.

A process of its own, so that whatever it takes is given back, and whatever befalls it befalls
nothing else. `<folder>` is laid out like a job's: `job.yaml` says what to try (its wishes, with the
memory to stay within), `events.jsonl` gets notices, one `Trial`, the points of sweeps, and at the
end `Finished`. It ends with the process that started it and holds its standard input.
"""

import faulthandler
import os
import sys
import threading
import time
import traceback
from pathlib import Path

from easytune import machine
from easytune.config import TrainConfig
from easytune.engine import failures
from easytune.engine.reporting import Reporter
from easytune.errors import OutOfMemory, Unexpected
from easytune.events import Finished, Trial
from easytune.job import JobFolder


def main() -> int:
    """Try what the folder given on the command line says."""
    faulthandler.enable()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    return run(JobFolder(Path(sys.argv[1])), Path(sys.argv[2]), limited=True)


def run(folder: JobFolder, home: Path, *, limited: bool = False) -> int:
    """Make the steps of one try and report them; return 0 when they fit, else 1.

    `limited` keeps this process within the memory that is free, for good.
    """
    began, report = time.monotonic(), Reporter(folder.events)
    report.phase("importing")
    job = folder.read()
    try:
        # Imported here: a page shall see at once that something happens.
        from easytune.engine import trial_steps

        tried = trial_steps.try_out(job, folder, home, report, began, limited=limited)
    # The edge of the process: whatever happened becomes its verdict.
    except BaseException as error:  # noqa: BLE001
        report(_failed(error, job.config, folder))
        return 1
    report(tried.trial)
    try:
        metrics = tried.metrics | trial_steps.sweep_rates(tried, report)
    # The verdict has been given, and no sweep can change it.
    except BaseException as error:  # noqa: BLE001
        print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
        report.notice("check_sweep_failed", reason=failures.first_line(error))
        metrics = tried.metrics
    report(Finished(metrics=metrics))
    return 0


def _failed(error: BaseException, config: TrainConfig, folder: JobFolder) -> Trial:
    problem = failures.classify(error, config, folder.path)
    print("".join(traceback.format_exception(error)), file=sys.stderr, flush=True)
    if isinstance(problem, Unexpected) and failures.speaks_of_memory(problem.reason):
        problem = OutOfMemory(machine.device(config.memory.device), config.schedule.batch_size)
    return Trial(
        rung=0,
        outcome="out_of_memory" if isinstance(problem, OutOfMemory) else "failed",
        code=problem.code(),
        values=problem.values,
    )


def _end_with_parent() -> None:
    """End at once when the other end of our standard input is closed."""
    # Not by way of `sys.stdin`, whose lock nobody could take any more when the process ends.
    while os.read(0, 1):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
