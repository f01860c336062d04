"""Attention states of answers that grow, with room for the next tokens.

transformers' own cache is copied whole for every token. With several answers at once that takes as
long as the model itself.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

_LEAST = 64
_SHARE = 4


class GrowingLayer(DynamicLayer):
    """The states of one layer, (rows, heads, tokens, width), as a part of a larger block."""

    def __init__(self) -> None:
        super().__init__()
        self._blocks: tuple[Tensor, Tensor] | None = None

    def update(
        self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Append the states of new tokens; return those of all."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        length = self.get_seq_length()
        end = length + key_states.shape[-2]
        if self._blocks is None or end > self._blocks[0].shape[-2]:
            room = end + max(_LEAST, end // _SHARE)
            self._blocks = (
                _block(self.keys, key_states, length, room),
                _block(self.values, value_states, length, room),
            )
        for block, states in zip(self._blocks, (key_states, value_states), strict=True):
            block[..., length:end, :] = states
        self.keys, self.values = (block[..., :end, :] for block in self._blocks)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        """Keep only these rows."""
        length = self.get_seq_length()
        if length and self._blocks is not None:
            keys, values = self._blocks
            self._blocks = (keys[indices], values[indices])
            self.keys, self.values = (block[..., :length, :] for block in self._blocks)


def joined(caches: Sequence[DynamicCache]) -> DynamicCache:
    """Return one cache with the rows of several, padded on the left to the longest.

    All layers are GrowingLayers. The caches that are joined are empty afterwards.
    """
    whole = caches[0]
    for number, layers in enumerate(zip(*(cache.layers for cache in caches), strict=True)):
        width = max(layer.get_seq_length() for layer in layers)
        keys = torch.cat([_widened(layer.keys, width) for layer in layers])
        values = torch.cat([_widened(layer.values, width) for layer in layers])
        for cache in caches[1:]:
            cache.layers[number] = GrowingLayer()
        whole.layers[number] = layer = GrowingLayer()
        layer.update(keys, values)
    return whole


def _widened(states: Tensor, width: int) -> Tensor:
    return pad(states, (0, 0, width - states.shape[-2], 0))


def _block(old: Tensor | None, new: Tensor, length: int, room: int) -> Tensor:
    """Return a block with room for so many tokens, that begins with the old states."""
    block = torch.empty((*new.shape[:-2], room, new.shape[-1]), dtype=new.dtype, device=new.device)
    if length and old is not None:
        block[..., :length, :] = old
    return block
