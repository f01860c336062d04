"""Problems of the registry of models, and of the trash. See `easytune.errors`."""

from dataclasses import dataclass

from easytune.errors import EasyTuneError


@dataclass(eq=False)
class EntryMissing(EasyTuneError):
    """The registry has no version of that id, nor under that name and number."""

    entry: str


@dataclass(eq=False)
class EntryChanged(EasyTuneError):
    """Somebody else has changed the version since it was read."""

    entry: str


@dataclass(eq=False)
class EntryNameInvalid(EasyTuneError):
    """A name has no letter or digit that a program could call it by."""

    name: str


@dataclass(eq=False)
class EntryInUse(EasyTuneError):
    """A job or a server works with the files now: they cannot be deleted."""

    entry: str
    used_by: str


@dataclass(eq=False)
class EntryNeeded(EasyTuneError):
    """Other things depend on the version; deleting it must be confirmed."""

    entry: str
    count: int
    names: str


@dataclass(eq=False)
class NoCurrentVersion(EasyTuneError):
    """No version of a name has been set as the current one."""

    name: str


@dataclass(eq=False)
class NoEarlierVersion(EasyTuneError):
    """No other version of a name was current before that could be gone back to."""

    name: str


@dataclass(eq=False)
class CheckpointMissing(EasyTuneError):
    """A run has no whole checkpoint of that step."""

    run: str
    step: int


@dataclass(eq=False)
class CheckpointsMove(EasyTuneError):
    """A run goes on and may still remove its older checkpoints."""

    run: str


@dataclass(eq=False)
class TrashMissing(EasyTuneError):
    """Nothing of that id is in the trash."""

    item: str


@dataclass(eq=False)
class TrashPlaceTaken(EasyTuneError):
    """Where something from the trash should go back to, there is something else now."""

    path: str
