"""Problems of importing, changing and keeping datasets. See `easytune.errors`."""

from dataclasses import dataclass

from easytune.errors import EasyTuneError

# --- what there is ----------------------------------------------------------


@dataclass(eq=False)
class DatasetUnknown(EasyTuneError):
    """No dataset has that name."""

    dataset: str


@dataclass(eq=False)
class VersionUnknown(EasyTuneError):
    """A dataset has no version of that number; a deleted one is told by `deleted`."""

    dataset: str
    number: int
    deleted: bool = False


@dataclass(eq=False)
class VersionDamaged(EasyTuneError):
    """Files of a version are missing or are not what they were when it was written."""

    dataset: str
    number: int
    file: str


@dataclass(eq=False)
class VersionInUse(EasyTuneError):
    """Runs were trained on this version; it is deleted only when that is confirmed."""

    dataset: str
    number: int
    runs: tuple[str, ...]


@dataclass(eq=False)
class RowUnknown(EasyTuneError):
    """A version has no row at that place, counted from 0."""

    dataset: str
    position: int
    rows: int


@dataclass(eq=False)
class RowUnfit(EasyTuneError):
    """A row typed by hand cannot be used; `reason` is words for `i18n.t`."""

    reason: str


@dataclass(eq=False)
class NothingChanged(EasyTuneError):
    """What would be the new version is the current one, row by row."""

    dataset: str
    number: int


@dataclass(eq=False)
class LastVersion(EasyTuneError):
    """The only version of a dataset cannot be deleted; the dataset can."""

    dataset: str
    number: int


@dataclass(eq=False)
class VersionEmpty(EasyTuneError):
    """What would be the new version has no row."""

    dataset: str


@dataclass(eq=False)
class DatasetBusy(EasyTuneError):
    """Somebody else is writing to a dataset, and did not come to an end in time."""

    dataset: str


@dataclass(eq=False)
class PatternInvalid(EasyTuneError):
    """A regular expression cannot be understood; `reason` is the words of who tried."""

    pattern: str
    reason: str


# --- import -----------------------------------------------------------------


@dataclass(eq=False)
class ArchiveUnsafe(EasyTuneError):
    """An archive unpacks to far more than it holds, or would write elsewhere."""

    path: str
    reason: str


@dataclass(eq=False)
class KindsMixed(EasyTuneError):
    """Some files hold conversations and others plain text; one dataset holds one kind."""

    conversations: str
    texts: str


@dataclass(eq=False)
class NothingToImport(EasyTuneError):
    """Neither a file nor a text was given, or none of the files is one we read."""

    path: str


@dataclass(eq=False)
class HubUnreachable(EasyTuneError):
    """A hub cannot be reached, and the dataset is not in its local cache."""

    dataset: str


@dataclass(eq=False)
class HubDatasetMissing(EasyTuneError):
    """A hub has no such dataset, or it may not be seen; `reason` is the hub's own words."""

    dataset: str
    reason: str


# --- preprocessing ----------------------------------------------------------


@dataclass(eq=False)
class StepUnknown(EasyTuneError):
    """A pipeline names a step there is not."""

    step: str
    known: str


@dataclass(eq=False)
class StepInvalid(EasyTuneError):
    """The options of a step cannot be used; `problems` has a line per option."""

    step: str
    problems: str


@dataclass(eq=False)
class PipelineUnreadable(EasyTuneError):
    """A file is not a pipeline of steps."""

    path: str
    reason: str


@dataclass(eq=False)
class NothingLeft(EasyTuneError):
    """A pipeline would leave no row."""

    rows: int
    step: str


# --- tasks ------------------------------------------------------------------


@dataclass(eq=False)
class TaskUnknown(EasyTuneError):
    """There is no such task any more."""

    task: str


@dataclass(eq=False)
class TaskCancelled(EasyTuneError):
    """A task was cancelled; nothing of it was kept."""

    task: str = ""


@dataclass(eq=False)
class TaskActive(EasyTuneError):
    """A task goes on and must end before it can be forgotten."""

    task: str


@dataclass(eq=False)
class TaskLost(EasyTuneError):
    """The process of a task was killed, or ran out of memory; nothing of it was kept."""

    task: str


@dataclass(eq=False)
class TaskFailed(EasyTuneError):
    """A task met an error that nobody foresaw; `log` is the file that has the rest."""

    reason: str
    log: str


@dataclass(eq=False)
class StorageFull(EasyTuneError):
    """The disk became full while rows were written; nothing half-done was kept."""

    folder: str
    free_gb: float


@dataclass(eq=False)
class ExportExists(EasyTuneError):
    """A file that an export would write is there already; only `--force` writes over it."""

    path: str


# --- from the app back into data --------------------------------------------


@dataclass(eq=False)
class NothingToCollect(EasyTuneError):
    """What was chosen holds no row to learn from, or none that the dataset has not got."""

    source: str


@dataclass(eq=False)
class ModelNotHere(EasyTuneError):
    """Tokens can only be counted with the model's tokenizer, and it is not downloaded yet."""

    model: str
