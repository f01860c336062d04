"""How many answers are computed at once: as many as fit, and half as many when they did not."""

from typing import Any

from easytune.engine import hardware
from easytune.engine.held import Held

# Beyond these more rows only take memory: the processor is busy with fewer.
_MOST = {"cuda": 256, "mps": 64, "cpu": 48}
# The rest of the machine goes on, too.
_USABLE = {"cuda": 0.85, "mps": 0.5, "cpu": 0.5}
_READ_AT_ONCE = 512
# What is kept of a token while a prompt is read, in widths of the model.
_WIDTHS = 16
# A cache grows by being copied; logits are kept in their own format, in fp32, and as probabilities.
_CACHE_SHARE, _LOGITS = 1.5, 4


class BatchSize:
    """The batch size now: from memory or as wished; it only falls, when memory was short."""

    def __init__(self, held: Held, wish: int | None = None) -> None:
        """`wish` is the user's; None takes as many as memory holds."""
        self._held, self._wish = held, wish
        self._limit: int | None = None
        self.now = 1
        """The size that was given last."""
        self.largest: int | None = None
        """The largest batch that fitted."""

    def of(self, tokens: int) -> int:
        """Return how many rows to compute at once; `tokens` are the longest's at its end."""
        size = self._wish or self._estimate(tokens)
        size = max(1, size if self._limit is None else min(size, self._limit))
        self.now = size if self._held.batches else 1
        return self.now

    def fitted(self, size: int) -> None:
        """Note that a batch of this size went well."""
        self.largest = max(size, self.largest or 0)

    def halve(self, failed: int) -> bool:
        """Take half of what did not fit from now on; tell whether that is possible."""
        self._limit = max(1, failed // 2)
        return failed > 1

    def _estimate(self, tokens: int) -> int:
        kind = self._held.device.type
        free = hardware.free_memory_gb(self._held.device) * _USABLE.get(kind, 0.5) * 1e9
        return min(_MOST.get(kind, 32), int(free / row_bytes(self._held, tokens)))


def row_bytes(held: Held, tokens: int) -> float:
    """Estimate the memory that one answer takes, in bytes, its prompt and itself `tokens` long."""
    config, size = held.model.config.get_text_config(decoder=True), held.dtype.itemsize
    width = _number(config, "hidden_size", 4096)
    heads = _number(config, "num_attention_heads", 1)
    head = _number(config, "head_dim", width // heads)
    shared = _number(config, "num_key_value_heads", heads)
    cache = 2 * _number(config, "num_hidden_layers", 32) * shared * head * size
    read = min(tokens, _READ_AT_ONCE) * width * _WIDTHS * size
    logits = _number(config, "vocab_size", 1 << 17) * 4 * _LOGITS
    return _CACHE_SHARE * cache * tokens + read + logits


def _number(config: Any, name: str, otherwise: int) -> int:
    """Return what a model's config says, where it says it as one number."""
    found = getattr(config, name, None)
    return found if isinstance(found, int) and found > 0 else otherwise
