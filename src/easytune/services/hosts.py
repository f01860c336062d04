"""One inference host: its process, what is said to it, and how it ended."""

import logging
import queue
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from easytune import oom, paths, wire
from easytune.errors import EasyTuneError, Unexpected
from easytune.inference_errors import HostCrashed, HostKilled, HostOutOfMemory
from easytune.job import ENDING_SIGNALS, slug
from easytune.services import memory, processes
from easytune.services.evidence import KILL
from easytune.wire import Began, Column, Ended, Piece, Queued, Reply, Request

COMMAND = (sys.executable, "-m", "easytune.engine.host")
GRACE_S = 3.0
_LOG_LIMIT = 5_000_000

Sink = Callable[[Queued | Began | Piece | Ended], None]
Cause = EasyTuneError | wire.Refused | None
"""Why a host ended; None: it was asked to."""
_log = logging.getLogger(__name__)


class Host:
    """A process that holds one base model.

    It ends with the thread that made it (Linux) or with this process, whichever is first.
    """

    def __init__(
        self,
        home: Path,
        title: str,
        start: wire.Start,
        hear: Callable[[Reply], None],
        on_end: Callable[[Cause], None],
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Start the process; it does nothing before `begin`.

        `hear` gets what is not about a request, `on_end` the cause once it has ended. Both are
        called from another thread.
        """
        self._title, self._hear, self._on_end = title, hear, on_end
        self._refused: wire.Refused | None = None
        self._asked_to_end = False
        self._requests: dict[str, _Pending] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._log = _open_log(home, title)
        self._kills = oom.kills()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
                **processes.watched(),
            )  # fmt: skip
        self._guard = processes.guard(self._process)
        self._letters: queue.SimpleQueue[Request | None] = queue.SimpleQueue()
        self._letters.put(start)

    def begin(self) -> None:
        """Let it load, and listen to it."""
        for work in (self._write, self._read):
            threading.Thread(target=work, name=f"host{work.__name__}", daemon=True).start()

    @property
    def pid(self) -> int:
        """Return the pid of the process."""
        return self._process.pid

    @property
    def requests(self) -> int:
        """Return how many requests run or wait."""
        return len(self._requests)

    @property
    def has_ended(self) -> bool:
        """Tell whether the process is gone."""
        return self._ended.is_set()

    def memory_gb(self) -> float:
        """Return the memory of the machine that the process has in use."""
        return memory.process_gb(self.pid)

    def generate(self, columns: tuple[Column, ...], sink: Sink) -> str:
        """Have columns answered; `sink` hears of them, to an `Ended` of each. Returns the request.

        `sink` is called from another thread, and must be quick.
        """
        request = uuid.uuid4().hex
        with self._lock:
            self._requests[request] = _Pending(sink, set(range(len(columns))))
        if self.has_ended:
            self._fail([*self._requests], self.cause())
        else:
            self._letters.put(wire.Generate(request=request, columns=columns))
        return request

    def cancel(self, request: str, column: int | None = None) -> None:
        """End a request, or one column of it, within a step."""
        if request in self._requests:
            self._letters.put(wire.Cancel(request=request, column=column))

    def forget(self, request: str) -> None:
        """Hear no more of a request, whatever the host does."""
        with self._lock:
            self._requests.pop(request, None)

    def close(self, grace_s: float = GRACE_S) -> None:
        """End the process: its input closes, then it is terminated, then killed. Waits for that."""
        self._asked_to_end = True
        self._letters.put(None)
        if not self._ends_within(grace_s / 2):
            processes.terminate(self._process)
            if not self._ends_within(grace_s / 2):
                processes.kill_group(self._process)
        self._ended.wait(grace_s)

    def trim_log(self) -> None:
        """Empty the log when it has grown out of bounds."""
        try:
            if self._log.stat().st_size > _LOG_LIMIT:
                with self._log.open("r+b") as file:
                    file.truncate(0)
        except OSError:
            return

    def _ends_within(self, seconds: float) -> bool:
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _write(self) -> None:
        """Send what is in the queue: a host that does not read must not block who asks."""
        stream = self._process.stdin
        assert stream is not None
        # Where it has ended meanwhile, the reading thread finds out why.
        with suppress(OSError):
            while (letter := self._letters.get()) is not None:
                stream.write(self._line(letter))
                stream.flush()
        with suppress(OSError):
            stream.close()

    def _line(self, letter: Request) -> bytes:
        """Return a letter as it is sent: nothing for one that no encoding can write, and fails."""
        try:
            return letter.model_dump_json().encode() + b"\n"
        except ValueError as error:
            cause = Unexpected(reason=str(error).partition("\n")[0])
        if isinstance(letter, wire.Generate):
            self._fail([letter.request], cause)
        elif isinstance(letter, wire.Start):
            self._refused = wire.Refused(code=cause.code(), values=cause.values)
            self._letters.put(None)
        return b""

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        for line in stream:
            try:
                self._take(wire.REPLIES.validate_json(line))
            except ValidationError:
                _log.warning("A host said what nobody understands: %r", line[:200])
        stream.close()
        self._bury()

    def _take(self, reply: Reply) -> None:
        match reply:
            case Queued() | Began() | Piece() | Ended():
                self._pass_on(reply)
            case wire.Refused():
                self._refused = reply
                self._note(reply.detail)
                self._hear(reply)
            case _:
                self._hear(reply)

    def _pass_on(self, reply: Queued | Began | Piece | Ended) -> None:
        with self._lock:
            pending = self._requests.get(reply.request)
            if pending and isinstance(reply, Ended):
                pending.open.discard(reply.column)
                if not pending.open:
                    del self._requests[reply.request]
        if pending:
            pending.sink(reply)

    def _bury(self) -> None:
        """Wait for the end of a process that has closed its output, and tell everybody."""
        if not self._ends_within(GRACE_S):
            processes.kill_group(self._process)
            self._process.wait()
        self._letters.put(None)
        if isinstance(self._guard, subprocess.Popen):
            self._guard.kill()
        self._ended.set()
        self._fail([*self._requests], self.cause())
        self._on_end(self.cause())

    def cause(self) -> Cause:
        """Return why the process ended; None when it was asked to."""
        if self._refused is not None:
            return self._refused
        if self._asked_to_end:
            return None
        signal = max(0, -(self._process.returncode or 0))
        if signal == KILL and oom.rise(self._kills):
            return HostOutOfMemory(device="@hosting.this_machine")
        if signal in ENDING_SIGNALS:
            return HostKilled(model=self._title, signal=signal)
        return HostCrashed(model=self._title)

    def _fail(self, requests: Sequence[str], cause: Cause) -> None:
        for request in requests:
            with self._lock:
                pending = self._requests.pop(request, None)
            if pending is None:
                continue
            for column in sorted(pending.open):
                pending.sink(_ended_by(cause, request, column))

    def _note(self, text: str) -> None:
        try:
            with self._log.open("a", encoding="utf-8") as file:
                file.write(text.rstrip() + "\n")
        except OSError:
            return


class _Pending:
    """A request that has columns left to end."""

    def __init__(self, sink: Sink, open_columns: set[int]) -> None:
        self.sink = sink
        self.open = open_columns


def told(cause: EasyTuneError | wire.Refused) -> tuple[str, dict[str, object]]:
    """Return code and values of a cause, as events and pages carry them."""
    if isinstance(cause, wire.Refused):
        return cause.code, cause.values
    return cause.code(), cause.values


def _ended_by(cause: Cause, request: str, column: int) -> Ended:
    if cause is None:
        return Ended(request=request, column=column, reason="cancelled")
    code, values = told(cause)
    return Ended(request=request, column=column, reason="failed", code=code, values=values)


def _open_log(home: Path, title: str) -> Path:
    """Return the log of a host, the one before it kept as `.old` once that is long."""
    folder = paths.hosts(home)
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / f"{slug(title)}.log"
    if log.exists() and log.stat().st_size > _LOG_LIMIT // 5:
        log.replace(log.with_suffix(".old"))
    return log
