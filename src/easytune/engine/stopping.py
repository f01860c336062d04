"""Whether the user wants the job to end and keep what it has."""

import signal
from pathlib import Path


class StopSignal:
    """True from the moment that the `stop` file exists or SIGTERM has come."""

    def __init__(self, file: Path) -> None:
        self._file, self._asked = file, False

    def listen(self) -> None:
        """Treat SIGTERM (on Windows also CTRL_BREAK) like the stop file. Main thread only."""
        for name in ("SIGTERM", "SIGBREAK"):
            if number := getattr(signal, name, None):
                signal.signal(number, self._on_signal)

    def asked(self) -> bool:
        """Tell whether to end at the next opportunity."""
        self._asked = self._asked or self._file.exists()
        return self._asked

    def ask(self) -> None:
        """End at the next opportunity, as if the user had asked."""
        self._asked = True

    def _on_signal(self, number: int, frame: object) -> None:
        self._asked = True


class StopAsked(Exception):
    """The user wants the job to end: raised through work that cannot return early."""
