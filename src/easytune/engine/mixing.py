"""Several plain LoRA adapters in one batch: each row gets the products of its own adapter.

PEFT can mix too, with a loop over adapters in every layer. Here the adapters of a layer lie side by
side as one product of their joint rank, and a mask keeps each row to its own share.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel

from easytune.engine.adapter_files import Adapter

_Ranks = tuple[tuple[int, int], ...]


class Mixture:
    """Which adapter each row of the batch uses, as masks over joint ranks."""

    def __init__(self, rows: Sequence[int], dtype: torch.dtype, device: torch.device) -> None:
        """`rows` has the number of each row's adapter, -1 for none."""
        self._rows, self._now = list(rows), list(rows)
        self._dtype, self._device = dtype, device
        self._shares: dict[_Ranks, _Share] = {}

    def share(self, ranks: _Ranks) -> "_Share":
        """Return the mask over adapters of these (number, rank), kept up to date."""
        if ranks not in self._shares:
            self._shares[ranks] = _Share(self._mask(ranks))
        return self._shares[ranks]

    def use(self, places: Sequence[int]) -> None:
        """Note that only these rows of the batch are computed next, by their places in it."""
        self._now = [self._rows[place] for place in places]
        for ranks, share in self._shares.items():
            share.mask = self._mask(ranks)

    def _mask(self, ranks: _Ranks) -> Tensor | None:
        if not {number for number, _ in ranks} & set(self._now):
            return None
        owners = torch.tensor([number for number, rank in ranks for _ in range(rank)])
        mask = owners[None] == torch.tensor(self._now)[:, None]
        return mask.to(self._device, self._dtype)[:, None]


@dataclass
class _Share:
    """(rows, 1, joint rank): 1 where a row uses a rank; None when no row uses any."""

    mask: Tensor | None


@contextmanager
def mixed(
    model: PreTrainedModel, rows: Sequence[Adapter | None], dtype: torch.dtype
) -> Iterator[Mixture]:
    """Give each row of the batch its adapter while open; the model is untouched afterwards."""
    different = list({id(one): one for one in rows if one is not None}.values())
    numbers = {id(one): number for number, one in enumerate(different)}
    mixture = Mixture([numbers.get(id(one), -1) for one in rows], dtype, model.device)
    names = dict.fromkeys(name for one in different for name in one.parts)
    changed: list[nn.Module] = []
    try:
        for name in names:
            module = model.get_submodule(name)
            module.forward = _forward(module, name, different, mixture, dtype)  # type: ignore[method-assign]
            changed.append(module)
        yield mixture
    finally:
        for module in changed:
            # What the class defines shows again.
            del module.forward


def _forward(
    module: nn.Module,
    name: str,
    adapters: Sequence[Adapter],
    mixture: Mixture,
    dtype: torch.dtype,
) -> Any:
    device = next(module.parameters()).device
    here = [(number, one.parts[name]) for number, one in enumerate(adapters) if name in one.parts]
    a = torch.cat([part.a for _, part in here]).to(device, dtype)
    b = torch.cat([part.b.float() * part.scale for _, part in here], dim=1)
    b = b.t().contiguous().to(device, dtype)
    share = mixture.share(tuple((number, part.rank) for number, part in here))
    own = module.forward

    def forward(x: Tensor) -> Tensor:
        result = own(x)
        mask = share.mask
        if mask is None:
            return result
        low = linear(x.to(dtype), a).view(len(mask), -1, len(b)) * mask
        flat = result.view(-1, result.shape[-1])
        return flat.addmm_(low.view(-1, len(b)), b).view(result.shape)

    return forward
