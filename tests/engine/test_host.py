"""The inference host as a real process: loading, streaming, the queue, and every way to end."""

import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from easytune import demo
from easytune.wire import (
    REPLIES,
    Ask,
    Began,
    Cancel,
    Column,
    Ended,
    Generate,
    Loading,
    Piece,
    Queued,
    Ready,
    Refused,
    Reply,
    Start,
    State,
)
from tests.engine import tiny
from tests.engine.asking import greedy, said
from tests.patience import PATIENCE_S


class Process:
    """A host, and everything it has said."""

    def __init__(self, folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "easytune.engine.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.heard: list[Reply] = []
        self._replies: queue.SimpleQueue[Reply | None] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.send(Start(folder=str(folder)))

    def send(self, *requests: Any) -> None:
        assert self.process.stdin
        lines = [r if isinstance(r, bytes) else r.model_dump_json().encode() for r in requests]
        self.process.stdin.write(b"".join(line + b"\n" for line in lines))
        self.process.stdin.flush()

    def until(self, wanted: Callable[[Any], bool]) -> Any:
        """Wait for a reply that is wanted; the others are kept in `heard`."""
        while True:
            reply = self._replies.get(timeout=PATIENCE_S)
            assert reply is not None, "the host ended"
            self.heard.append(reply)
            if wanted(reply):
                return reply

    def ended(self, request: str, column: int = 0) -> Ended:
        def is_it(reply: Any) -> bool:
            return isinstance(reply, Ended) and (reply.request, reply.column) == (request, column)

        return self.until(is_it)

    def text(self, request: str) -> str:
        pieces = [r for r in self.heard if isinstance(r, Piece) and r.request == request]
        return "".join(piece.text for piece in pieces)

    def close(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        return self.process.wait(PATIENCE_S)

    def rest(self) -> list[Reply]:
        """Return what a host that has ended said last."""
        return list(iter(lambda: self._replies.get(timeout=PATIENCE_S), None))

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._replies.put(REPLIES.validate_json(line))
        self._replies.put(None)


@pytest.fixture(scope="module")
def host() -> Iterator[Process]:
    process = Process(demo.MODEL)
    yield process
    process.close()


def question(request: str, text: str = "What is 3 plus 4?", **sampling: Any) -> Generate:
    column = Column(
        messages=said(text), sampling=greedy(max_new_tokens=40).model_copy(update=sampling)
    )
    return Generate(request=request, columns=(column,))


def endless(request: str) -> Generate:
    """An answer that goes on until the context is full."""
    sampling = greedy(max_new_tokens=5000, temperature=2.0, repetition_penalty=1.5)
    column = Column(prompt="Once", sampling=sampling)
    return Generate(request=request, columns=(column,) * 3)


def test_a_host_loads_answers_and_says_what_it_holds(host: Process) -> None:
    host.send(question("sum"))
    end = host.ended("sum")
    assert host.text("sum") == "3 + 4 = 7."
    assert (end.reason, end.completion_tokens, end.prompt_tokens) == ("stop", 8, 16)
    assert end.first_token_seconds is not None
    assert 0 < end.first_token_seconds < end.seconds
    assert isinstance(host.heard[0], Loading)
    ready = next(reply for reply in host.heard if isinstance(reply, Ready))
    assert ready.parameters == 2_295_552
    assert (ready.precision, ready.context_length, ready.template) == ("fp32", 1024, "model")
    began = next(reply for reply in host.heard if isinstance(reply, Began))
    assert (began.mode, began.limit) == ("alone", 40)
    host.send(Ask())
    state = host.until(lambda reply: isinstance(reply, State) and reply.requests == 0)
    assert 0.1 < state.memory_gb < 5


def test_requests_wait_in_line_and_can_be_cancelled_there_and_while_they_run(
    host: Process,
) -> None:
    host.send(endless("long"))
    host.until(lambda reply: isinstance(reply, Piece) and reply.request == "long")
    host.send(question("second"), question("third"))
    line = [host.until(lambda reply: isinstance(reply, Queued)) for _ in range(2)]
    assert [(one.request, one.position) for one in line] == [("second", 1), ("third", 2)]
    host.send(Cancel(request="second"))
    assert host.ended("second").reason == "cancelled"
    moved = host.until(lambda reply: isinstance(reply, Queued))
    assert (moved.request, moved.position) == ("third", 1)
    host.send(Cancel(request="long", column=1))
    assert host.ended("long", 1).reason == "cancelled"
    host.until(lambda reply: isinstance(reply, Piece) and reply.column == 2)
    host.send(Cancel(request="long"))
    assert host.ended("long", 2).reason == "cancelled"
    assert host.ended("third").reason == "stop"
    assert host.text("third") == "3 + 4 = 7."


def test_a_hundred_bad_requests_change_nothing(host: Process) -> None:
    def memory() -> float:
        host.send(Ask())
        return host.until(lambda reply: isinstance(reply, State)).memory_gb

    host.send(question("before"))
    host.ended("before")
    held = memory()
    long = "many words " * 2000
    for number in range(25):
        host.send(
            b"this is no request",
            b'{"kind": "dance"}',
            question(f"empty {number}", " "),
            question(f"long {number}", long),
            Generate(request=f"none {number}", columns=()),
            Generate(
                request=f"adapter {number}",
                columns=(Column(adapter="/nowhere", messages=said("hello"), sampling=greedy()),),
            ),
        )
        assert host.ended(f"empty {number}").code == "prompt_empty"
        assert host.ended(f"long {number}").code == "prompt_too_long"
        assert host.ended(f"adapter {number}").code == "file_missing"
    host.send(question("after"))
    assert host.ended("after").reason == "stop"
    assert memory() < held + 0.05


def test_closing_the_input_ends_a_host_in_mid_answer() -> None:
    host = Process(demo.MODEL)
    host.send(endless("long"))
    host.until(lambda reply: isinstance(reply, Piece))
    assert host.close() == 0
    reasons = {reply.reason for reply in host.rest() if isinstance(reply, Ended)}
    assert "length" not in reasons, "it went on to the end of its context"


def test_a_model_with_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    folder = tiny.save_folder(tmp_path)
    (folder / "model.safetensors").unlink()
    host = Process(folder)
    refused = host.until(lambda reply: isinstance(reply, Refused))
    assert (refused.code, refused.values["missing"]) == ("model_incomplete", "model.safetensors")
    assert "Traceback" in refused.detail
    assert host.process.wait(PATIENCE_S) == 1


def test_what_libraries_print_never_reaches_the_wire() -> None:
    code = (
        "import os; from easytune.engine import host; from easytune.wire import Ask\n"
        "wire = host.Wire(); print('noise', flush=True); os.system('echo more'); wire.send(Ask())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == '{"kind":"ask"}\n'
    assert done.stderr.split() == ["noise", "more"]
