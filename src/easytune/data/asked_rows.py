"""One stored row as a question: what is asked, the answer in the data, answers to choose from."""

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from easytune.data import formats
from easytune.data.conversation import Tags
from easytune.data.formats import Layout
from easytune.data.rows import Message, Problem, Row
from easytune.wire import Turn

Remark = Literal["no_reference", "empty_reference", "text_continued", "choice_unknown"]
"""What there is to say about a row; the texts are `evaluation.finding.<remark>`."""

_QUESTIONS = ("prompt", "question", "instruction", "query", "input")
_ANSWERS = (
    "answer", "answerKey", "answer_key", "completion", "response", "output", "target", "gold",
    "label",
)  # fmt: skip
_CHOICES = ("choices", "options")
_PARTNERS = {"prompt": "completion", "question": "answer", "query": "response"}
# Stands for an answer while a row without one is read; never shown.
_STAND_IN = "…"


@dataclass(frozen=True)
class Asked:
    """What becomes of a row; the fields are those of `evaluation_files.TestRow`."""

    messages: tuple[Turn, ...] = ()
    prompt: str | None = None
    reference: str | None = None
    choices: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()


def ask(value: Any, number: int, source: str, layout: Layout) -> Asked | Problem:
    """Return what is asked in a stored row, or why nothing can be.

    A conversation is asked up to its last answer, which is the reference; a plain text up to its
    middle. A row without an answer, or with an empty one, has no reference. A layout without a
    format is that of a row that nothing could be learned from, such as a mere question.
    """
    choices: tuple[str, ...] = ()
    remarks: tuple[Remark, ...] = ()
    if isinstance(value, dict):
        value, choices, remarks = _with_chosen(_in_text(value))
        value, layout = _recognised(value, layout)
    found = _converted(value, number, source, layout)
    if isinstance(found, Problem):
        found = _without_answer(value, number, source, layout) or found
    if isinstance(found, Problem):
        return found
    if isinstance(found, Row):
        found = of_row(found)
    known = choices if found.reference in choices else ()
    return replace(found, choices=known, remarks=(*found.remarks, *remarks))


def of_row(row: Row) -> Asked:
    """Return what is asked in a row that could be learned from."""
    if row.messages is None:
        return _continued(row.text or "")
    turns = tuple(Turn(role=turn.role, content=turn.content) for turn in row.messages)
    return Asked(turns[:-1], reference=turns[-1].content)


def choices_of(value: Any, reference: str | None) -> tuple[str, ...]:
    """Return what a row that could be learned from gives to choose from, as it was learned.

    A model that learned to answer with a letter chooses among the letters.
    """
    fields = value if isinstance(value, dict) else {}
    column = next((name for name in _CHOICES if name in fields), None)
    known = _choices(fields[column]) if column else ()
    return next((names for names in known if len(names) > 1 and reference in names), ())


def words(messages: Sequence[Turn | Message]) -> str:
    """Return all that is said but the system prompt, to tell by whether rows are the same.

    Spacing makes no difference, as in `insight.leaks`.
    """
    said = (turn.content for turn in messages if turn.role != "system")
    return " ".join("\n".join(said).split())


def _converted(value: Any, number: int, source: str, layout: Layout) -> Row | Problem:
    if layout.format is None:
        return Problem(number, source, "no_question")
    found = formats.convert(value, number, source, layout)
    return found if isinstance(found, Problem) else found[0]


def _in_text(value: dict[str, Any]) -> dict[str, Any]:
    """Return a row whose answers in figures are texts, unless they stand for a choice."""
    if any(name in value for name in _CHOICES):
        return value
    figures = {
        name: str(value[name])
        for name in _ANSWERS
        if isinstance(value.get(name), int | float) and not isinstance(value[name], bool)
    }
    return value | figures if figures else value


