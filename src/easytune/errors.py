"""Problems a user can act on. Each carries facts; the edge that shows it chooses the words.

The sentence for `TooFewRows(have=3, need=4)` is the text `error.too_few_rows` of each locale, with
the fields as placeholders. Caught at three edges only: handler, command line, worker.
"""

import re
from dataclasses import dataclass, fields
from typing import Any


class EasyTuneError(Exception):
    """Base of all problems whose remedy we can name."""

    @classmethod
    def code(cls) -> str:
        """Return the name under which locales keep the sentence: `too_few_rows`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @property
    def values(self) -> dict[str, Any]:
        """Return the facts, by placeholder name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.code()} {self.values}"


# --- data -------------------------------------------------------------------


@dataclass(eq=False)
class FileMissing(EasyTuneError):
    """A file or folder that was named is not there."""

    path: str


@dataclass(eq=False)
class FileEmpty(EasyTuneError):
    """A data file has no rows at all."""

    path: str


@dataclass(eq=False)
class FileUnreadable(EasyTuneError):
    """A data file is cut off, binary, or not what its ending says. `line` is 0 when unknown."""

    path: str
    line: int
    reason: str


@dataclass(eq=False)
class FormatUnknown(EasyTuneError):
    """The columns of a dataset match no known format; a mapping is needed."""

    path: str
    columns: str


@dataclass(eq=False)
class ColumnMissing(EasyTuneError):
    """A mapped column is not in the file."""

    path: str
    column: str
    columns: str


@dataclass(eq=False)
class TooFewRows(EasyTuneError):
    """Fewer usable rows than a training run needs; `reasons` adds what became of the others."""

    have: int
    need: int
    reasons: str = ""


@dataclass(eq=False)
class NothingToTrain(EasyTuneError):
    """No row was left after filtering: `reasons` lists what dropped them."""

    rows: int
    reasons: str


@dataclass(eq=False)
class TemplateFailed(EasyTuneError):
    """The chat template raised while rendering a row."""

    row: int
    reason: str


@dataclass(eq=False)
class TemplateInvalid(EasyTuneError):
    """A chat template is no valid Jinja, whatever the rows."""

    reason: str


@dataclass(eq=False)
class StageMismatch(EasyTuneError):
    """Plain text was given to a stage that wants conversations, or the other way round."""

    path: str
    stage: str


@dataclass(eq=False)
class ReplayUnusable(EasyTuneError):
    """No row of the dataset to replay can be used. `reasons` are words that `i18n.t` translates."""

    replay: str
    reasons: str


@dataclass(eq=False)
class ProbeUnusable(EasyTuneError):
    """No row of the forgetting probe can be scored. `reasons` are for `i18n.t` to translate."""

    probe: str
    reasons: str


@dataclass(eq=False)
class DatasetEntryUnusable(EasyTuneError):
    """An entry of a LLaMA-Factory dataset list cannot be trained on here."""

    name: str
    reason: str


# --- models -----------------------------------------------------------------


@dataclass(eq=False)
class ModelMissing(EasyTuneError):
    """Neither a folder nor a hub model of that name can be found."""

    model: str


@dataclass(eq=False)
class ModelIncomplete(EasyTuneError):
    """A model folder lacks a file that loading needs."""

    model: str
    missing: str


@dataclass(eq=False)
class ModelUnloadable(EasyTuneError):
    """A model folder is whole, but transformers cannot make a model of it."""

    model: str
    reason: str


@dataclass(eq=False)
class ArchitectureUnknown(EasyTuneError):
    """A model's files show no linear layer that we know, so nothing can be derived from it."""

    model: str
    architecture: str


@dataclass(eq=False)
class ModelPickled(EasyTuneError):
    """A model folder has only pickle weights, which can run code when loaded."""

    model: str


@dataclass(eq=False)
class ModelGated(EasyTuneError):
    """The hub wants a licence accepted or a token."""

    model: str


@dataclass(eq=False)
class RemoteCodeRefused(EasyTuneError):
    """The model needs Python code of its own and the user has not allowed that."""

    model: str


