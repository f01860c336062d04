"""What a dataset is made of, and what can be wrong with a row of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
_NAMED_ROWS = 5
_TYPES = {
    bool: "bool", int: "number", float: "number", str: "text", list: "list", dict: "dict",
    type(None): "nothing",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Role
    content: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row to learn from: either a conversation or a plain text.

    `number` counts from 1 in the file: the line of a JSONL file, else the row below the header.
    """

    number: int
    source: str
    messages: tuple[Message, ...] | None = None
    text: str | None = None


@dataclass(frozen=True)
class Problem:
    """Why a row cannot be used.

    The sentence is the text `data.problem.<code>`, with `placeholders` filled in; a short phrase
    for a table of counts is `data.reason.<code>`.
    """

    number: int
    source: str
    code: str
    values: dict[str, Any] = field(default_factory=dict)

    @property
    def placeholders(self) -> dict[str, Any]:
        """Return everything the sentence may name."""
        return {"number": self.number, "source": self.source, **self.values}


class RowInvalid(Exception):
    """Raised while one row is converted or rendered; becomes a `Problem` that names the row."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code, values)
        self.code = code
        self.values = values

    def at(self, number: int, source: str) -> Problem:
        """Return the problem, now that it is known which row it is."""
        return Problem(number, source, self.code, self.values)


def count_reasons(problems: list[Problem]) -> dict[str, int]:
    """Return how many rows each kind of problem cost, the most frequent first."""
    counts: dict[str, int] = {}
    for problem in problems:
        counts[problem.code] = counts.get(problem.code, 0) + 1
    return dict(sorted(counts.items(), key=lambda entry: -entry[1]))


def reasons_text(problems: list[Problem]) -> str:
    """Return counts and row numbers for an error's `reasons`, in words that `i18n.t` translates."""
    counts = count_reasons(problems)
    return ", ".join(
        f"{count} × @data.reason.{code} ({_places(problems, code)})"
        for code, count in counts.items()
    )


def type_words(value: Any) -> str:
    """Return what kind of value this is, in words that `i18n.t` translates."""
    return f"@data.type.{_TYPES.get(type(value), 'other')}"


def _places(problems: list[Problem], code: str) -> str:
    """Return the numbers of the first rows with a problem; with the file where there are several.

    A row that a weight repeats is named once.
    """
    several = len({problem.source for problem in problems}) > 1
    found = sorted({(p.source, p.number) for p in problems if p.code == code})
    named = [f"{Path(s).name}:{n}" if several else str(n) for s, n in found[:_NAMED_ROWS]]
    word = "@data.rows" if found[1:] else "@data.row"
    return f"{word} {', '.join(named)}" + (" …" if len(found) > _NAMED_ROWS else "")
