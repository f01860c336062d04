"""What tests of chat share: a chat with a stand-in host, questions, and answers read to the end."""

import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from easytune.generation import SamplingSection
from easytune.services.answer import Answer
from easytune.services.chat import Answering, Chat, Question
from easytune.services.questions import Update
from easytune.services.runs import Runs
from easytune.wire import Turn
from tests.patience import PATIENCE_S, eventually

STAND_IN = Path(__file__).parent / "stand_in_host.py"
GREEDY = SamplingSection(temperature=0, max_new_tokens=24)


def stand_in_chat(home: Path, behaviour: str = "answer", megabytes: int = 0) -> Chat:
    """Return a chat whose hosts are stand-ins."""
    command = [sys.executable, "-S", str(STAND_IN), behaviour, str(megabytes)]
    return Chat(home, Runs(home), command)


def question(text: str, model: str = "demo", sampling: SamplingSection = GREEDY) -> Question:
    return Question(model, (Turn(role="user", content=text),), sampling=sampling)


def read(answering: Answering, seen: Callable[[Update], None] | None = None) -> list[Answer]:
    """Read an answering to its end and return its answers."""
    answers = [Answer() for _ in answering.questions]
    with answering:
        for updates in answering.updates():
            for update in updates:
                answers[update.column].add(update)
                if seen:
                    seen(update)
    return answers


def ask(chat: Chat, *questions: Question) -> list[Answer]:
    """Ask, and return the answers once all have ended."""
    return read(chat.ask(questions))


class Reading:
    """An answering that is read on a thread of its own."""

    def __init__(self, answering: Answering) -> None:
        self.answering = answering
        self.answers: list[Answer] = []
        self.updates: list[Update] = []
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        self.answers = read(self.answering, self.updates.append)

    def saw(self, kind: type) -> Update:
        """Return the first update of a kind, waiting for it."""
        found: Sequence[Update] = eventually(
            lambda: [update for update in [*self.updates] if isinstance(update, kind)],
            lambda: f"wanted {kind}, have {self.updates}",
        )
        return found[0]

    def finish(self, seconds: float = PATIENCE_S) -> list[Answer]:
        """Return the answers once all have ended."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), self.updates[-5:]
        return self.answers
