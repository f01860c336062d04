"""Problems of adapters and models from elsewhere that are imported. See `easytune.errors`."""

from dataclasses import dataclass

from easytune.errors import EasyTuneError


@dataclass(eq=False)
class InspectionMissing(EasyTuneError):
    """There is no check of an import of that name."""

    inspection: str


@dataclass(eq=False)
class InspectionActive(EasyTuneError):
    """The check goes on: nothing can be decided or removed before it has ended."""

    inspection: str


@dataclass(eq=False)
class InspectionInterrupted(EasyTuneError):
    """The check of an import was ended from outside before it was done."""


@dataclass(eq=False)
class ImportRefused(EasyTuneError):
    """What was checked is refused, so that it cannot be imported; `count` things speak against."""

    name: str
    count: int


@dataclass(eq=False)
class ImportWarned(EasyTuneError):
    """The check found things to think about; importing nevertheless has to be said."""

    name: str
    count: int


@dataclass(eq=False)
class ImportChanged(EasyTuneError):
    """A file in the quarantine is no longer the one that was checked, or is gone."""

    file: str


@dataclass(eq=False)
class ImportDecided(EasyTuneError):
    """What was checked has been imported or discarded already."""

    inspection: str


@dataclass(eq=False)
class ImportNothing(EasyTuneError):
    """There is nothing at the place that shall be imported."""

    path: str


@dataclass(eq=False)
class NothingToConvert(EasyTuneError):
    """There is no pickle that could be converted, or more than that speaks against the import."""

    inspection: str


@dataclass(eq=False)
class ImportBaseChanged(EasyTuneError):
    """The base model of an import is another one now than when it was checked."""

    model: str
    base: str
