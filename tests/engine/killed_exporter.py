"""Exports in processes that kill themselves at a given place.

`killed_exporter.py <place> <folder> [<place> <folder> …]`: everything is imported once, and each
export is done in a fork. A place is `bytes:<n>`, the n-th report of bytes; `phase:<n>`, the n-th
phase's beginning; `named:before` or `named:after`, around the rename that makes an artefact of what
was written.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from easytune.engine import exporter
from easytune.engine.exporting import job
from easytune.engine.exporting.session import Session


def main(words: list[str]) -> None:
    # What a fork would otherwise import by itself, each time.
    from easytune.engine.exporting import checking, merged_model, trained  # noqa: F401

    for place, folder in zip(words[::2], words[1::2], strict=True):
        child = os.fork()
        if child == 0:
            _export(place, Path(folder))
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status), f"{place}: not killed, {status}"


def _export(place: str, folder: Path) -> None:
    kind, _, where = place.partition(":")
    if kind == "bytes":
        _die_in(Session, "bytes_done", int(where))
    elif kind == "phase":
        _die_in(Session, "phase", int(where))
    elif where == "before":
        _die_in(job.Certificate, "model_dump_json", 1)
    else:
        _die_in(Path, "rename", 1, after=True)
    exporter.run(folder)
    os._exit(0)


def _die_in(owner: Any, name: str, call: int, *, after: bool = False) -> None:
    own, calls = getattr(owner, name), 0

    def dying(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        found = own(*args, **options)
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    setattr(owner, name, dying)


if __name__ == "__main__":
    main(sys.argv[1:])
