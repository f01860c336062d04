"""A frozen base split among the processes of a run (FSDP2).

Each holds its part of every decoder layer; a layer is put together when it is computed, in the
forward and again in the backward. What is trained and what lies outside the layers each process has
whole, so that gradients, optimizer, checkpoints and adapters are those of a run with an unsplit
base: any checkpoint goes on either way.
"""

from typing import Any, cast

import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel
from transformers import PreTrainedModel

from easytune.engine import loss, probe
from easytune.engine.together import Together


class Split:
    """A base of which this process holds its part of every layer, and all that is outside them.

    To be made in all processes, before the base gets an adapter. `base` may lie in memory: a layer
    is on the device as a whole only while it is split.
    """

    def __init__(self, base: PreTrainedModel, together: Together, device: torch.device) -> None:
        self.together, self.layers = together, probe.layers(base)
        self.backbone = loss.backbone(base)
        mesh = init_device_mesh(device.type, (together.count,))
        inside = {parameter for layer in self.layers for parameter in layer.parameters()}
        whole = set(self.backbone.parameters()) - inside
        base.requires_grad_(False)
        for layer in self.layers:
            fully_shard(layer, mesh=mesh)
        # It has no weights of its own to split, but lets a layer be fetched while another computes.
        fully_shard(self.backbone, mesh=mesh, ignored_params=whole)
        nn.Module.to(base, device)
        self.backbone.register_forward_hook(self._forget, always_call=True)
        self.share_held = _share_held(base)
        """Which share of the base's weights lies in this process."""

    def lend(self, model: nn.Module) -> None:
        """From now on let the first process compute alone, without gradients, while others wait.

        `model` is the base with its adapter.
        """
        self.together.lend = self._fetch_each
        self.backbone.register_forward_pre_hook(self._borrow)
        frozen = [name for name, p in model.named_parameters() if not p.requires_grad]
        # What is split already must not be made equal in all processes.
        DistributedDataParallel._set_params_and_buffers_to_ignore_for_model(model, frozen)

    def _borrow(self, *_: Any) -> None:
        # The forward of a step, which all make together, has gradients.
        if self.together.is_first and not torch.is_grad_enabled():
            self.together.borrow()

    def _forget(self, *_: Any) -> None:
        """Leave no trace of a forward without a backward; the next backward would follow it."""
        if not torch.is_grad_enabled():
            cast("FSDPModule", self.backbone).reset_iter_state()

    def _fetch_each(self) -> None:
        """Take part in fetching layer after layer, as a forward does."""
        for layer in self.layers:
            if isinstance(layer, FSDPModule):
                layer.unshard()
                layer.reshard()


def _share_held(base: PreTrainedModel) -> float:
    held = [p.to_local() if isinstance(p, DTensor) else p for p in base.parameters()]
    return sum(part.nbytes for part in held) / sum(whole.nbytes for whole in base.parameters())
