"""Slows down those who guess secrets."""

import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable


class Attempts:
    """Counts wrong secrets: per address, and in all for those who forge addresses."""

    PER_ADDRESS = 5
    IN_ALL = 30
    WINDOW_SECONDS = 60.0

    def __init__(
        self,
        per_address: int = PER_ADDRESS,
        in_all: int = IN_ALL,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_address = per_address
        self._in_all = in_all
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong: dict[str, deque[float]] = defaultdict(deque)

    def wait_seconds(self, address: str) -> int:
        """Return how long an address must wait before it may try again; 0 when it may now."""
        with self._lock:
            self._forget_old()
            own, everyone = self._wrong.get(address, deque()), self._everyone()
            waits = [self._until_free(own, self._per_address)]
            waits.append(self._until_free(everyone, self._in_all))
            return max(waits)

    def failed(self, address: str) -> None:
        """Note a wrong secret."""
        with self._lock:
            self._wrong[address].append(self._clock())

    def _everyone(self) -> deque[float]:
        return deque(sorted(moment for own in self._wrong.values() for moment in own))

    def _until_free(self, moments: deque[float], limit: int) -> int:
        if len(moments) < limit:
            return 0
        return max(1, round(moments[-limit] + self.WINDOW_SECONDS - self._clock()))

    def _forget_old(self) -> None:
        oldest = self._clock() - self.WINDOW_SECONDS
        for address in list(self._wrong):
            own = self._wrong[address]
            while own and own[0] <= oldest:
                own.popleft()
            if not own:
                del self._wrong[address]
