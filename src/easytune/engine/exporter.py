"""Entry point of an export's process: `python -m easytune.engine.exporter <folder>`.

Everything heavy is imported inside `run`, after the first event, so that a page shows at once that
the job is alive.
"""

import sys
from pathlib import Path

from easytune.engine import edge, failures, light_imports
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.events import Event, Failed
from easytune.export_files import ExportFolder


def main() -> int:
    """Run the export in the folder given on the command line."""
    return run(edge.process_folder())


def run(path: Path) -> int:
    """Do what `job.yaml` in `path` says; return 0 when finished or stopped, 1 when failed."""
    folder = ExportFolder(path)

    def work(report: Reporter, stop: StopSignal) -> Event:
        order = edge.read(folder, folder.order)
        with light_imports.at_once():
            from easytune.engine.exporting import job

        return job.export(order, folder, report, stop)

    def failed(error: BaseException) -> Failed:
        return failures.failed(error, None, folder.path)

    return edge.run(folder, work, failed)


if __name__ == "__main__":
    sys.exit(main())
