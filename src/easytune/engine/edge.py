"""The edge of every job process: whatever happens inside becomes its one terminal event."""

import faulthandler
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO, TypeVar

import yaml
from pydantic import ValidationError

from easytune.engine.reporting import Reporter
from easytune.engine.resources import ResourceThread
from easytune.engine.stopping import StopSignal
from easytune.errors import ConfigInvalid, ConfigUnreadable
from easytune.events import Event, Failed
from easytune.job import JobFolder

Work = Callable[[Reporter, StopSignal], Event]
_Read = TypeVar("_Read")


def process_folder() -> Path:
    """Make this process fit to be a job, and return the folder given on its command line."""
    faulthandler.enable()
    sys.stdout = _Unbreakable(sys.stdout)
    sys.stderr = _Unbreakable(sys.stderr)
    return Path(sys.argv[1]).resolve()


def run(folder: JobFolder, work: Work, failed: Callable[[BaseException], Failed]) -> int:
    """Do the work of a job; return 0 when finished or stopped, 1 when failed.

    `failed` gives the terminal event for what was raised.
    """
    report, stop = Reporter(folder.events), StopSignal(folder.stop)
    stop.listen()
    report.phase("importing")
    with ResourceThread(report):
        ended = _outcome(work, report, stop, failed)
    report(ended)
    return 1 if ended.kind == "failed" else 0


def read(folder: JobFolder, reading: Callable[[], _Read]) -> _Read:
    """Return what a job is asked to do. Raises ConfigInvalid, ConfigUnreadable."""
    try:
        return reading()
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigInvalid(problems="\n".join(lines)) from error
    except (OSError, yaml.YAMLError) as error:
        raise ConfigUnreadable(path=str(folder.job), reason=str(error)) from error


def _outcome(
    work: Work,
    report: Reporter,
    stop: StopSignal,
    failed: Callable[[BaseException], Failed],
) -> Event:
    try:
        return work(report, stop)
    # The edge of the job: whatever happened becomes its terminal event.
    except BaseException as error:  # noqa: BLE001
        event = failed(error)
        print(event.detail, file=sys.stderr, flush=True)
        return event


class _Unbreakable(io.TextIOBase):
    """A text stream that drops what cannot be written: a full disk must not end a run."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        try:
            return self._stream.write(text)
        except (OSError, ValueError):
            return len(text)

    def flush(self) -> None:
        """Flush what can be flushed."""
        try:
            self._stream.flush()
        except (OSError, ValueError):
            return

    def fileno(self) -> int:
        """Return the file descriptor of the stream below."""
        return self._stream.fileno()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding of the stream below."""
        return self._stream.encoding
