"""Programs that do some of an export: started from a list of arguments, watched, ended with it."""

import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from easytune.export_errors import GgufToolFailed

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 5
_SAID = 600


def run(
    session: "Session",
    name: str,
    command: Sequence[str],
    seconds: float,
    look: Callable[[], None] | None = None,
    environment: dict[str, str] | None = None,
) -> None:
    """Run a program to its end; what it says goes to a file in `scratch`.

    `look` is called now and then. Raises GgufToolFailed when it fails or takes longer than
    `seconds`, and what `look` and `session.check_stop` raise, after the program was ended.
    """
    log = session.scratch / f"{name}.log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
        )  # fmt: skip
    try:
        _wait(session, process, time.monotonic() + seconds, look)
    finally:
        _end(process)
    if process.returncode != 0:
        raise GgufToolFailed(tool=name, reason=_last_words(log))


def _wait(
    session: "Session",
    process: subprocess.Popen[bytes],
    until: float,
    look: Callable[[], None] | None,
) -> None:
    while time.monotonic() < until:
        try:
            process.wait(_LOOK_SECONDS)
            return
        except subprocess.TimeoutExpired:
            session.check_stop()
            if look is not None:
                look()


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace").strip()[-_SAID:]
