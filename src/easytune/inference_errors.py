"""Problems of loading models, answering and comparing. See `easytune.errors`."""

from dataclasses import dataclass

from easytune.errors import EasyTuneError

# --- models and adapters ----------------------------------------------------


@dataclass(eq=False)
class ModelUnknown(EasyTuneError):
    """No base model, adapter, checkpoint or export has that name."""

    model: str


@dataclass(eq=False)
class AdapterPickled(EasyTuneError):
    """An adapter comes as a pickle, which can run code when loaded."""

    adapter: str


@dataclass(eq=False)
class AdapterUnsafe(EasyTuneError):
    """An adapter's file holds what no adapter needs, or numbers that are no numbers."""

    adapter: str
    reason: str


@dataclass(eq=False)
class BaseMissing(EasyTuneError):
    """The base model of an adapter is not on this machine."""

    adapter: str
    base: str


@dataclass(eq=False)
class MemoryShort(EasyTuneError):
    """A model needs more memory than is free, and nothing idle can be unloaded for it."""

    model: str
    need_gb: float
    free_gb: float


# --- answering --------------------------------------------------------------


@dataclass(eq=False)
class PromptEmpty(EasyTuneError):
    """Nothing was asked."""


@dataclass(eq=False)
class PromptTooLong(EasyTuneError):
    """The last message alone does not fit the model's context."""

    tokens: int
    context: int


@dataclass(eq=False)
class ConversationUnrenderable(EasyTuneError):
    """The model's chat template refuses or cannot handle this conversation."""

    reason: str


@dataclass(eq=False)
class TemplateTooSlow(EasyTuneError):
    """The model's chat template did not end in time."""

    seconds: float


@dataclass(eq=False)
class HostOutOfMemory(EasyTuneError):
    """The device ran out of memory while answering."""

    device: str


@dataclass(eq=False)
class HostCrashed(EasyTuneError):
    """The process that holds the model ended by itself."""

    model: str


@dataclass(eq=False)
class HostKilled(EasyTuneError):
    """The process that holds the model was ended from outside; `by_system` when memory ran out."""

    model: str
    signal: int


@dataclass(eq=False)
class TooManyColumns(EasyTuneError):
    """A comparison has fewer than two or more than eight columns."""

    have: int


# --- what is kept -----------------------------------------------------------


@dataclass(eq=False)
class ConversationMissing(EasyTuneError):
    """There is no such conversation; another page may have deleted it."""

    conversation: str


@dataclass(eq=False)
class ConversationBusy(EasyTuneError):
    """An answer is being written in this conversation, perhaps on another page."""

    conversation: str


@dataclass(eq=False)
class MessageMissing(EasyTuneError):
    """The message is not in the conversation; another page may have changed it."""

    conversation: str


@dataclass(eq=False)
class ComparisonMissing(EasyTuneError):
    """There is no such comparison; another page may have deleted it."""

    comparison: str


@dataclass(eq=False)
class BatchRuns(EasyTuneError):
    """The prompts of this comparison are being worked through already."""

    comparison: str


@dataclass(eq=False)
class ImportUnreadable(EasyTuneError):
    """A file of conversations or prompts is not in a form we know."""

    path: str
    reason: str


@dataclass(eq=False)
class PresetNameInvalid(EasyTuneError):
    """A preset's name is empty or cannot be a file's name."""

    name: str


@dataclass(eq=False)
class PresetMissing(EasyTuneError):
    """There is no preset of that name; another page may have deleted it."""

    name: str


@dataclass(eq=False)
class PresetTooLong(EasyTuneError):
    """A preset's system prompt makes its file larger than we would read again."""

    name: str


@dataclass(eq=False)
class DatabaseUnusable(EasyTuneError):
    """The database file is damaged, locked for too long, or cannot be written."""

    path: str
    reason: str
