"""From token ids to text that can be shown: whole characters, and never a stop text."""

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers import Tokenizer

from easytune.wire import TokenChance

_BROKEN = "\ufffd"
# A character has at most four bytes, and so at most four tokens.
_LONGEST_CHARACTER = 4
_CONTEXT = 6


class Detokenizer:
    """Turns tokens into text one by one, at the same cost for each."""

    def __init__(self, backend: Tokenizer, before: Sequence[int] = ()) -> None:
        """`before` are tokens whose text is known; the first one follows them."""
        self._backend = backend
        self._ids = list(before[-_CONTEXT:])
        self._known = self._decode(self._ids)
        self._read = len(self._ids)

    def add(self, token: int) -> str:
        """Return the text that this token completes, "" within a character."""
        self._ids.append(token)
        text = self._decode(self._ids)
        waiting = len(self._ids) - self._read
        if text.endswith(_BROKEN) and waiting < _LONGEST_CHARACTER:
            return ""
        new = text[len(self._known) :]
        # What came before still decides about spaces, so a little of it is decoded again.
        self._ids = self._ids[-waiting:]
        self._known = self._decode(self._ids)
        self._read = len(self._ids)
        return new

    def _decode(self, ids: list[int]) -> str:
        return self._backend.decode(ids, skip_special_tokens=True)


@dataclass(frozen=True)
class Shown:
    """What may be shown now; `stopped` tells that a stop text was reached."""

    text: str = ""
    chances: tuple[TokenChance, ...] = ()
    stopped: bool = False


class AnswerText:
    """Collects the text of one answer and holds back what may be the beginning of a stop text."""

    def __init__(self, detokenizer: Detokenizer, stops: Sequence[str]) -> None:
        self._detokenizer = detokenizer
        self._stops = [stop for stop in stops if stop]
        self._held = ""
        self._begin = 0
        self._chances: list[tuple[int, TokenChance]] = []

    def add(self, token: int, chance: TokenChance | None = None) -> Shown:
        """Take the next token and return what may be shown."""
        if chance is not None:
            self._chances.append((self._begin + len(self._held), chance))
        self._held += self._detokenizer.add(token)
        ends = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if ends:
            return self._show(min(ends), stopped=True)
        return self._show(len(self._held) - self._may_begin_stop())

    def rest(self) -> Shown:
        """Return what was held back, at the end of an answer that no stop text ended."""
        return self._show(len(self._held))

    def _may_begin_stop(self) -> int:
        """Return the length of the longest end of the text that begins a stop text."""
        longest = max((len(stop) - 1 for stop in self._stops), default=0)
        for size in range(min(longest, len(self._held)), 0, -1):
            if any(stop.startswith(self._held[-size:]) for stop in self._stops):
                return size
        return 0

    def _show(self, length: int, stopped: bool = False) -> Shown:
        text, self._held = self._held[:length], self._held[length:]
        self._begin += length
        ready = [one for place, one in self._chances if place < self._begin or not self._held]
        if stopped:
            ready = [one for place, one in self._chances if place < self._begin]
        self._chances = self._chances[len(ready) :]
        return Shown(text, tuple(ready), stopped)
