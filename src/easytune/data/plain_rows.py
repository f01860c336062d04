"""Quick looks at rows as they usually are, so that a million of them need not be converted.

A look is true only for a row that `easytune.data.formats` surely takes. It does not notice damaged
characters: rows that have some cannot be written as JSON.
"""

from collections.abc import Callable, Mapping
from typing import Any

from easytune.data.conversation import ROLES

Look = Callable[[Any], bool]


def never(row: Any) -> bool:
    """Tell nothing about any row."""
    return False


def pair(asked: str, answered: str) -> Look:
    """Return the look for rows that hold a question and an answer under these names."""

    def look(row: Any) -> bool:
        if type(row) is not dict:
            return False
        question, answer, addition = row.get(asked), row.get(answered), row.get("input")
        return (
            type(question) is str
            and type(answer) is str
            and (addition is None or type(addition) is str)
            and question != ""
            and answer != ""
            and not question.isspace()
            and not answer.isspace()
            and (len(row) == 2 + ("input" in row) or _is_plain_beside(row))
        )

    return look


def _is_plain_beside(row: Mapping[str, Any]) -> bool:
    return (
        _may_be_text(row.get("system"))
        and _may_be_text(row.get("context"))
        and row.get("history") in (None, [], "")
    )


def text(row: Any) -> bool:
    """Tell whether a row holds a plain text."""
    return type(row) is dict and _says_something(row.get("text"))


def turns(*names: str) -> Look:
    """Return the look for rows that hold turns under the first of these names that they have."""

    def look(row: Any) -> bool:
        if type(row) is not dict:
            return False
        said = next((row[name] for name in names if name in row), None)
        return type(said) is list and _may_be_text(row.get("system")) and _is_answered(said)

    return look


def _is_answered(said: list[Any]) -> bool:
    """Tell whether all turns are of well-known speakers, with an answer to a question."""
    asked = answered = False
    for turn in said:
        if type(turn) is not dict:
            return False
        word = turn["role"] if "role" in turn else turn.get("from")
        role = ROLES.get(word) if type(word) is str else None
        content = turn["content"] if "content" in turn else turn.get("value")
        if role is None or not _says_something(content):
            return False
        asked = asked or role == "user"
        answered = answered or (asked and role == "assistant")
    return answered


def _says_something(value: Any) -> bool:
    return type(value) is str and value != "" and not value.isspace()


def _may_be_text(value: Any) -> bool:
    return value is None or type(value) is str


LOOKS: dict[str, Look] = {
    "messages": turns("messages"),
    "sharegpt": turns("conversation", "conversations"),
    "alpaca": pair("instruction", "output"),
    "text": text,
}
"""The look for each format that is common enough to have one."""