@dataclass(eq=False)
class NoNetwork(EasyTuneError):
    """The hub cannot be reached."""

    model: str


@dataclass(eq=False)
class AdapterMismatch(EasyTuneError):
    """The adapter to continue from was trained on another base model."""

    adapter: str
    reason: str


@dataclass(eq=False)
class TargetModuleMissing(EasyTuneError):
    """A target module does not exist in the model."""

    module: str
    available: str


@dataclass(eq=False)
class DependencyMissing(EasyTuneError):
    """An option needs a package that is not installed."""

    option: str
    package: str


@dataclass(eq=False)
class OptionUnsupported(EasyTuneError):
    """An option cannot work on this device or with this model."""

    option: str
    reason: str


# --- configuration ----------------------------------------------------------


@dataclass(eq=False)
class ConfigInvalid(EasyTuneError):
    """A configuration breaks rules; `problems` has one `option: message` line each."""

    problems: str


@dataclass(eq=False)
class IntentUnknown(EasyTuneError):
    """No intent of that name is bundled or in the home, or its file has errors."""

    intent: str
    known: str


@dataclass(eq=False)
class ConfigUnreadable(EasyTuneError):
    """A YAML file cannot be parsed."""

    path: str
    reason: str


# --- runs -------------------------------------------------------------------


@dataclass(eq=False)
class OutputNotEmpty(EasyTuneError):
    """The output folder has files in it already."""

    folder: str


@dataclass(eq=False)
class FolderUnwritable(EasyTuneError):
    """Nothing can be written to a folder, or it cannot be made."""

    folder: str
    reason: str


@dataclass(eq=False)
class DiskFull(EasyTuneError):
    """Less free space than the run needs."""

    free_gb: float
    need_gb: float
    folder: str


@dataclass(eq=False)
class OutOfMemory(EasyTuneError):
    """The device or the machine ran out of memory."""

    device: str
    batch_size: int


@dataclass(eq=False)
class Diverged(EasyTuneError):
    """Loss or gradient became NaN or infinite."""

    step: int
    learning_rate: float


@dataclass(eq=False)
class CheckpointInvalid(EasyTuneError):
    """A checkpoint is incomplete or damaged and cannot be resumed from."""

    path: str
    reason: str


@dataclass(eq=False)
class RunMissing(EasyTuneError):
    """There is no run of that name."""

    run: str


@dataclass(eq=False)
class NoRunsYet(EasyTuneError):
    """A command is about the newest run, and there is none."""


@dataclass(eq=False)
class RunActive(EasyTuneError):
    """The run goes on and must be stopped before it can be deleted."""

    run: str


@dataclass(eq=False)
class MachineBusy(EasyTuneError):
    """A run is going on, beside which a launch check would measure nothing that holds."""

    run: str


@dataclass(eq=False)
class CheckActive(EasyTuneError):
    """Another launch check is going on."""

    check: str


@dataclass(eq=False)
class CheckInterrupted(EasyTuneError):
    """A launch check was ended from outside before it was done."""


@dataclass(eq=False)
class CheckMissing(EasyTuneError):
    """There is no launch check of that name."""

    check: str


@dataclass(eq=False)
class KilledBySystem(EasyTuneError):
    """The job was killed because the machine ran out of memory."""

    signal: int


@dataclass(eq=False)
class KilledFromOutside(EasyTuneError):
    """The job was ended by a signal that EasyTune did not send."""

    signal: int


@dataclass(eq=False)
class Interrupted(EasyTuneError):
    """The watching process went away while the job ran, and the job ended with it."""


@dataclass(eq=False)
class RankEnded(EasyTuneError):
    """One of the processes that shared a run ended without a word."""

    number: int
    count: int
    how: str


@dataclass(eq=False)
class MachineRestarted(EasyTuneError):
    """The machine was restarted, or lost power, while the job ran."""


@dataclass(eq=False)
class Unexpected(EasyTuneError):
    """An error nobody foresaw; the log has the rest."""

    reason: str


@dataclass(eq=False)
class PasswordNeeded(EasyTuneError):
    """Others could reach the app, so it must ask for a password."""

    variable: str
