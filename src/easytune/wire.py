"""What the web process and an inference host say to each other: one JSON object per line.

Requests go to the host's standard input. Replies come from a copy the host makes of its standard
output before anything else can write there. A host holds one base model; `Start` is its first
request. Ending the process is the only way to unload: all memory is back.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter

from easytune.generation import LoadingSection, SamplingSection

Role = Literal["system", "user", "assistant", "tool"]
EndReason = Literal["stop", "length", "cancelled", "failed"]
Mode = Literal["batch", "alone", "in_turn"]


def _encodable(text: Any) -> Any:
    """Replace halves of surrogate pairs, which browsers can send and no encoding can write."""
    if not isinstance(text, str):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Text = Annotated[str, BeforeValidator(_encodable)]


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


class Turn(_Line):
    """One message of a conversation."""

    role: Role
    content: Text


class Column(_Line):
    """One answer that is wanted."""

    adapter: str | None = None
    """Absolute folder of an adapter or of a checkpoint's adapter; None asks the base itself."""
    messages: tuple[Turn, ...] = ()
    """A conversation, rendered with the model's chat template."""
    prompt: Text | None = None
    """Plain text to go on from, instead of `messages`."""
    continued: bool = False
    """Whether the last message is an answer to go on with, not to reply to."""
    sampling: SamplingSection = SamplingSection()
    """`seed` is always a number here: whoever asks has drawn one."""
    logprobs: int | None = None
    """How many alternatives to report with each token; None reports no probabilities."""


# --- requests ---------------------------------------------------------------


class Start(_Line):
    """Load the base model."""

    kind: Literal["start"] = "start"
    folder: str
    """Absolute folder of the model."""
    loading: LoadingSection = LoadingSection()
    allow_remote_code: bool = False


class Generate(_Line):
    """Answer these columns; those that can are computed as one batch."""

    kind: Literal["generate"] = "generate"
    request: str
    columns: tuple[Column, ...]


class Cancel(_Line):
    """End one column of a request, or all of it, within a step. Also while it still waits."""

    kind: Literal["cancel"] = "cancel"
    request: str
    column: int | None = None


class Ask(_Line):
    """Send a `State` now."""

    kind: Literal["ask"] = "ask"


Request = Annotated[Start | Generate | Cancel | Ask, Field(discriminator="kind")]


# --- replies ----------------------------------------------------------------


class Loading(_Line):
    """How far loading has come."""

    kind: Literal["loading"] = "loading"
    phase: Literal["importing", "reading", "placing"]
    share: float | None = None
    """Of the weights read, 0 to 1; None while that cannot be told."""


class Ready(_Line):
    """The base model can answer."""

    kind: Literal["ready"] = "ready"
    device: str
    """The device's name for people."""
    precision: str
    quantization: str
    parameters: int
    memory_gb: float
    """Memory of the device (on a processor: of the process) that the host holds."""
    seconds: float
    context_length: int | None
    knows_thinking: bool
    supports_system: bool
    template: Literal["model", "fallback", "file"]


class Queued(_Line):
    """A request waits; sent again whenever its position changes."""

    kind: Literal["queued"] = "queued"
    request: str
    position: int
    """1 is the next."""


class Began(_Line):
    """A column's prompt is being read."""

    kind: Literal["began"] = "began"
    request: str
    column: int
    prompt_tokens: int
    dropped: int = 0
    """Oldest messages left out so that the rest and an answer fit the context."""
    limit: int
    """Tokens the answer may have: as asked, or what is left of the context."""
    opens_thinking: bool = False
    """Whether the prompt itself opens a thinking block, so that the answer begins inside it."""
    mode: Mode = "alone"
    """`batch`: together with others; `in_turn`: it could not be mixed with the others."""


class TokenChance(_Line):
    """A token and the logarithm of its probability."""

    token: str
    logprob: float
    top: tuple[tuple[str, float], ...] = ()


class Piece(_Line):
    """The next part of an answer."""

    kind: Literal["piece"] = "piece"
    request: str
    column: int
    text: str
    tokens: int
    """Tokens of the answer so far."""
    chances: tuple[TokenChance, ...] = ()


class Ended(_Line):
    """A column is done."""

    kind: Literal["ended"] = "ended"
    request: str
    column: int
    reason: EndReason
    prompt_tokens: int = 0
    completion_tokens: int = 0
    first_token_seconds: float | None = None
    """From the beginning of this column's computation to its first token."""
    seconds: float = 0.0
    """From the same moment to its last."""
    code: str = ""
    """With `failed`: the error, text `error.<code>`, with `values`."""
    values: dict[str, Any] = {}


class State(_Line):
    """What the host holds and does; sent after changes, and when asked."""

    kind: Literal["state"] = "state"
    memory_gb: float
    adapters: tuple[str, ...] = ()
    """Folders of the adapters in memory."""
    requests: int = 0
    """Requests that run or wait."""


class Refused(_Line):
    """The host cannot do its work and ends; text `error.<code>`."""

    kind: Literal["refused"] = "refused"
    code: str
    values: dict[str, Any] = {}
    detail: str = ""
    """The traceback, for the log."""


Reply = Annotated[
    Loading | Ready | Queued | Began | Piece | Ended | State | Refused,
    Field(discriminator="kind"),
]
REQUESTS: TypeAdapter[Request] = TypeAdapter(Request)
REPLIES: TypeAdapter[Reply] = TypeAdapter(Reply)
