"""Entry point of a job process: `python -m easytune.engine.worker <job folder>`.

Everything heavy is imported inside `run`, after the first event, so that a page shows at once that
the job is alive. A process that has imported it before may call `run` just the same.
"""

import faulthandler
import io
import sys
from pathlib import Path
from typing import TextIO

import yaml
from pydantic import ValidationError

from easytune.config import TrainConfig
from easytune.engine.failures import failed
from easytune.engine.reporting import Reporter
from easytune.engine.resources import ResourceThread
from easytune.engine.stopping import StopSignal
from easytune.errors import ConfigInvalid, ConfigUnreadable
from easytune.events import Event
from easytune.job import Job, JobFolder


def main() -> int:
    """Run the job in the folder given on the command line."""
    faulthandler.enable()
    sys.stdout = _Unbreakable(sys.stdout)
    sys.stderr = _Unbreakable(sys.stderr)
    return run(Path(sys.argv[1]).resolve())


def run(path: Path) -> int:
    """Do what `job.yaml` in `path` says; return 0 when finished or stopped, 1 when failed."""
    folder = JobFolder(path)
    report, stop = Reporter(folder.events), StopSignal(folder.stop)
    stop.listen()
    report.phase("importing")
    with ResourceThread(report):
        ended = _outcome(folder, report, stop)
    report(ended)
    return 1 if ended.kind == "failed" else 0


def _outcome(folder: JobFolder, report: Reporter, stop: StopSignal) -> Event:
    config: TrainConfig | None = None
    try:
        job = _read(folder)
        config = job.config
        return _do(job, folder, report, stop)
    # The edge of the job: whatever happened becomes its terminal event.
    except BaseException as error:  # noqa: BLE001
        event = failed(error, config, folder.path)
        print(event.detail, file=sys.stderr, flush=True)
        return event


def _do(job: Job, folder: JobFolder, report: Reporter, stop: StopSignal) -> Event:
    match job.task:
        case "train":
            from easytune.engine import training

            return training.train(job, folder, report, stop)
        case "check":
            from easytune.engine import check

            return check.check(job, folder, report, stop)


def _read(folder: JobFolder) -> Job:
    try:
        return folder.read()
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise ConfigInvalid(problems="\n".join(lines)) from error
    except (OSError, yaml.YAMLError) as error:
        raise ConfigUnreadable(path=str(folder.job), reason=str(error)) from error


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


if __name__ == "__main__":
    sys.exit(main())
