"""Problems of evaluations and of remedies that are tried. See `easytune.errors`."""

from dataclasses import dataclass

from easytune.errors import EasyTuneError


@dataclass(eq=False)
class EvaluationInvalid(EasyTuneError):
    """An evaluation was asked for something that cannot be; `reason` is for `i18n.t`."""

    option: str
    reason: str


@dataclass(eq=False)
class EvaluationMissing(EasyTuneError):
    """There is no evaluation of that name."""

    evaluation: str


@dataclass(eq=False)
class EvaluationActive(EasyTuneError):
    """The evaluation goes on: it can be neither deleted nor resumed before it has ended."""

    evaluation: str


@dataclass(eq=False)
class EvaluationUnfinished(EasyTuneError):
    """The evaluation has no result: it still goes on, or ended before anything was scored."""

    evaluation: str


@dataclass(eq=False)
class ThresholdUnknown(EasyTuneError):
    """An evaluation shall reach a number that it does not measure."""

    name: str
    known: str


@dataclass(eq=False)
class ReportUnknown(EasyTuneError):
    """A report's name ends like no kind of report."""

    path: str
    known: str


@dataclass(eq=False)
class EvaluationInterrupted(EasyTuneError):
    """An evaluation was ended from outside before it was done."""


@dataclass(eq=False)
class CandidateChanged(EasyTuneError):
    """A model is no longer the one that an evaluation has asked: answers would be mixed."""

    model: str


@dataclass(eq=False)
class NothingToAsk(EasyTuneError):
    """A test set has no row that can be asked; `reasons` tells why, for `i18n.t`."""

    set: str
    reasons: str


@dataclass(eq=False)
class HeldOutMissing(EasyTuneError):
    """A run kept no rows back that something could be measured on."""

    run: str


@dataclass(eq=False)
class RemedyUnfit(EasyTuneError):
    """A remedy against lost refusals cannot be tried on a model; `reason` is for `i18n.t`."""

    model: str
    reason: str


@dataclass(eq=False)
class RemedyMissing(EasyTuneError):
    """There is no attempt at a remedy of that name."""

    remedy: str


@dataclass(eq=False)
class RemedyInterrupted(EasyTuneError):
    """The computation of a remedy was ended from outside before it was done."""


@dataclass(eq=False)
class NotLonger(EasyTuneError):
    """A run that should train longer was given a length it has reached already."""

    asked: float
    done: float
