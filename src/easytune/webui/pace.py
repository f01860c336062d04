"""How often a page is given an answer that grows: the longer one takes to send, the less often."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

REST = 4
"""The time between frames is this many times what one took."""
LONGEST_PAUSE_SECONDS = 0.5


class Pace:
    """Tells when the next frame is due, so that there is never a backlog."""

    def __init__(self, shortest_seconds: float) -> None:
        self._shortest = shortest_seconds
        self._pause = shortest_seconds
        self._shown = time.monotonic()

    @property
    def waited_seconds(self) -> float:
        """Return how long ago the last frame was."""
        return time.monotonic() - self._shown

    @property
    def is_due(self) -> bool:
        """Tell whether the next frame may come."""
        return self.waited_seconds >= self._pause

    @contextmanager
    def frame(self) -> Iterator[None]:
        """Measure how long it takes to send a frame."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._shown = time.monotonic()
            took = self._shown - began
            self._pause = min(max(self._shortest, REST * took), LONGEST_PAUSE_SECONDS)
