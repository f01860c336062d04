"""What there is to say about one row: how long it is, who speaks, in which language."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from easytune.data import formats
from easytune.data.conversation import Content
from easytune.data.formats import Layout
from easytune.data.insight.language import language_of
from easytune.data.rows import Message, Problem, Row
from easytune.data.stored import row_text

_OPENING_WORDS, _OPENING_CHARACTERS = 3, 32
# Chinese and Japanese write no blanks: this many characters stand for the words.
_OPENING_UNSPACED = 4
_LANGUAGE_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class RowFacts:
    """Facts of one row, as the model reads it: after its format was converted.

    `characters` of all texts together; `turns` all messages, the system's not counted; `roles` in
    the order of first speaking; `language` an ISO 639-1 code or empty; `answer_characters` of the
    last answer without blanks around it, -1 where there is none (plain text, a row that cannot be
    used); `opening` the first words of the first question, in lower case; `repairs` the codes of
    `notice.data.*`. Of a row that is not `usable` only `characters` is known.
    """

    characters: int
    turns: int = 0
    roles: tuple[str, ...] = ()
    language: str = ""
    answer_characters: int = -1
    opening: str = ""
    repairs: tuple[str, ...] = ()
    usable: bool = False


def facts_of(value: Any, layout: Layout, *, with_language: bool = True) -> RowFacts:
    """Return the facts of a row; one that cannot be used has no turns.

    Telling the language takes most of the time: leave it out where nobody asks for it.
    """
    match _converted(value, layout):
        case Problem():
            return RowFacts(len(value if isinstance(value, str) else row_text(value)))
        case (_, content):
            return _of_content(content, with_language)


def row_of(value: Any, layout: Layout) -> Row | None:
    """Return a stored row as training gets it; None when it cannot be used."""
    match _converted(value, layout):
        case Problem():
            return None
        case (row, _):
            return row


def spoken(value: Any, layout: Layout) -> str:
    """Return all that is asked and answered in a row, or its plain text, to compare rows by.

    System prompts are left out: one that all rows share would make them all alike. A row that
    cannot be used has no such text.
    """
    row = row_of(value, layout)
    if row is None:
        return ""
    if row.messages is None:
        return row.text or ""
    return "\n".join(turn.content for turn in row.messages if turn.role != "system")


def _converted(value: Any, layout: Layout) -> tuple[Row, Content] | Problem:
    """Return a row by its layout; where that is not known, by what the row looks like."""
    if layout.format is None:
        recognised = formats.recognise([value]) if isinstance(value, dict) else None
        if recognised is None:
            return Problem(0, "", "unknown_format")
        layout = Layout(recognised)
    return formats.convert(value, 0, "", layout)


def _of_content(content: Content, with_language: bool) -> RowFacts:
    if content.messages is None:
        text = content.text or ""
        language = language_of(text) if with_language else ""
        return RowFacts(len(text), language=language, opening=opening_of(text), usable=True)
    turns = [turn for turn in content.messages if turn.role != "system"]
    questions = [turn.content for turn in turns if turn.role == "user"]
    answers = [turn.content for turn in turns if turn.role == "assistant"]
    return RowFacts(
        characters=sum(len(turn.content) for turn in content.messages),
        turns=len(turns),
        roles=tuple(dict.fromkeys(turn.role for turn in content.messages)),
        language=language_of(_beginning(turns)) if with_language else "",
        answer_characters=len(answers[-1].strip()) if answers else -1,
        opening=opening_of(questions[0]) if questions else "",
        repairs=content.repairs,
        usable=True,
    )


def opening_of(text: str) -> str:
    """Return the first three words of a text, or as much of it where no blanks are written."""
    words = text[: 4 * _OPENING_CHARACTERS].lower().split(maxsplit=_OPENING_WORDS)
    if not words:
        return ""
    if not words[0].isascii() and len(words[0]) > 2 * _OPENING_UNSPACED:
        return words[0][:_OPENING_UNSPACED]
    return " ".join(words[:_OPENING_WORDS])[:_OPENING_CHARACTERS]


def _beginning(turns: Sequence[Message]) -> str:
    """Return enough of the texts to tell their language by, half of it from the first."""
    half = _LANGUAGE_CHARACTERS // 2
    return " ".join(turn.content[:half] for turn in turns[:2])
