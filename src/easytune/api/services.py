"""What the API is given to answer with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from easytune.inference_errors import ModelUnknown
from easytune.services.advice import Advice
from easytune.services.catalogue import Model
from easytune.services.chat import Chat
from easytune.services.checks import Checks
from easytune.services.conversations import Conversations
from easytune.services.datasets import Datasets
from easytune.services.deployments import Deployments
from easytune.services.evaluations import Evaluations
from easytune.services.exports import Exports
from easytune.services.inspections import Inspections
from easytune.services.registry import Registry
from easytune.services.runs import Runs


class Answers(Protocol):
    """What the routes of OpenAI are answered with: all models of the app, or a single one."""

    @property
    def chat(self) -> Chat:
        """Return what answers."""
        ...

    def model(self, name: str) -> Model:
        """Return a model that is on this machine. Raises ModelUnknown."""
        ...


@dataclass(frozen=True)
class Services:
    """The services behind the API: the page uses the same ones."""

    chat: Chat
    conversations: Conversations
    datasets: Datasets
    advice: Advice
    checks: Checks
    evaluations: Evaluations
    runs: Runs
    registry: Registry
    deployments: Deployments
    exports: Exports
    inspections: Inspections
    home: Path

    def model(self, name: str) -> Model:
        """Return a model that is on this machine.

        The page may name any model of the hub, and shows how its download goes. A program that
        mistypes a name should hear so, and not start a download. Raises ModelUnknown.
        """
        found = self.chat.catalogue.find(name)
        if not found.is_here:
            raise ModelUnknown(model=name)
        return found
