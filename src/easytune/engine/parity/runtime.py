"""What the parity gate asks of anything that runs a model."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from easytune.data.rows import Message


class NoLogits(Exception):
    """A runtime tells no predictions, only what it writes: a server, for one."""


class Runtime(Protocol):
    """A model that has been loaded by what will run it: transformers, onnxruntime, a server."""

    name: str
    version: str

    def logits(self, tokens: Sequence[int]) -> np.ndarray:
        """Return the logits after each token, (len(tokens), vocabulary) float32.

        Raises NoLogits where only greedy answers can be compared.
        """
        ...

    def greedy(self, tokens: Sequence[int], new_tokens: int) -> list[int]:
        """Return the likeliest tokens that follow, at most `new_tokens` of them.

        It may end early with, or before, a token that ends answers.
        """
        ...

    def close(self) -> None:
        """Give the memory back."""
        ...


@runtime_checkable
class Reads(Protocol):
    """A runtime with a tokenizer of its own, which is compared, too."""

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, with those that begin every text."""
        ...

    def ends(self) -> frozenset[int]:
        """Return the tokens that end an answer."""
        ...


@runtime_checkable
class Renders(Protocol):
    """A runtime with a chat template of its own, which is compared, too."""

    def render(self, messages: Sequence[Message]) -> str:
        """Return the prompt that asks for an answer. Raises RenderFailed."""
        ...


@runtime_checkable
class Tuned(Protocol):
    """A runtime that can leave its adapter out, to tell what was learned."""

    def base_logits(self, tokens: Sequence[int]) -> np.ndarray | None:
        """Return `logits` of the bare base; None without an adapter."""
        ...
