"""What can be asked of a model, and what happens on the way to an answer."""

from dataclasses import dataclass, field

from easytune import wire
from easytune.generation import LoadingSection, SamplingSection
from easytune.wire import Turn


@dataclass(frozen=True)
class Question:
    """One answer that is wanted: a column of Compare, a turn of Chat, a request of the API."""

    model: str
    """Id of a model of the catalogue."""
    messages: tuple[Turn, ...] = ()
    prompt: str | None = None
    """Plain text to go on from, instead of `messages`."""
    continued: bool = False
    """Whether the last message is an answer to go on with."""
    sampling: SamplingSection = field(default_factory=SamplingSection)
    loading: LoadingSection = field(default_factory=LoadingSection)
    base: str | None = None
    """Base model for an adapter whose own is not on this machine; None takes the one it names."""
    logprobs: int | None = None


@dataclass(frozen=True)
class Waiting:
    """The column waits for other requests of its host; position 1 is the next."""

    column: int
    position: int


@dataclass(frozen=True)
class LoadingModel:
    """The column waits for its base model: `phase` as in `wire.Loading`, or "downloading"."""

    column: int
    model: str
    phase: str
    share: float | None


Update = Waiting | LoadingModel | wire.Began | wire.Piece | wire.Ended
"""What an answering reports; `column` is the index of the question."""
