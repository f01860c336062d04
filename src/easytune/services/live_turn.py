"""One prompt put to all columns of a live comparison, while the answers arrive."""

import threading
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Self

from easytune.services.answer import Answer
from easytune.services.chat import Answering
from easytune.services.comparison import StoredAnswer
from easytune.services.comparison_questions import stored_answers


class LiveTurn:
    """The answers to one prompt as they grow. Leaving the `with` stores them and ends the rest."""

    def __init__(
        self,
        answering: Answering,
        position: int,
        keep: Callable[[Sequence[StoredAnswer]], None],
    ) -> None:
        """Follow `answering`; `keep` stores the answers when it is over."""
        self.position = position
        """Which entry of the comparison this is."""
        self.answers = [Answer() for _ in answering.questions]
        """One per column."""
        self._answering = answering
        self._keep = keep
        self._closing = threading.Lock()
        self._is_kept = False

    @property
    def id(self) -> str:
        """Return the id under which `Chat.stop` can end it, from another page too."""
        return self._answering.id

    def updates(self, every: float = 0.07) -> Iterator[None]:
        """Yield at least every `every` seconds after folding what arrived into `answers`.

        Ends when all columns have ended; the entry is stored then.
        """
        for updates in self._answering.updates(every):
            for update in updates:
                self.answers[update.column].add(update)
            yield
        self.close()

    def stop(self, column: int | None = None) -> None:
        """End one column within a step, or all; what it has said so far is kept."""
        self._answering.stop(column)

    def close(self) -> None:
        """End what still runs and store what is there. Harmless when done before."""
        self._answering.close()
        with self._closing:
            if not self._is_kept:
                self._is_kept = True
                self._keep(stored_answers(self.answers, self._answering.questions))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
