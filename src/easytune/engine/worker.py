"""Entry point of a job process: `python -m easytune.engine.worker <job folder>`.

Everything heavy is imported inside `run`, after the first event, so that a page shows at once that
the job is alive. A process that has imported it before may call `run` just the same.
"""

import sys
from pathlib import Path

from easytune.config import TrainConfig
from easytune.engine import edge, failures, light_imports
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.events import Event, Failed
from easytune.job import Job, JobFolder


def main() -> int:
    """Run the job in the folder given on the command line."""
    return run(edge.process_folder())


def run(path: Path) -> int:
    """Do what `job.yaml` in `path` says; return 0 when finished or stopped, 1 when failed."""
    folder = JobFolder(path)
    config: TrainConfig | None = None

    def work(report: Reporter, stop: StopSignal) -> Event:
        nonlocal config
        job = edge.read(folder, folder.read)
        config = job.config
        return _do(job, folder, report, stop)

    def failed(error: BaseException) -> Failed:
        return failures.failed(error, config, folder.path)

    return edge.run(folder, work, failed)


def _do(job: Job, folder: JobFolder, report: Reporter, stop: StopSignal) -> Event:
    match job.task:
        case "train" if job.config.memory.processes > 1:
            from easytune.engine import ranks

            # They report what they use themselves.
            report.leave_out("resources")
            return ranks.run(folder, job.config.memory.processes, stop)
        case "train":
            with light_imports.at_once():
                from easytune.engine import training

            return training.train(job, folder, report, stop)
        case "check":
            with light_imports.at_once():
                from easytune.engine import check

            return check.check(job, folder, report, stop)


if __name__ == "__main__":
    sys.exit(main())
