"""One answer as it grows: the fold of what an answering reports about its column."""

import time
from typing import Any, Literal

from easytune import wire
from easytune.services.questions import LoadingModel, Update, Waiting
from easytune.thinking import TAGS, split_thinking

State = Literal["waiting", "loading", "reading", "thinking", "answering", "ended"]


class Answer:
    """Everything that is known of one column's answer so far."""

    def __init__(self) -> None:
        """Begin with nothing: the column waits."""
        self.position: int | None = None
        self.phase = ""
        self.share: float | None = None
        self.mode: wire.Mode = "alone"
        self.prompt_tokens = 0
        self.tokens = 0
        self.limit = 0
        self.dropped = 0
        self.first_token_seconds: float | None = None
        self.reason: wire.EndReason | None = None
        self.code = ""
        self.values: dict[str, Any] = {}
        self.chances: list[wire.TokenChance] = []
        self._situation: Literal["waiting", "loading", "begun"] = "waiting"
        self._written = ""
        self._opened = False
        self._began = 0.0
        self._last_token = 0.0
        self._seconds = 0.0
        self._split = ("", "")

    @property
    def state(self) -> State:
        """Return what happens to the column now."""
        if self.reason is not None:
            return "ended"
        if self._situation != "begun":
            return self._situation
        if not self.tokens:
            return "reading"
        return "answering" if self.text or not self.thinking else "thinking"

    @property
    def text(self) -> str:
        """Return the answer so far, without its thinking."""
        return self._split[1]

    @property
    def thinking(self) -> str:
        """Return what was thought before the answer, so far."""
        return self._split[0]

    @property
    def seconds(self) -> float:
        """Return how long the column has been computed: a running clock, in the end the figure."""
        if self.reason is None and self._situation == "begun":
            return time.monotonic() - self._began
        return self._seconds

    @property
    def tokens_per_second(self) -> float | None:
        """Return the speed after the first token; None before two tokens are there."""
        if self.first_token_seconds is None or self.tokens < 2:
            return None
        until = self._seconds if self.reason else self._last_token - self._began
        took = until - self.first_token_seconds
        return (self.tokens - 1) / took if took > 0 else None

    def add(self, update: Update) -> None:
        """Take in the next update of this column."""
        match update:
            case Waiting(position=position):
                self._situation, self.position = "waiting", position
            case LoadingModel(phase=phase, share=share):
                self._situation, self.phase, self.share = "loading", phase, share
            case wire.Began():
                self._begin(update)
            case wire.Piece():
                self._grow(update)
            case wire.Ended():
                self._end(update)

    def details(self) -> dict[str, Any]:
        """Return the figures to keep with the answer, ready for JSON."""
        speed = self.tokens_per_second
        return {
            "mode": self.mode,
            "reason": self.reason,
            "prompt_tokens": self.prompt_tokens,
            "tokens": self.tokens,
            "limit": self.limit,
            "dropped": self.dropped,
            "first_token_seconds": self.first_token_seconds,
            "seconds": round(self.seconds, 4),
            "tokens_per_second": round(speed, 2) if speed else None,
        }

    def _begin(self, began: wire.Began) -> None:
        self._situation, self.position = "begun", None
        self._began = self._last_token = time.monotonic()
        self.prompt_tokens, self.dropped = began.prompt_tokens, began.dropped
        self.limit, self.mode, self._opened = began.limit, began.mode, began.opens_thinking

    def _grow(self, piece: wire.Piece) -> None:
        self._last_token = time.monotonic()
        if self.first_token_seconds is None:
            self.first_token_seconds = self._last_token - self._began
        self.tokens = piece.tokens
        self.chances += piece.chances
        self._written += piece.text
        self._split = split_thinking(_without_half_tag(self._written, self._opened), self._opened)

    def _end(self, ended: wire.Ended) -> None:
        if ended.prompt_tokens or ended.completion_tokens:
            self.prompt_tokens, self.tokens = ended.prompt_tokens, ended.completion_tokens
            self.first_token_seconds, self._seconds = ended.first_token_seconds, ended.seconds
        else:
            # A host that died has no figures: those that were seen here count.
            self._seconds = self._last_token - self._began if self._began else 0.0
        self.reason, self.code, self.values = ended.reason, ended.code, ended.values
        self._split = split_thinking(self._written, self._opened)


def _without_half_tag(text: str, opened: bool) -> str:
    """Return `text` without a tag that is still being written: it would flash up as an answer."""
    start = text.lstrip()
    if any(begin.startswith(start) for begin, _ in TAGS):
        return ""
    if not opened and not any(start.startswith(begin) for begin, _ in TAGS):
        return text
    for _, end in TAGS:
        for length in range(len(end) - 1, 0, -1):
            if end not in text and text.endswith(end[:length]):
                return text[:-length]
    return text
