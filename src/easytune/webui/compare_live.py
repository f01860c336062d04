"""One prompt put to all columns, while the answers grow: what the page draws meanwhile."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

from easytune.i18n import t
from easytune.services.answer import Answer
from easytune.services.live_turn import LiveTurn
from easytune.webui import answers_html
from easytune.webui.compare_view import Drawn, ending, facts, problem, together

UPDATE_SECONDS = 1 / 12


class RunningTurns:
    """The prompts being answered on this server, by comparison: what a Stop button reaches."""

    def __init__(self) -> None:
        self._turns: dict[str, LiveTurn] = {}
        self._lock = Lock()

    def __contains__(self, comparison: str) -> bool:
        return comparison in self._turns

    @contextmanager
    def holding(self, comparison: str, turn: LiveTurn) -> Iterator[None]:
        """Let `stop` reach a turn while it goes on."""
        with self._lock:
            self._turns[comparison] = turn
        try:
            yield
        finally:
            with self._lock:
                self._turns.pop(comparison, None)

    def stop(self, comparison: str, column: int | None = None) -> None:
        """Stop one column of a comparison's running turn, or all of it; harmless without one."""
        with self._lock:
            turn = self._turns.get(comparison)
        if turn is not None and (column is None or 0 <= column < len(turn.answers)):
            turn.stop(column)


class LiveView:
    """Draws a running turn, with a clock per column that starts when its prompt is read."""

    def __init__(self, comparison: str, prompt: str, bases: list[str], lang: str) -> None:
        self._comparison = comparison
        self._bases = bases
        self._prompt = prompt
        self._lang = lang
        self._began: dict[int, float] = {}

    def draw(self, answers: list[Answer]) -> Drawn:
        """Return all columns as they are now."""
        known = [answer.mode if answer.prompt_tokens else "" for answer in answers]
        return {
            "id": self._comparison,
            "prompt": self._prompt,
            "line": together(known, self._bases, self._lang),
            "answers": [self._answer(place, answer) for place, answer in enumerate(answers)],
        }

    def _answer(self, place: int, answer: Answer) -> Drawn:
        has_ended = answer.state == "ended"
        return {
            "state": (answer.reason or "ended") if has_ended else answer.state,
            "chip": self._chip(answer),
            "running": not has_ended,
            "text": "" if has_ended else answer.text,
            "html": answers_html.render(answer.text) if has_ended else None,
            "thinking": answer.thinking,
            "facts": facts(self._details(place, answer), self._lang),
            "problem": problem(answer.code, answer.values, self._lang),
        }

    def _details(self, place: int, answer: Answer) -> dict[str, Any]:
        seconds = answer.seconds
        if answer.state in ("reading", "thinking", "answering"):
            seconds = time.monotonic() - self._began.setdefault(place, time.monotonic())
        return {
            "seconds": seconds,
            "first_token_seconds": answer.first_token_seconds,
            "tokens_per_second": answer.tokens_per_second,
            "tokens": answer.tokens or None,
        }

    def _chip(self, answer: Answer) -> str:
        match answer.state:
            case "ended":
                return ending(answer.reason or "", self._lang)
            case "waiting" if answer.position:
                return t("compare.state.queued", self._lang, position=answer.position)
            case "loading":
                return self._loading(answer)
            case state:
                return t(f"compare.state.{state}", self._lang)

    def _loading(self, answer: Answer) -> str:
        text = t(f"compare.phase.{answer.phase or 'importing'}", self._lang)
        return text if answer.share is None else f"{text} {answer.share:.0%}"