def _recognised(value: dict[str, Any], layout: Layout) -> tuple[dict[str, Any], Layout]:
    """Return a row of a question and an answer in columns that no format has, such as `target`."""
    asked = _question_column(value)
    answer = next((name for name in _ANSWERS if not _is_blank(value.get(name))), None)
    if layout.format or asked is None or answer is None:
        return value, layout
    return _as_pair(value, asked, value[answer]), Layout("alpaca")


def _as_pair(value: Mapping[str, Any], asked: str, answer: Any) -> dict[str, Any]:
    """Return a question and its answer as alpaca has them."""
    system = {"system": value["system"]} if isinstance(value.get("system"), str) else {}
    extra = (value.get("input") or "") if asked == "instruction" else ""
    return system | {"instruction": value[asked], "input": extra, "output": answer}


def _question_column(value: Mapping[str, Any]) -> str | None:
    return next((name for name in _QUESTIONS if isinstance(value.get(name), str)), None)


def _continued(text: str) -> Asked:
    """Cut a plain text near its middle, between two words where there are several."""
    middle = len(text) // 2
    gaps = [found.start() for found in re.finditer(r"\s+", text) if found.start() > 0]
    cut = min(gaps, key=lambda place: abs(place - middle)) if gaps else middle
    if not text[:cut].strip() or not text[cut:].strip():
        return Asked(prompt=text, remarks=("no_reference",))
    return Asked(prompt=text[:cut], reference=text[cut:], remarks=("text_continued",))


# --- rows without an answer ---------------------------------------------------------------------


def _without_answer(value: Any, number: int, source: str, layout: Layout) -> Asked | None:
    """Return the question of a row whose answer is missing or empty; None when that is not it."""
    if not isinstance(value, dict):
        return None
    completed = _completed(value, layout)
    if completed is None:
        return None
    whole, is_empty, layout = completed
    found = _converted(whole, number, source, layout)
    if isinstance(found, Problem) or found.messages is None:
        return None
    asked = of_row(found)
    if asked.reference != _STAND_IN:
        return None
    return replace(
        asked, reference=None, remarks=("empty_reference" if is_empty else "no_reference",)
    )


def _completed(value: dict[str, Any], layout: Layout) -> tuple[dict[str, Any], bool, Layout] | None:
    """Return a row with something in the place of its answer, whether that was there but empty,
    and the layout it then has."""
    turns = _turns_column(value, layout)
    if turns is not None:
        return _with_last_turn(value, turns, layout)
    column = _answer_column(value, layout)
    if column is not None:
        return (
            {**value, column: _STAND_IN},
            column in value,
            layout if layout.format else Layout(_format_with(value, column)),
        )
    asked = _question_column(value)
    if asked is None or any(not _is_blank(value.get(name)) for name in _ANSWERS):
        return None
    return _as_pair(value, asked, _STAND_IN), False, Layout("alpaca")


def _turns_column(value: Mapping[str, Any], layout: Layout) -> str | None:
    names = ("messages", "conversations", "conversation")
    mapped = [layout.columns[name] for name in names if name in layout.columns]
    return next((n for n in (*mapped, *names) if isinstance(value.get(n), list)), None)


def _with_last_turn(
    value: dict[str, Any], column: str, layout: Layout
) -> tuple[dict[str, Any], bool, Layout] | None:
    """Return a conversation with an answer at its end, in place of empty ones."""
    turns = [turn for turn in value[column] if isinstance(turn, dict)]
    if not turns or len(turns) < len(value[column]):
        return None
    tags = layout.tags
    role = next((name for name in tags.role if name in turns[0]), tags.role[0])
    content = next((name for name in tags.content if name in turns[0]), tags.content[0])
    had = len(turns)
    while turns and _is_empty_answer(turns[-1], role, content, tags):
        turns.pop()
    word = next(word for word, meaning in tags.roles.items() if meaning == "assistant")
    whole = {**value, column: [*turns, {role: word, content: _STAND_IN}]}
    if layout.format is None:
        layout = Layout(formats.format_of(whole), layout.columns, tags)
    return whole, len(turns) < had, layout


