"""Problems of serving a model to other programs. See `easytune.errors`."""

from dataclasses import dataclass

from easytune.errors import EasyTuneError


@dataclass(eq=False)
class DeploymentMissing(EasyTuneError):
    """There is no deployment of that name; another page may have deleted it."""

    deployment: str


@dataclass(eq=False)
class DeploymentActive(EasyTuneError):
    """The deployment still serves: it can be neither started nor deleted before it has ended."""

    deployment: str


@dataclass(eq=False)
class DeploymentNotHealthy(EasyTuneError):
    """The deployment does not answer, so that nothing can be asked of it."""

    deployment: str


@dataclass(eq=False)
class DeploymentUncheckable(EasyTuneError):
    """The answers of a deployment cannot be checked; `reason` is for `i18n.t`."""

    deployment: str
    reason: str


@dataclass(eq=False)
class PortTaken(EasyTuneError):
    """Somebody listens on the port already; `free` is the next one that is free."""

    host: str
    port: int
    free: int


@dataclass(eq=False)
class PortsTaken(EasyTuneError):
    """No port is free in the range that was looked at."""

    host: str
    first: int
    last: int


@dataclass(eq=False)
class AddressUnusable(EasyTuneError):
    """This machine cannot listen on an address."""

    host: str
    port: int
    reason: str


@dataclass(eq=False)
class KeyNeeded(EasyTuneError):
    """A server that others than this machine reach must ask for a key."""

    host: str


@dataclass(eq=False)
class EngineMissing(EasyTuneError):
    """A server program is not installed."""

    engine: str
    package: str


@dataclass(eq=False)
class EngineUnfit(EasyTuneError):
    """A server program cannot serve this; `reason` is for `i18n.t`."""

    engine: str
    reason: str


@dataclass(eq=False)
class ModelTooLarge(EasyTuneError):
    """A model needs more memory than the machine has, however much of it were free."""

    model: str
    need_gb: float
    have_gb: float


@dataclass(eq=False)
class ServerBroken(EasyTuneError):
    """A server ended by itself, and nothing tells why but its log."""

    how: str


@dataclass(eq=False)
class ServerKilled(EasyTuneError):
    """A server was ended from outside, by a signal."""

    signal: int


@dataclass(eq=False)
class ServerOutOfMemory(EasyTuneError):
    """The system ended a server because the machine ran out of memory."""


@dataclass(eq=False)
class ServerSilent(EasyTuneError):
    """What watches over a server has said nothing for a while: it stands still."""

    seconds: int


@dataclass(eq=False)
class DeploymentCutOff(EasyTuneError):
    """What watches over a server was killed, and the server ended with it."""


@dataclass(eq=False)
class DeploymentRebooted(EasyTuneError):
    """The machine was restarted while a deployment served."""


@dataclass(eq=False)
class DeploymentUnnamed(EasyTuneError):
    """It has to be said which deployment is meant; `known` names those there are."""

    known: str
