"""What every tab is given: the home folder, the services, and the language of a request."""

from dataclasses import dataclass
from pathlib import Path

import gradio as gr

from easytune import i18n
from easytune.services.advice import Advice
from easytune.services.chat import Chat
from easytune.services.checks import Checks
from easytune.services.comparisons import Comparisons
from easytune.services.conversations import Conversations
from easytune.services.datasets import Datasets
from easytune.services.deployments import Deployments
from easytune.services.dispatch import Dispatcher
from easytune.services.evaluations import Evaluations
from easytune.services.exports import Exports
from easytune.services.inspections import Inspections
from easytune.services.keys import Keys
from easytune.services.presets import Presets
from easytune.services.registry import Registry
from easytune.services.runs import Runs
from easytune.services.safety import Remedies
from easytune.services.spare import Spare
from easytune.services.store import Store
from easytune.services.votes import Votes

LANGUAGE_COOKIE = "et_lang"


@dataclass(frozen=True)
class Context:
    """The services behind the page, made once per server."""

    home: Path
    runs: Runs
    dispatcher: Dispatcher
    chat: Chat
    conversations: Conversations
    presets: Presets
    keys: Keys
    comparisons: Comparisons
    votes: Votes
    datasets: Datasets
    advice: Advice
    checks: Checks
    evaluations: Evaluations
    registry: Registry
    exports: Exports
    inspections: Inspections
    remedies: Remedies
    deployments: Deployments
    default_language: str = i18n.DEFAULT_LANGUAGE
    """Language of visitors who have not chosen one: the server's `--lang`."""

    @classmethod
    def of(cls, home: Path, default_language: str = i18n.DEFAULT_LANGUAGE) -> "Context":
        """Return the services of a home. What goes on by itself begins with `start`."""
        runs, store, spare = Runs(home), Store(home), Spare(home)
        chat = Chat(home, runs)
        evaluations = Evaluations(home, runs, chat.catalogue)
        return cls(
            home=home,
            runs=runs,
            dispatcher=Dispatcher(home, spare=spare),
            chat=chat,
            conversations=Conversations(store),
            presets=Presets(home),
            keys=Keys(store),
            comparisons=Comparisons(store, chat),
            votes=Votes(store),
            datasets=Datasets(home, runs),
            advice=Advice(home),
            checks=Checks(home, spare=spare),
            evaluations=evaluations,
            registry=Registry(home, store, runs, chat.catalogue, evaluations),
            exports=Exports(home, chat.catalogue),
            inspections=Inspections(home, chat.catalogue),
            remedies=Remedies(home, evaluations, chat.catalogue),
            deployments=Deployments(home, chat.catalogue),
            default_language=default_language,
        )

    def start(self) -> None:
        """Begin what goes on by itself: queued runs, unloading, serving what was cut off."""
        self.inspections.sweep()
        self.dispatcher.start()
        self.chat.start()
        self.datasets.start()
        self.registry.start()
        self.deployments.start()

    def close(self) -> None:
        """Stop batches, answers and models. Runs, tasks and deployments go on."""
        self.registry.close()
        self.datasets.close()
        self.dispatcher.close()
        self.comparisons.close()
        self.chat.close()

    def language_of(self, request: gr.Request | None) -> str:
        """Return the visitor's language: the cookie of the language switch, else the default."""
        chosen = request.cookies.get(LANGUAGE_COOKIE) if request is not None else None
        return chosen if chosen in i18n.languages() else self.default_language
