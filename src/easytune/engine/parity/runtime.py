"""What the parity gate asks of anything that runs a model."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np


class Runtime(Protocol):
    """A model that has been loaded by what will run it: transformers, onnxruntime, a server."""

    name: str
    version: str

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Return the logits after each token, (len(tokens), vocabulary) float32."""
        ...

    def greedy(self, tokens: Sequence[int], new_tokens: int) -> list[int]:
        """Return the likeliest tokens that follow, at most `new_tokens` of them."""
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...
