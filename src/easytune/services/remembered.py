"""Answers that take a while: worked out in the background, remembered, the newest wish first."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
_KEPT = 8


class Remembered(Generic[K, V]):
    """Answers by what decides them. A wish that comes while another is worked on waits.

    Of several that wait only the newest is worked on: somebody is typing. Threads may share one.
    """

    def __init__(self, name: str) -> None:
        """Work in a thread of that name, which lives as long as there is work."""
        self._name = name
        self._changed = threading.Condition()
        self._answers: OrderedDict[K, V] = OrderedDict()
        self._wish: tuple[K, Callable[[], V]] | None = None
        self._working = False

    def ask(self, key: K, work: Callable[[], V]) -> V | None:
        """Return the answer if it is known; else None, and begin to work it out.

        `work` must not raise.
        """
        with self._changed:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
            self._wish = key, work
            if not self._working:
                self._working = True
                threading.Thread(target=self._serve, name=self._name, daemon=True).start()
        return None

    def wait(self, seconds: float) -> bool:
        """Wait until nothing is left to work on; tell whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._working, seconds)

    def _serve(self) -> None:
        while (wish := self._next()) is not None:
            key, work = wish
            answer = work()
            with self._changed:
                self._answers[key] = answer
                while len(self._answers) > _KEPT:
                    self._answers.popitem(last=False)

    def _next(self) -> tuple[K, Callable[[], V]] | None:
        with self._changed:
            wish, self._wish = self._wish, None
            if wish is None or wish[0] in self._answers:
                self._working = False
                self._changed.notify_all()
                return None
            return wish
