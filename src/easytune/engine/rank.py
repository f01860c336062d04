"""Entry point of one of several processes that do a run: see `ranks`, which starts them."""

import os
import sys

from easytune import records
from easytune.config import TrainConfig
from easytune.engine import edge, failures, light_imports, ranks
from easytune.engine.reporting import Reporter
from easytune.engine.resources import ResourceThread
from easytune.engine.stopping import StopSignal
from easytune.events import Event
from easytune.job import JobFolder


def main() -> int:
    """Do this process's part of the job in the folder given on the command line.

    Its last word goes into a file of its own: the job has one end, which `ranks` tells.
    """
    folder = JobFolder(edge.process_folder())
    stop = StopSignal(folder.stop)
    stop.listen()
    rank, ended = int(os.environ["RANK"]), _outcome(folder, stop)
    records.write(ranks.outcome_file(folder, rank), ended.model_dump(mode="json"))
    return 1 if ended.kind == "failed" else 0


def _outcome(folder: JobFolder, stop: StopSignal) -> Event:
    report = Reporter(folder.events if os.environ["RANK"] == "0" else None)
    config: TrainConfig | None = None
    try:
        job = edge.read(folder, folder.read)
        config = job.config
        with light_imports.at_once():
            from easytune.engine import together, training

        with ResourceThread(report):
            joined = together.join(ranks.folder_of(folder) / ranks.MEETING)
            return training.train(job, folder, report, stop, joined)
    # The edge of this process: whatever happened becomes its last word.
    except BaseException as error:  # noqa: BLE001
        event = failures.failed(error, config, folder.path)
        print(event.detail, file=sys.stderr, flush=True)
        return event


if __name__ == "__main__":
    sys.exit(main())
