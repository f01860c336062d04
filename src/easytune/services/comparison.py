"""What a comparison is: columns that were asked the same, and what each of them answered."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from easytune.generation import LoadingSection, SamplingSection
from easytune.wire import Turn

Kind = Literal["live", "batch"]
BatchState = Literal["running", "finished", "stopped", "failed", "interrupted"]
FEWEST_COLUMNS = 2
MOST_COLUMNS = 8


@dataclass(frozen=True)
class Column:
    """Whom to ask, and how: one model with its own system prompt and sampling."""

    model: str
    """Its id in the catalogue."""
    label: str = ""
    """Its name for people; `Comparisons.create` fills it in and keeps labels apart."""
    base: str | None = None
    """Another base model than the one the adapter names."""
    system: str = ""
    sampling: SamplingSection = field(default_factory=SamplingSection)
    loading: LoadingSection = field(default_factory=LoadingSection)
    version: str = ""
    """Fingerprint of the weights that were asked; of an adapter and its base: `adapter+base`."""
    base_model: str = ""
    """Id of the whole model that answers, or to which the adapter belongs; filled in as well."""


@dataclass(frozen=True)
class StoredAnswer:
    """What one column answered to one prompt."""

    text: str
    thinking: str = ""
    seed: int = 0
    reason: str = ""
    """How it ended: stop, length, cancelled or failed."""
    code: str = ""
    """With `failed`: the error, text `error.<code>`, with `values`."""
    values: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    """Timings, token counts and mode: `Answer.details()`."""
    scores: dict[str, float] = field(default_factory=dict)
    """Likeness to the reference by metric, 0 to 100; empty without a reference."""


@dataclass(frozen=True)
class Entry:
    """One prompt and the answers to it, in the order of the columns; None: not answered yet."""

    position: int
    prompt: str
    """The question in short, for tables: the last message."""
    messages: tuple[Turn, ...]
    """What all columns were asked; `asked` adds a column's system prompt and history."""
    reference: str = ""
    answers: tuple[StoredAnswer | None, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """Prompts put to several columns. `live`: a conversation; `batch`: each prompt by itself."""

    id: str
    title: str
    kind: Kind
    created: datetime
    columns: tuple[Column, ...]
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True)
class Summary:
    """A line of the list of comparisons."""

    id: str
    title: str
    kind: Kind
    created: datetime
    columns: tuple[str, ...]
    """Labels of the columns."""
    entries: int
    """How many prompts."""


@dataclass(frozen=True)
class BatchProgress:
    """How far a batch is. Everyone who asks sees the same."""

    state: BatchState
    done: int
    """Prompts that all columns have answered."""
    total: int
    seconds_left: float | None = None
    """None while it cannot be told, and when nothing runs."""
    failure: tuple[str, dict[str, Any]] | None = None
    """With `failed`: the error's code (text `error.<code>`) and its values."""


@dataclass(frozen=True)
class Vote:
    """Which of the columns `a` and `b` (a < b) answered a prompt better."""

    position: int
    a: int
    b: int
    verdict: Literal["a", "b", "tie", "both_bad"]
    left: int
    """The column that was shown on the left."""


def history(comparison: Comparison, column: int, before: int | None = None) -> tuple[Turn, ...]:
    """Return what a column was asked and said in the turns before position `before`.

    Without the system prompt. A turn whose answer has no text (failed, or stopped at once) is left
    out with its question, so that questions and answers keep alternating.
    """
    if comparison.kind == "batch":
        return ()
    said: list[Turn] = []
    for entry in comparison.entries:
        if before is not None and entry.position >= before:
            break
        answer = entry.answers[column]
        if answer is not None and answer.text.strip():
            said += [*entry.messages, Turn(role="assistant", content=answer.text)]
    return tuple(said)


def asked(comparison: Comparison, entry: Entry, column: int) -> tuple[Turn, ...]:
    """Return all messages a column is given for an entry: system prompt, history, question.

    The column's system prompt stands in for one that the prompt itself brings along.
    """
    system = comparison.columns[column].system.strip()
    messages = history(comparison, column, entry.position) + entry.messages
    if not system:
        return messages
    own = tuple(turn for turn in messages if turn.role != "system")
    return (Turn(role="system", content=system), *own)


def with_unique_labels(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    """Return the columns with a label each, numbered where two would have the same."""
    return tuple(
        replace(column, label=label)
        for column, label in zip(columns, _unique(columns), strict=True)
    )


def _unique(columns: tuple[Column, ...]) -> Iterator[str]:
    taken: set[str] = set()
    for column in columns:
        wanted = column.label.strip() or column.model
        label, number = wanted, 2
        while label in taken:
            label, number = f"{wanted} ({number})", number + 1
        taken.add(label)
        yield label
