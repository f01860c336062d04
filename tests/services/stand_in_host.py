"""Stands in for an inference host: speaks the wire without a model, and misbehaves as told.

`stand_in_host.py <behaviour> [MB to hold]`. What a prompt says decides as well: "slow", "die",
"crash".
"""

import json
import os
import queue
import signal
import sys
import threading
import time

PIECE_S = 0.02
_requests: queue.SimpleQueue[dict] = queue.SimpleQueue()
_cancelled: set[tuple[str, int]] = set()
_waiting: list[dict] = []


def say(kind: str, **facts: object) -> None:
    sys.stdout.write(json.dumps({"kind": kind, **facts}) + "\n")
    sys.stdout.flush()


def read() -> None:
    for line in sys.stdin:
        letter = json.loads(line)
        if letter["kind"] == "cancel":
            columns = range(8) if letter["column"] is None else [letter["column"]]
            _cancelled.update((letter["request"], column) for column in columns)
        elif letter["kind"] == "generate":
            _waiting.append(letter)
            _requests.put(letter)
            if len(_waiting) > 1:
                say("queued", request=letter["request"], position=len(_waiting) - 1)
    os._exit(0)


def answer(letter: dict) -> None:
    """Answer all columns, piece by piece, until each is done or not wanted any more."""
    request, columns = letter["request"], letter["columns"]
    slow = any("slow" in _asked(column) for column in columns)
    left = dict(enumerate(columns))
    for column in left:
        say("began", request=request, column=column, prompt_tokens=3, limit=9999)
    for step in range(1, 400 if slow else 4):
        time.sleep(PIECE_S if slow and left else 0)
        for column in [*left]:
            if (request, column) in _cancelled:
                left.pop(column)
                end(request, column, "cancelled", step)
                continue
            text = f"{left[column]['adapter'] or 'base'} {left[column]['sampling']['seed']} "
            say("piece", request=request, column=column, text=text, tokens=step)
            misbehave(_asked(left[column]), step)
    for column in left:
        end(request, column, "stop", 3)


def misbehave(asked: str, step: int) -> None:
    if "die" in asked and step == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if "crash" in asked and step == 2:
        print("the moon is full", file=sys.stderr)
        os._exit(3)


def end(request: str, column: int, reason: str, tokens: int) -> None:
    say(
        "ended", request=request, column=column, reason=reason, prompt_tokens=3,
        completion_tokens=tokens, first_token_seconds=0.01, seconds=0.05,
    )  # fmt: skip


def _asked(column: dict) -> str:
    return column["prompt"] or column["messages"][-1]["content"]


def main(behaviour: str, megabytes: str = "0") -> None:
    kept = bytearray(os.urandom(1 << 20)) * int(megabytes)
    sys.stdin.readline()
    say("loading", phase="reading", share=0.5)
    if behaviour == "refuse":
        say("refused", code="model_unloadable", values={"model": "m", "reason": "odd"}, detail="x")
        sys.exit(1)
    if behaviour == "load_slowly":
        time.sleep(0.3)
    if behaviour == "load_for_ever":
        time.sleep(600)
    facts = {"device": "cpu", "precision": "fp32", "quantization": "none", "parameters": 1}
    say(
        "ready", **facts, memory_gb=len(kept) / 1e9, seconds=0.1, context_length=64,
        knows_thinking=False, supports_system=True, template="model",
    )  # fmt: skip
    if behaviour == "deaf":
        # Reads nothing any more, and does not heed SIGTERM.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    threading.Thread(target=read, daemon=True).start()
    while True:
        letter = _requests.get()
        answer(letter)
        _waiting.remove(letter)


if __name__ == "__main__":
    main(*sys.argv[1:])
