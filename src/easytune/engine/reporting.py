"""What the job says about itself: the only writer of `events.jsonl`."""

import threading
from pathlib import Path
from typing import Any

from easytune import events
from easytune.events import Event, Notice, Phase


class Reporter:
    """Appends events from any thread. A full disk loses events, never the run."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock, self._ended = path, threading.Lock(), False
        self.doing = ""
        """The phase that was reported last."""

    def __call__(self, event: Event) -> None:
        """Append an event; after the terminal one nothing is written any more."""
        with self._lock:
            if self._ended:
                return
            self._ended = event.kind in ("finished", "stopped", "failed")
            try:
                events.append(self._path, event)
            except OSError as error:
                print(f"event not written: {error}", flush=True)

    def phase(self, name: Any) -> None:
        """Say what the job does now."""
        self.doing = name
        self(Phase(name=name))

    def notice(self, code: str, **values: Any) -> None:
        """Tell the user something that does not stop the job."""
        self(Notice(code=code, values=values))