def _is_empty_answer(turn: Mapping[str, Any], role: str, content: str, tags: Tags) -> bool:
    speaks = tags.roles.get(str(turn.get(role, "")).strip().lower())
    return speaks == "assistant" and _is_blank(turn.get(content))


def _answer_column(value: Mapping[str, Any], layout: Layout) -> str | None:
    """Return the column whose answer is missing or empty; None when there is none to tell of."""
    if layout.format == "alpaca":
        column = layout.columns.get("output", "output")
        return column if _is_blank(value.get(column)) else None
    asked = next((name for name in _QUESTIONS if name in value), None)
    known = [name for name in _ANSWERS if name in value and _is_blank(value[name])]
    if known and asked and _format_with(value, known[0]):
        return known[0]
    partner = _PARTNERS.get(asked or "")
    has_answer = any(name in value for name in _ANSWERS)
    return partner if partner and not has_answer else None


def _format_with(value: Mapping[str, Any], column: str) -> str | None:
    return formats.format_of({**value, column: _STAND_IN})


def _is_blank(value: Any) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


# --- multiple choice ----------------------------------------------------------------------------


def _with_chosen(
    value: dict[str, Any],
) -> tuple[dict[str, Any], tuple[str, ...], tuple[Remark, ...]]:
    """Return a row with its right choice as the answer in words, and all choices in words."""
    column = next((name for name in _CHOICES if name in value), None)
    choices, labels = _choices(value[column]) if column else ((), ())
    if len(choices) < 2:
        return value, (), ()
    answer = next((name for name in _ANSWERS if name in value), None)
    if answer is None or _is_blank(value[answer]):
        return value, (), ()
    right = _right(value[answer], choices, labels)
    if right is None:
        return value, (), ("choice_unknown",)
    kept = {name: item for name, item in value.items() if name not in _ANSWERS}
    return kept | {_answer_name(value, answer): right}, choices, ()


def _answer_name(value: Mapping[str, Any], found: str) -> str:
    """Return under which name the format of a row keeps its answer: few call it `answerKey`."""
    if formats.format_of({**value, found: _STAND_IN}):
        return found
    asked = next((name for name in _QUESTIONS if name in value), "")
    return _PARTNERS.get(asked, "output" if asked == "instruction" else found)


def _choices(value: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts to choose from and what they are called, however a dataset writes them."""
    if isinstance(value, str):
        value = _parsed_list(value)
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        value = dict(zip(map(str, value.get("label") or []), value["text"], strict=False))
    if isinstance(value, dict):
        return tuple(map(str, value.values())), tuple(map(str, value))
    if not isinstance(value, list):
        return (), ()
    texts = [item.get("text", "") if isinstance(item, dict) else item for item in value]
    labels = [
        str(item["label"]) if isinstance(item, dict) and "label" in item else letter
        for item, letter in zip(value, string.ascii_uppercase, strict=False)
    ]
    return tuple(map(str, texts)), tuple(labels)


def _parsed_list(text: str) -> Any:
    """Return the list that a table file keeps as JSON text; one of lines where it is none."""
    from easytune.data.stored import parse

    try:
        return parse(text)
    except ValueError:
        return [line.strip() for line in text.splitlines() if line.strip()]


def _right(answer: Any, choices: Sequence[str], labels: Sequence[str]) -> str | None:
    """Return the choice that an answer names by its words, its letter, or its place from 0."""
    if isinstance(answer, int) and not isinstance(answer, bool):
        return choices[answer] if 0 <= answer < len(choices) else None
    said = str(answer).strip()
    for known in (choices, labels):
        for place, name in enumerate(known):
            if said == name.strip():
                return choices[place]
    if said.isdecimal() and int(said) < len(choices):
        return choices[int(said)]
    return None
