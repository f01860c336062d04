"""How a deployment is: told from what its processes prove, never from memory."""

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from easytune import deployment_errors as errors
from easytune import locks, records
from easytune.deployment_files import DeploymentFolder
from easytune.errors import EasyTuneError, Unexpected
from easytune.job import ENDING_SIGNALS
from easytune.services import evidence as proof
from easytune.services import processes
from easytune.services.launching import LAUNCH_S

State = Literal[
    "starting", "healthy", "unhealthy", "restarting", "stopping", "stopped", "crashed", "lost"
]
ACTIVE: frozenset[State] = frozenset({"starting", "healthy", "unhealthy", "restarting", "stopping"})
SILENT_S = 20.0
"""A supervisor that has not touched its status for so long stands still."""


@dataclass(frozen=True)
class Standing:
    """What is known of a deployment at one moment."""

    state: State
    since: datetime | None
    starts: int = 0
    """How often its server was started since somebody last started the deployment."""
    problem: str = ""
    """What its health said last, where that was not well; in the words of the system."""
    failure: tuple[str, dict[str, Any]] | None = None
    """Code and values of the last thing that went wrong."""
    pid: int | None = None
    """The server's process, while it lives."""

    @property
    def is_active(self) -> bool:
        """Tell whether a supervisor looks after it."""
        return self.state in ACTIVE


def stand(folder: DeploymentFolder) -> Standing:
    """Return how a deployment is."""
    # In this order: a supervisor takes the lock, writes who it is, its exit, and lets go.
    process = records.read(folder.process)
    held = locks.is_held(folder.lock)
    ended = records.read(folder.exit)
    if held and process is not None and proof.is_on_record(process):
        return _alive(folder)
    if held or _is_being_launched(folder, process, ended):
        return Standing("starting", proof.modified(folder.launch))
    if ended is not None:
        return _ended(ended)
    if process is not None:
        rebooted = process.get("boot_id") != processes.boot_id()
        cause = errors.DeploymentRebooted() if rebooted else errors.DeploymentCutOff()
        return Standing("lost", proof.modified(folder.status), failure=_told(cause))
    return Standing("stopped", proof.modified(folder.order))


def _alive(folder: DeploymentFolder) -> Standing:
    """Return how a deployment is whose supervisor lives: as that says, if what it says holds."""
    status = records.read(folder.status) or {}
    state: State = status.get("state") or "starting"
    server = status.get("server")
    pid = _living(server)
    failure = _failure(status.get("failure"))
    problem = str(status.get("problem") or "")
    silent_s = _silent_s(folder)
    if folder.stop.exists():
        state = "stopping"
    elif state == "healthy" and pid is None:
        # Dead for a moment: its supervisor is about to notice.
        state = "unhealthy"
    elif silent_s > SILENT_S:
        state, failure = "unhealthy", _told(errors.ServerSilent(int(silent_s)))
    return Standing(
        state=state,
        since=proof.moment(status.get("since")),
        starts=int(status.get("starts") or 0),
        problem=problem if state != "healthy" else "",
        failure=failure,
        pid=pid,
    )


def _ended(ended: dict[str, Any]) -> Standing:
    is_crash = ended.get("state") == "crashed"
    return Standing(
        state="crashed" if is_crash else "stopped",
        since=proof.moment(ended.get("ended")),
        starts=int(ended.get("starts") or 0),
        failure=_failure(ended) if is_crash else None,
    )


def _failure(end: object) -> tuple[str, dict[str, Any]] | None:
    """Return why a server ended: as it says itself, else as its supervisor saw it."""
    if not isinstance(end, dict):
        return None
    if end.get("code"):
        return str(end["code"]), dict(end.get("values") or {})
    if end.get("error"):
        return _told(Unexpected(str(end["error"])))
    signal = end.get("signal")
    if signal == proof.KILL and end.get("oom_kills"):
        return _told(errors.ServerOutOfMemory())
    if signal in ENDING_SIGNALS:
        return _told(errors.ServerKilled(int(signal)))
    how = f"signal {signal}" if signal else f"exit code {end.get('returncode')}"
    return _told(errors.ServerBroken(how))


def _living(server: object) -> int | None:
    if not isinstance(server, dict):
        return None
    identity = processes.Identity(int(server.get("pid") or 0), str(server.get("started") or ""))
    return identity.pid if processes.is_alive(identity) else None


def _silent_s(folder: DeploymentFolder) -> float:
    touched = proof.modified(folder.status)
    return time.time() - touched.timestamp() if touched else 0.0


def _is_being_launched(
    folder: DeploymentFolder, process: dict[str, Any] | None, ended: dict[str, Any] | None
) -> bool:
    """Tell whether somebody is starting a supervisor this very moment, for the first time."""
    if process is not None or ended is not None:
        return False
    # The app writes the folder first, and what it claims counts from then on.
    written = proof.modified(folder.order)
    return written is not None and 0 <= time.time() - written.timestamp() < LAUNCH_S


def _told(error: EasyTuneError) -> tuple[str, dict[str, Any]]:
    return error.code(), error.values
