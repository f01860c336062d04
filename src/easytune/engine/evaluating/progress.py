"""How far a part of an evaluation is that asks after the rows have been answered."""

import time

from easytune.engine.reporting import Reporter
from easytune.events import Answered

_SAY_SECONDS = 0.25


class Progress:
    """Tells how much of a known amount is done, a few times a second."""

    def __init__(self, report: Reporter, total: int) -> None:
        """Say that nothing is done yet."""
        self._report, self._total = report, total
        self._began = time.monotonic()
        self._told = -1.0
        self.tell(0)

    def tell(self, done: int, candidate: int = 0, batch_size: int | None = None) -> None:
        """Say how much is done, unless that was said just now."""
        now, done = time.monotonic(), min(done, self._total)
        if not self._total or (done < self._total and now < self._told + _SAY_SECONDS):
            return
        self._told, took = now, now - self._began
        self._report(
            Answered(
                done=done,
                total=self._total,
                candidate=candidate,
                batch_size=batch_size,
                rows_per_second=round(done / took, 3) if done and took else None,
            )
        )
