"""How a server answers: within its limits, and counting."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from easytune.api.problems import ApiProblem
from easytune.deployment import LimitsSection
from easytune.deployment_files import Deployment
from easytune.generation import LoadingSection
from easytune.services import hosts
from easytune.services.catalogue import Model
from easytune.services.chat import Answering, Chat, Question
from easytune.services.runs import Runs
from easytune.serving.counting import Counter
from easytune.serving.one_model import OneModel

AGAIN_S = 1


class LimitedChat(Chat):
    """Answers questions to one model, so many at once, so long at most."""

    def __init__(
        self,
        deployment: Deployment,
        home: Path,
        counter: Counter,
        command: Sequence[str] = hosts.COMMAND,
    ) -> None:
        """Answer for a deployment, whose folder is `home`. Nothing is loaded yet.

        Tests give another host `command` than the engine's.
        """
        models = OneModel(deployment, home)
        super().__init__(home, Runs(home), command, models, counter.heard)
        self._limits: LimitsSection = deployment.config.limits
        self._loading: LoadingSection = deployment.config.loading
        self._counter = counter
        self._asking = threading.Lock()

    def ask(self, questions: Sequence[Question], owner: str = "") -> Answering:
        """Begin to answer, as `Chat.ask` does. Raises ApiProblem 429 when too many others run."""
        with self._asking:
            if len(self.answering()) >= self._limits.concurrent:
                self._counter.refused()
                raise ApiProblem(
                    "api.problem.busy",
                    429,
                    "rate_limit_exceeded",
                    values={"most": self._limits.concurrent},
                    headers={"retry-after": str(AGAIN_S)},
                )
            begun = super().ask([self._bounded(question) for question in questions], owner)
        self._counter.took()
        return begun

    def _bounded(self, question: Question) -> Question:
        most, asked = self._limits.max_new_tokens, question.sampling
        if most is not None and asked.max_new_tokens > most:
            asked = asked.model_copy(update={"max_new_tokens": most})
        return replace(question, sampling=asked, loading=self._loading)


@dataclass(frozen=True)
class Served:
    """What the routes of OpenAI are answered with."""

    chat: LimitedChat
    models: OneModel

    def model(self, name: str) -> Model:
        """Return the model, if that is its name. Raises ModelUnknown."""
        return self.models.served(name)
