"""How many bytes of an export are done."""

import time

from easytune.engine.reporting import Reporter
from easytune.events import Written

_SAY_SECONDS = 0.25


class ByteProgress:
    """Tells how much of a phase is done, a few times a second."""

    def __init__(self, report: Reporter) -> None:
        """Begin to count; nothing is said before the first bytes."""
        self._report, self._began = report, time.monotonic()
        self._told, self._first = float("-inf"), 0

    def tell(self, done: int, total: int) -> None:
        """Say how much is done, unless that was said just now."""
        now, done = time.monotonic(), min(done, total)
        if not total or (done < total and now < self._told + _SAY_SECONDS):
            return
        if self._told == float("-inf"):
            # What was taken over from before says nothing of the pace.
            self._began, self._first = now, done
        self._told, took = now, now - self._began
        rate = (done - self._first) / took if took > 0 else 0.0
        self._report(Written(done=done, total=total, bytes_per_second=round(rate, 1) or None))
