"""A launch check without models, under the real runner: it goes down one rung and sweeps rates.

Called in the job's folder. Each stage waits for a file of its name there, so that a test can look
at it for as long as it likes: `lighter`, then `end`.
"""

import sys
import time
from pathlib import Path

from easytune import events
from easytune.events import Event, Finished, Notice, Phase, Stopped, Swept, Trial
from easytune.job import JobFolder

LIGHTER = {"schedule.batch_size": 2, "schedule.gradient_accumulation": 4}
SUGGESTED = 3.2e-4


def main() -> int:
    """Report a check, stage by stage, and obey a request to stop."""
    folder = JobFolder(Path.cwd())
    for stage, told in (("", _first()), ("lighter", _second()), ("end", _end())):
        while stage and not (folder.path / stage).exists():
            time.sleep(0.02)
            if folder.stop.exists():
                events.append(folder.events, Stopped())
                return 0
        for event in told:
            events.append(folder.events, event)
    return 0


def _first() -> list[Event]:
    trial = Trial(
        rung=0, outcome="out_of_memory", code="out_of_memory", limit_gb=4.0,
        values={"device": "cpu", "batch_size": 8},
    )  # fmt: skip
    return [Phase(name="importing"), Phase(name="training"), trial]


def _second() -> list[Event]:
    fits = Trial(
        rung=1, changes=LIGHTER, outcome="fits", peak_memory_gb=3.1, limit_gb=4.0,
        step_seconds=0.52, tokens_per_second=2100.0, losses=[2.75, 2.5], grad_norms=[0.62, 0.6],
        tokens_at_once=90,
    )  # fmt: skip
    return [fits, Notice(code="rows_truncated", values={"count": 7, "max_length": 256})]


def _end() -> list[Event]:
    rates = [10 ** (-6 + step / 8) for step in range(40)]
    swept = [
        Swept(sweep="range", step=step, learning_rate=rate, loss=3 - step / 20)
        for step, rate in enumerate(rates)
    ]
    figures = {"total_seconds": 754.0, "suggested_rate": SUGGESTED}
    return [*swept, Finished(metrics=figures)]


if __name__ == "__main__":
    sys.exit(main())
