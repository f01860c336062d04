"""Entry point of an inference host: `python -m easytune.engine.host`. It speaks `easytune.wire`.

A thread reads requests, the main thread computes. The process ends when its input closes: whoever
started it is gone, or wants the memory back.
"""

import faulthandler
import os
import queue
import sys
import threading
import traceback
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pydantic import ValidationError

from easytune import model_files
from easytune.engine import light_imports
from easytune.errors import EasyTuneError
from easytune.wire import (
    REQUESTS,
    Ask,
    Cancel,
    Ended,
    Generate,
    Loading,
    Queued,
    Ready,
    Refused,
    Reply,
    Request,
    Start,
    State,
)

if TYPE_CHECKING:
    from easytune.engine.held import Held


def main() -> int:
    """Hold a model and answer until standard input closes."""
    faulthandler.enable()
    wire = Wire()
    inbox = Inbox(sys.stdin.buffer)
    start = inbox.next()
    if not isinstance(start, Start):
        print(f"the first request must be start, not {start.kind}", file=sys.stderr)
        return 1
    host = _loaded(start, inbox, wire)
    if host is None:
        return 1
    host.run()
    return 0


class Wire:
    """Replies, on a copy of standard output that no library knows."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        # What libraries print goes to the log.
        os.dup2(2, 1)

    def send(self, reply: Reply) -> None:
        """Write one line."""
        # A single write keeps lines whole for a reader in another process.
        self._file.write(reply.model_dump_json().encode() + b"\n")


class Inbox:
    """Requests, read by a thread of their own. The process ends when there can be no more."""

    def __init__(self, stream: BinaryIO) -> None:
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def next(self) -> Request:
        """Wait for the next request."""
        return self._requests.get()

    def waiting(self) -> Request | None:
        """Return the next request if it is there."""
        try:
            return self._requests.get_nowait()
        except queue.Empty:
            return None

    def _read(self, stream: BinaryIO) -> None:
        for line in stream:
            try:
                self._requests.put(REQUESTS.validate_json(line))
            except ValidationError as problem:
                print(f"not a request: {problem}", file=sys.stderr, flush=True)
        # Nothing here is worth saving, and a long computation must not keep the memory.
        os._exit(0)


@dataclass
class _Order:
    """A request that runs or waits, and the columns of it that are no longer wanted."""

    request: Generate
    cancelled: set[int] = field(default_factory=set)

    def cancel(self, column: int | None) -> set[int]:
        """Cancel one column or all; return those that were wanted until now."""
        wanted = set(range(len(self.request.columns))) - self.cancelled
        gone = wanted if column is None else wanted & {column}
        self.cancelled |= gone
        return gone

    def is_empty(self) -> bool:
        """Tell whether nothing of it is wanted."""
        return len(self.cancelled) >= len(self.request.columns)


class Host:
    """Takes requests and answers one after another."""

    def __init__(self, held: "Held", inbox: Inbox, wire: Wire) -> None:
        from easytune.engine.attaching import Attached
        from easytune.engine.prompting import Prompter

        self._held, self._inbox, self._send = held, inbox, wire.send
        self._prompter = Prompter(held.tokenizer, held.context)
        self._attached = Attached(held)
        self._orders: deque[_Order] = deque()
        self._running: _Order | None = None

    def announce(self, held: "Held") -> None:
        """Say that the model can answer, and what it is."""
        from easytune.engine import hardware

        template = held.template
        self._send(
            Ready(
                device=hardware.device_name(held.device),
                precision=held.precision,
                quantization=held.quantization,
                parameters=held.parameters,
                memory_gb=round(held.memory_gb(), 3),
                seconds=round(held.seconds, 2),
                context_length=held.context,
                knows_thinking=not isinstance(template, EasyTuneError) and template.knows_thinking,
                supports_system=isinstance(template, EasyTuneError)
                or self._prompter.supports_system(template),
                template="model"
                if isinstance(template, EasyTuneError)
                else held.tokenizer.template_source,
            )
        )

    def run(self) -> None:
        """Answer for ever; the inbox ends the process."""
        while True:
            self._take(self._inbox.next())
            self._look()
            while self._orders:
                self._running = self._orders.popleft()
                self._tell_positions()
                self._answer(self._running)
                self._running = None
                self._say_state()
                self._look()

    def _answer(self, order: _Order) -> None:
        from easytune.engine.answering import Answering

        before = self._attached.folders
        answering = Answering(
            order.request,
            self._held,
            self._prompter,
            self._attached,
            self._send,
            lambda: self._cancelled(order),
            ended=tuple(order.cancelled),
        )
        answering.prepare()
        if self._attached.folders != before:
            self._say_state()
        answering.run()

    def _cancelled(self, order: _Order) -> set[int]:
        self._look()
        return order.cancelled

    def _look(self) -> None:
        """Take all requests that are there."""
        while (request := self._inbox.waiting()) is not None:
            self._take(request)

    def _take(self, request: Request) -> None:
        match request:
            case Generate():
                self._queue(request)
            case Cancel():
                self._cancel(request)
            case Ask():
                self._say_state()
            case Start():
                print("a host loads one model only", file=sys.stderr, flush=True)

    def _queue(self, request: Generate) -> None:
        self._orders.append(_Order(request))
        # With nothing running, the first in line does not wait.
        position = len(self._orders) - (self._running is None)
        if position:
            self._send(Queued(request=request.request, position=position))
            self._say_state()

    def _cancel(self, cancel: Cancel) -> None:
        if self._running and self._running.request.request == cancel.request:
            self._running.cancel(cancel.column)
            return
        for order in [one for one in self._orders if one.request.request == cancel.request]:
            for column in sorted(order.cancel(cancel.column)):
                self._send(Ended(request=cancel.request, column=column, reason="cancelled"))
            if order.is_empty():
                self._orders.remove(order)
                self._tell_positions()
                self._say_state()

    def _tell_positions(self) -> None:
        for position, order in enumerate(self._orders, start=1):
            self._send(Queued(request=order.request.request, position=position))

    def _say_state(self) -> None:
        running = 0 if self._running is None else 1
        self._send(
            State(
                memory_gb=round(self._held.memory_gb(), 3),
                adapters=self._attached.folders,
                requests=len(self._orders) + running,
            )
        )


def _loaded(start: Start, inbox: Inbox, wire: Wire) -> Host | None:
    """Return a host that has said it is ready; None after saying why there is none."""
    wire.send(Loading(phase="importing"))
    try:
        # What the files alone tell need not wait for torch.
        model_files.check(Path(start.folder), allow_pickle=False)
        with light_imports.at_once():
            from easytune.engine import held

        found = held.load(start, wire.send)
        host = Host(found, inbox, wire)
        host.announce(found)
    # The edge of the process: whatever happened becomes its last reply.
    except Exception as error:  # noqa: BLE001
        from easytune.engine.failures import classify

        known = classify(error, None, Path(start.folder))
        detail = "".join(traceback.format_exception(error))[-20_000:]
        print(detail, file=sys.stderr, flush=True)
        wire.send(Refused(code=known.code(), values=known.values, detail=detail))
        return None
    return host


if __name__ == "__main__":
    # Past the interpreter's own end, where the closing of the input could still change the code.
    code = main()
    sys.stderr.flush()
    os._exit(code)
