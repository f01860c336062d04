"""`easytune chat`: ask a model from the terminal, once or in a conversation."""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from easytune.cli import arguments
from easytune.generation import GenerationConfig
from easytune.i18n import t
from easytune.inference_errors import PromptEmpty
from easytune.services.answer import Answer
from easytune.services.chat import Chat, LoadingModel, Question, Waiting
from easytune.services.registry import attach
from easytune.services.runs import Runs
from easytune.wire import Turn

INTERRUPTED = 130


def run(args: argparse.Namespace, lang: str) -> int:
    """Answer the prompt that was given, or all that are typed."""
    runs = Runs(args.home)
    chat = Chat(args.home, runs)
    attach(args.home, runs, chat.catalogue)
    try:
        talk = Talk(chat, args, lang)
        return talk.once(args.prompt) if args.prompt is not None else talk.go_on()
    finally:
        chat.close()


class Talk:
    """One conversation in the terminal: answers go to stdout, all else to stderr."""

    def __init__(self, chat: Chat, args: argparse.Namespace, lang: str) -> None:
        """Prepare to talk to the model that `args` name. Raises ModelUnknown and its like."""
        self._chat, self._model, self._base, self._lang = chat, args.model, args.base, lang
        chat.catalogue.base_of(chat.catalogue.find(args.model), args.base)
        usual = GenerationConfig(sampling=chat.catalogue.defaults(args.model))
        self._config = arguments.overlaid(usual, args, lang)
        self._beginning = (Turn(role="system", content=args.system),) if args.system else ()
        self._turns = self._beginning

    def once(self, prompt: str) -> int:
        """Answer one prompt; return 0, 1 when that failed, or 130 after Ctrl-C."""
        answer = self._ask(prompt)
        return {"failed": 1, "cancelled": INTERRUPTED}.get(answer.reason or "", 0)

    def go_on(self) -> int:
        """Answer what is typed, line by line, until there is no more or /quit.

        Returns 1 when nobody sat there to see that an answer failed, else 0.
        """
        status = 0
        if sys.stdin.isatty():
            self._say("cli.chat.hint")
        for line in self._lines():
            match line.strip():
                case "":
                    continue
                case "/quit" | "/exit":
                    break
                case "/new":
                    self._turns = self._beginning
                case prompt:
                    answer = self._ask(prompt)
                    if answer.reason == "failed" and not sys.stdin.isatty():
                        status = 1
        return status

    def _lines(self) -> Iterator[str]:
        if not sys.stdin.isatty():
            yield from sys.stdin
            return
        with suppress(ImportError):
            # Gives the line its history and its arrow keys, where there is one.
            import readline  # noqa: F401
        while True:
            try:
                yield input("> ")
            except EOFError:
                return

    def _ask(self, prompt: str) -> Answer:
        """Ask, print the answer as it comes, and keep both; Ctrl-C ends the answer only."""
        if not prompt.strip():
            raise PromptEmpty
        turns = (*self._turns, Turn(role="user", content=prompt))
        question = Question(
            self._model, turns, sampling=self._config.sampling, loading=self._config.loading,
            base=self._base,
        )  # fmt: skip
        answer = Answer()
        screen = Screen(self._lang)
        with self._chat.ask([question], owner="cli") as answering, _ctrl_c(answering.stop):
            for updates in answering.updates():
                for update in updates:
                    answer.add(update)
                    screen.mention(update)
                screen.show(answer)
        screen.end(answer)
        if answer.reason != "failed":
            self._turns = (*turns, Turn(role="assistant", content=answer.text))
        return answer

    def _say(self, key: str) -> None:
        print(t(key, self._lang), file=sys.stderr, flush=True)


class Screen:
    """Prints one answer as it grows."""

    def __init__(self, lang: str) -> None:
        """Begin with nothing printed."""
        self._lang = lang
        self._printed = 0
        self._mentioned = ""

    def mention(self, update: object) -> None:
        """Say what is waited for, once for each thing."""
        match update:
            case LoadingModel(model=model, phase=phase):
                words = t(f"cli.chat.phase.{phase}", self._lang)
                text = t("cli.chat.loading", self._lang, model=model, phase=words)
            case Waiting(position=position):
                text = t("cli.chat.waiting", self._lang, position=position)
            case _:
                return
        if text != self._mentioned:
            self._mentioned = text
            print(text, file=sys.stderr, flush=True)

    def show(self, answer: Answer) -> None:
        """Print what is new of the answer."""
        print(answer.text[self._printed :], end="", flush=True)
        self._printed = len(answer.text)

    def end(self, answer: Answer) -> None:
        """End the line, and say how it went."""
        self.show(answer)
        if self._printed:
            print(flush=True)
        for text in self._remarks(answer):
            print(text, file=sys.stderr, flush=True)

    def _remarks(self, answer: Answer) -> Iterator[str]:
        if answer.reason == "failed":
            sentence = t(f"error.{answer.code}", self._lang, **answer.values)
            yield t("cli.chat.failed", self._lang, sentence=sentence)
            return
        if answer.dropped:
            yield t("cli.chat.dropped", self._lang, count=answer.dropped)
        if answer.reason == "cancelled":
            yield t("cli.chat.stopped", self._lang)
        if answer.reason == "length":
            yield t("cli.chat.cut", self._lang, limit=answer.limit)
        if answer.tokens_per_second and sys.stderr.isatty():
            yield t(
                "cli.chat.figures", self._lang, tokens=answer.tokens,
                speed=f"{answer.tokens_per_second:.1f}", first=f"{answer.first_token_seconds:.2f}",
            )  # fmt: skip


@contextmanager
def _ctrl_c(stop: Callable[[], None]) -> Iterator[None]:
    """Let Ctrl-C stop the answer, not the program, inside the block."""
    before = signal.signal(signal.SIGINT, lambda _number, _frame: stop())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
