"""What the job says about itself: the only writer of `events.jsonl`."""

import threading
from pathlib import Path
from typing import Any

from easytune import events
from easytune.events import Event, Notice, Phase


class Reporter:
    """Appends events from any thread. A full disk loses events, never the run."""

    def __init__(self, path: Path | None) -> None:
        """`path` is None for a process that another one speaks for."""
        self._path, self._lock, self._ended = path, threading.Lock(), False
        self._left_out: set[str] = set()
        self.doing = ""
        """The phase that was reported last."""

    def __call__(self, event: Event) -> None:
        """Append an event; after the terminal one nothing is written any more."""
        with self._lock:
            if self._ended or self._path is None or event.kind in self._left_out:
                return
            self._ended = event.kind in ("finished", "stopped", "failed")
            try:
                events.append(self._path, event)
            except OSError as error:
                print(f"event not written: {error}", flush=True)

    def leave_out(self, kind: str) -> None:
        """Report no events of a kind any more: another process of the job does."""
        self._left_out.add(kind)

    def phase(self, name: Any) -> None:
        """Say what the job does now."""
        self.doing = name
        self(Phase(name=name))

    def notice(self, code: str, **values: Any) -> None:
        """Tell the user something that does not stop the job."""
        self(Notice(code=code, values=values))
