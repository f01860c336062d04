"""Stands in for a try of a launch check: fits or not by its settings, without a model.

Run by the real check: `stand_in_trial.py <folder> <home>`.
"""

import os
import signal
import sys
import time
from pathlib import Path

from easytune import records
from easytune.engine.reporting import Reporter
from easytune.events import Finished, Swept, Trial
from easytune.job import JobFolder

LONGEST = 200


def main() -> None:
    folder = JobFolder(Path(sys.argv[1]))
    report, config = Reporter(folder.events), folder.read().config
    report.phase("training")
    report.notice("check_unsupervised", count=3, rows=9)
    records.write(folder.path / "facts.json", {"longest": LONGEST, "limit_gb": 4.0})
    if config.output.name == "large":
        # While the weights were read.
        raise MemoryError
    records.write(
        folder.path / "facts.json", {"longest": LONGEST, "limit_gb": 4.0, "tokens_at_once": 400}
    )
    if config.output.name == "sleeper":
        time.sleep(600)
    if config.output.name == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if config.schedule.batch_size > 1:
        # As when the system itself objects: near what may be taken.
        facts = {"longest": LONGEST, "limit_gb": 0.01, "tokens_at_once": 400}
        records.write(folder.path / "facts.json", facts)
        time.sleep(0.5)
        os.kill(os.getpid(), signal.SIGKILL)
    if config.data.max_length > LONGEST:
        # As a library in C does when it gets no memory.
        print("memory allocation of 123 bytes failed", file=sys.stderr, flush=True)
        os.abort()
    report(Trial(rung=0, outcome="fits", peak_memory_gb=3.5, values={"total_seconds": 60.0}))
    report(Swept(sweep="range", step=1, learning_rate=1e-5, loss=2.0))
    if config.output.name == "dies late":
        print("the last words", file=sys.stderr, flush=True)
        os.abort()
    report(Finished(metrics={"total_seconds": 60.0, "suggested_rate": 3e-4}))


if __name__ == "__main__":
    main()
