"""How long tests wait for what another process does: long, for the machine may be slow or busy.

Nothing here measures speed; `benchmarks/` does.
"""

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 150.0
PATIENCE_MS = 1000 * PATIENCE_S


def eventually(
    look: Callable[[], Any],
    explain: Callable[[], str] = str,
    seconds: float = PATIENCE_S,
    pause: float = 0.02,
) -> Any:
    """Return what `look` returns once that is true."""
    give_up = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < give_up, explain()
        time.sleep(pause)
    return found
