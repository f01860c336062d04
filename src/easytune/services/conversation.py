"""What a kept conversation is made of."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from easytune.generation import SamplingSection

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True)
class Message:
    """One message.

    `model` is who answered; `details` are numbers of the answer, JSON-able, where NaN and infinity
    are kept as None. `id` is 0 until the message is kept.
    """

    role: Role
    content: str
    thinking: str = ""
    model: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    id: int = 0


@dataclass(frozen=True)
class Conversation:
    """A conversation with all its messages; `title` is empty until the first question."""

    id: str
    title: str
    created: datetime
    updated: datetime
    model: str
    system: str
    sampling: SamplingSection
    messages: tuple[Message, ...]


@dataclass(frozen=True)
class Summary:
    """One line of the list of conversations; `messages` counts them."""

    id: str
    title: str
    updated: datetime
    model: str
    messages: int
