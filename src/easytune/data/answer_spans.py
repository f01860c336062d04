"""Which characters of a rendered conversation the model itself would write.

An answer begins where the generation prompt ends, and reaches to the end of its end-of-turn token;
the line break that templates put behind that token is not part of it. Where an answer lies is taken
from the template's own generation tags or, without them, from two more renderings of the
conversation: one that stops before the answer, and one in which a marker stands in its place, so
that what comes before and behind it is known to the letter. Nothing is searched for, so an answer
that also occurs in the question is told from it, and templates that rewrite earlier answers (those
that remove thoughts) still give the right span. An answer that cannot be placed this way is never
trained on.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from easytune.data.chat_template import ChatTemplate, RenderFailed, Span
from easytune.data.rows import Message, RowInvalid

_MARKER = "EASYTUNEANSWERSTANDSHERE"


@dataclass(frozen=True)
class Marked:
    """A rendered conversation, and the character spans of the answers to learn, in order.

    `ended`: the last answer ends with a special token. `unplaced`: how many earlier answers could
    not be found, and are not trained on.
    """

    text: str
    spans: tuple[Span, ...]
    ended: bool
    unplaced: int = 0
    system_folded: bool = False


class AnswerMarker:
    """Renders conversations of one chat template and marks the answers in them."""

    def __init__(
        self, template: ChatTemplate, special: Iterable[str], thinking: bool | None = None
    ) -> None:
        """`special`: the texts of all special tokens, the ends of turns among them."""
        self._template = template
        self._thinking = thinking
        longest_first = sorted(special, key=len, reverse=True)
        self._special = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        self._special_ends = tuple(longest_first)

    def mark(self, messages: Sequence[Message], last_only: bool = False) -> Marked:
        """Return the conversation's text and its answers; with `last_only`, the last one's only.

        Raises RowInvalid: template_failed, not_rendered, answer_not_found.
        """
        try:
            return self._mark(messages, last_only)
        except RenderFailed as problem:
            raise RowInvalid("template_failed", reason=str(problem)) from problem

    def _mark(self, messages: Sequence[Message], last_only: bool) -> Marked:
        turns = self._template.fold_system(messages)
        text, spans = self._template.render_marked(turns, thinking=self._thinking)
        _refuse_lost_turns(turns, text)
        if spans:
            marked = self._from_tags(text, spans, last_only)
        else:
            marked = self._from_renderings(text, turns, last_only)
        return replace(marked, system_folded=len(turns) < len(messages))

    def _from_tags(self, text: str, spans: list[Span], last_only: bool) -> Marked:
        """Take the template's word for it, and add the end of turn where its tags leave it out."""
        start, end = spans[-1]
        closing = "" if self._is_ended(text[start:end]) else self._closing(text[end:])
        chosen = spans[-1:] if last_only else spans
        grown = [_grow(text, start, end, closing) for start, end in chosen]
        return Marked(text, tuple(grown), self._is_ended(text[slice(*grown[-1])]))

    def _from_renderings(self, text: str, turns: list[Message], last_only: bool) -> Marked:
        answers = [place for place, turn in enumerate(turns) if turn.role == "assistant"]
        last = self._place(text, turns, answers[-1])
        if last is None:
            raise RowInvalid("answer_not_found")
        closing = self._closing(text[last[1] :])
        earlier = [] if last_only else [self._place(text, turns, place) for place in answers[:-1]]
        found = [span for span in [*earlier, last] if span is not None]
        spans = tuple(_grow(text, start, end, closing) for start, end in found)
        ended = self._is_ended(text[slice(*spans[-1])])
        return Marked(text, spans, ended, unplaced=len(earlier) + 1 - len(found))

    def _place(self, text: str, turns: list[Message], place: int) -> Span | None:
        """Return the span of one answer without its end of turn; None when it is not certain."""
        stand_in = [*turns[:place], Message("assistant", _MARKER), *turns[place + 1 :]]
        before, marker, behind = self._render(stand_in).partition(_MARKER)
        if not marker or not text.endswith(behind):
            return None
        start = self._begin(text, turns[:place], before)
        end = len(text) - len(behind)
        if start is None or start >= end:
            return None
        return (start, end) if _core(turns[place].content) in text[start:end] else None

    def _begin(self, text: str, turns: list[Message], before: str) -> int | None:
        """Return where the model takes over: behind the generation prompt, if there is one."""
        if self._template.has_generation_prompt:
            modes = [self._thinking]
            if self._template.knows_thinking:
                # An earlier answer may be rendered as if in the other mode.
                modes += [mode for mode in (None, True, False) if mode != self._thinking]
            for mode in modes:
                prompt = self._template.render(turns, add_generation_prompt=True, thinking=mode)
                if text.startswith(prompt):
                    return len(prompt)
        return len(before) if text.startswith(before) else None

    def _render(self, turns: Sequence[Message]) -> str:
        return self._template.render(turns, thinking=self._thinking)

    def _closing(self, behind: str) -> str:
        """Return what ends an answer, given all that follows the last one."""
        token = self._special.search(behind)
        return behind[: token.end()] if token else behind.rstrip()

    def _is_ended(self, answer: str) -> bool:
        return answer.endswith(self._special_ends)


def _grow(text: str, start: int, end: int, closing: str) -> Span:
    """Return the span with the end of turn, where that follows."""
    return (start, end + len(closing)) if text.startswith(closing, end) else (start, end)


def _core(answer: str) -> str:
    """Return the part of an answer that every template must render: without thoughts, trimmed."""
    return answer.rpartition("</think>")[2].strip() or answer.strip()


def _refuse_lost_turns(turns: Sequence[Message], text: str) -> None:
    """Raise when a template leaves out what was said to the model."""
    for turn in turns:
        if turn.role != "assistant" and turn.content.strip() not in text:
            raise RowInvalid("not_rendered", role=turn.role)
