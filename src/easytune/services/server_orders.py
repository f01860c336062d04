"""What a supervisor is told to keep up: the content of `launch.json`. Standard library only."""

from dataclasses import asdict, dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Orders:
    """How a server is started, and how it is told whether it lives. Times in seconds."""

    command: tuple[str, ...]
    health: str
    """Address that answers 2xx while all is well."""
    proof: str = ""
    """Field of that answer which has to name this very instance; empty: not looked at."""
    secret_variable: str = ""
    """Environment variable by which the server gets the key; empty: it needs none."""
    environment: dict[str, str] = field(default_factory=dict)
    restarts: int = 5
    """How often in a row it may fail before it is given up."""
    start_s: float = 900.0
    """How long it may take to become healthy."""
    unhealthy_s: float = 120.0
    """How long it may be unhealthy before it is started anew."""
    steady_s: float = 60.0
    """Healthy for so long, it counts as never having failed."""
    grace_s: float = 10.0
    """From the wish that it ends to its being killed."""
    backoff_s: float = 1.0
    """Pause before the first restart; it doubles with each."""
    every_s: float = 1.0
    """From one question after its health to the next."""
    patience_s: float = 3.0
    """How long an answer to that question may take."""

    @classmethod
    def of(cls, content: dict[str, Any]) -> "Orders":
        """Return the orders in a file; what a newer version added is left out."""
        known = {f.name for f in fields(cls)}
        given = {name: value for name, value in content.items() if name in known}
        return cls(**{**given, "command": tuple(given["command"])})

    def content(self) -> dict[str, Any]:
        """Return what is written into the file."""
        return asdict(self)
