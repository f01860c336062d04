"""What all do that start a process and watch it to its end: runners of jobs, and of servers.

Standard library only, so that they start in milliseconds and hold a few megabytes for days.
"""

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from easytune import records
from easytune.services import processes

_RECORD_TRIES = 60


def start(
    folder: Path, command: Sequence[str], log: Path, more: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that works in `folder`, writes to `log`, and ends when we do.

    Call `processes.guard` on it. `more` is put over its environment. Raises OSError.
    """
    # Threads that spin while they wait stand still together once the machine is shared.
    environment = {"OMP_WAIT_POLICY": "PASSIVE"} | processes.environment_of(folder)
    with log.open("ab") as file:
        return subprocess.Popen(
            [*command],
            cwd=folder,
            env=environment | dict(more or {}),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            **processes.watched(),
        )


def close(child: subprocess.Popen[bytes], guard: object) -> None:
    """Leave nothing behind of a child that was started with `start`, and of what it started."""
    processes.kill_all(child)
    if isinstance(guard, subprocess.Popen):
        guard.kill()


def identities(child: int | None) -> dict[str, Any]:
    """Return who we are, and who our child is: what proves later that we live."""
    return {
        "boot_id": processes.boot_id(),
        "runner": who(os.getpid()),
        "worker": who(child) if child is not None else None,
        "at": now(),
    }


def who(pid: int) -> dict[str, Any] | None:
    """Return a living process as it is put on record; None when it has ended."""
    identity = processes.identify(pid)
    return {"pid": pid, "started": identity.started} if identity else None


def record_end(path: Path, outcome: dict[str, Any]) -> None:
    """Write how something ended, also where the disk is full at first."""
    for _ in range(_RECORD_TRIES):
        try:
            records.write(path, outcome)
        except OSError:
            # Most likely a full disk, where the end of a job often frees some space.
            time.sleep(1)
        else:
            return


def ending(code: int) -> dict[str, Any]:
    """Return how a process ended: by itself, or by a signal."""
    return {"returncode": code if code >= 0 else None, "signal": -code if code < 0 else None}


def now() -> str:
    """Return the time as records have it."""
    return datetime.now(UTC).isoformat()
