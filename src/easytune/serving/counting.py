"""What a server has done: counted as it happens, for `metrics.json` and for `/metrics`."""

import threading
import time
from collections import deque
from datetime import UTC, datetime

from easytune.deployment_files import Metrics
from easytune.services.questions import Update
from easytune.wire import Ended, Piece

WINDOW_S = 10.0


class Counter:
    """Counts requests and tokens. Thread-safe."""

    def __init__(self) -> None:
        """Begin at nothing."""
        self._lock = threading.Lock()
        self._told = Metrics()
        self._seen: dict[tuple[str, int], int] = {}
        self._recent: deque[tuple[float, int]] = deque()

    def took(self) -> None:
        """Count a request that is being answered."""
        with self._lock:
            now = datetime.now(UTC)
            self._change(requests=self._told.requests + 1, last_request=now)

    def refused(self) -> None:
        """Count a request that was sent away, because too many others ran."""
        with self._lock:
            self._change(refused=self._told.refused + 1)

    def heard(self, answering: str, update: Update) -> None:
        """Count what an answer has grown by, or how it ended."""
        match update:
            case Piece():
                self._grew((answering, update.column), update.tokens)
            case Ended():
                self._grew((answering, update.column), update.completion_tokens)
                self._ended((answering, update.column), update)
            case _:
                return

    def read(self, active: int, memory_gb: float) -> Metrics:
        """Return all figures as they are now."""
        with self._lock:
            rate = self._rate()
            now = {"active": active, "memory_gb": round(memory_gb, 2), "tokens_per_second": rate}
            return self._told.model_copy(update=now)

    def _grew(self, answer: tuple[str, int], tokens: int) -> None:
        with self._lock:
            new = tokens - self._seen.get(answer, 0)
            if new > 0:
                self._seen[answer] = tokens
                self._recent.append((time.monotonic(), new))
                self._change(tokens=self._told.tokens + new)

    def _ended(self, answer: tuple[str, int], ended: Ended) -> None:
        with self._lock:
            self._seen.pop(answer, None)
            self._change(prompt_tokens=self._told.prompt_tokens + ended.prompt_tokens)
            if ended.reason == "failed":
                self._change(
                    failed=self._told.failed + 1,
                    last_error=ended.code,
                    last_error_values=ended.values,
                )

    def _rate(self) -> float:
        oldest = time.monotonic() - WINDOW_S
        while self._recent and self._recent[0][0] < oldest:
            self._recent.popleft()
        return round(sum(tokens for _, tokens in self._recent) / WINDOW_S, 1)

    def _change(self, **figures: object) -> None:
        self._told = self._told.model_copy(update=figures)


def exposition(metrics: Metrics) -> str:
    """Return the figures as Prometheus reads them (text format 0.0.4)."""
    counters = {
        "requests_total": metrics.requests,
        "requests_failed_total": metrics.failed,
        "requests_refused_total": metrics.refused,
        "prompt_tokens_total": metrics.prompt_tokens,
        "generation_tokens_total": metrics.tokens,
    }
    gauges = {
        "requests_active": metrics.active,
        "tokens_per_second": metrics.tokens_per_second,
        "memory_gigabytes": metrics.memory_gb,
    }
    lines: list[str] = []
    for kind, figures in (("counter", counters), ("gauge", gauges)):
        for name, value in figures.items():
            lines += [f"# TYPE easytune_{name} {kind}", f"easytune_{name} {value}"]
    return "\n".join(lines) + "\n"
