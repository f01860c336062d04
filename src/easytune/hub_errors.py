"""Problems of pushing a model to a hub. See `easytune.errors`."""

from dataclasses import dataclass

from easytune.errors import EasyTuneError


@dataclass(eq=False)
class HubTokenMissing(EasyTuneError):
    """No token for the hub is in the environment."""

    hub: str
    variable: str


@dataclass(eq=False)
class HubTokenRefused(EasyTuneError):
    """The hub does not know the token, or it has expired."""

    hub: str
    variable: str


@dataclass(eq=False)
class HubNotAllowed(EasyTuneError):
    """The token may not write there."""

    hub: str
    repository: str
    variable: str


@dataclass(eq=False)
class HubNameInvalid(EasyTuneError):
    """No repository can have that name."""

    hub: str
    repository: str


@dataclass(eq=False)
class HubNameTaken(EasyTuneError):
    """The repository exists and holds something else."""

    hub: str
    repository: str
    files: int


@dataclass(eq=False)
class HubNotReached(EasyTuneError):
    """The hub cannot be reached; nothing was sent."""

    hub: str
    address: str
    reason: str


@dataclass(eq=False)
class HubInterrupted(EasyTuneError):
    """The connection broke while files were sent; nothing is visible there yet."""

    hub: str
    repository: str
    reason: str


@dataclass(eq=False)
class HubRefused(EasyTuneError):
    """The hub understood and does not want it: quota, size, rules."""

    hub: str
    repository: str
    reason: str


@dataclass(eq=False)
class HubDiffers(EasyTuneError):
    """What lies on the hub after the upload is not what was sent."""

    hub: str
    repository: str
    file: str
