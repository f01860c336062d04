"""Cross-entropy at supervised positions only, in chunks, inside the model's forward.

It lives in the forward (rather than beside it) so that DDP, FSDP and DeepSpeed, which hook into
the forward, keep working.
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.checkpoint import checkpoint
from transformers import PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput

from easytune.engine import batching

Finish = Callable[[Tensor], Tensor]
"""What a family does to the head's logits: caps or scales them."""

# Logits of a chunk. On a processor more rows make products no faster.
_CHUNK_BYTES, _CHUNK_ROWS = 64 << 20, 256
# What passes over logits touch at once: no more than a processor's own cache.
_CACHE_BYTES = 1 << 20


def install(model: PreTrainedModel, finish: Finish | None) -> None:
    """Let `model(..., predict=, targets=)` return the summed loss in nats as `loss`.

    `finish` is None when the model's logits are not its head applied to its backbone's output;
    then the model computes them itself. Other calls go to the model's own forward.
    """
    plain = model.forward

    # Generation asks for the signature of the forward.
    @functools.wraps(plain)
    def forward(
        *args: Any, predict: Tensor | None = None, targets: Tensor | None = None, **inputs: Any
    ) -> Any:
        if predict is None or targets is None:
            return plain(*args, **inputs)
        given = {name: value for name, value in inputs.items() if value is not None}
        given = {**batching.rounded_up(given), "use_cache": False, "return_dict": True}
        if finish is None:
            return CausalLMOutput(loss=_whole(plain, given, predict, targets))
        hidden = backbone(model)(**given).last_hidden_state.flatten(0, 1).index_select(0, predict)
        return CausalLMOutput(loss=supervised_loss(head(model), hidden, targets, finish))

    model.forward = forward


def backbone(model: PreTrainedModel) -> nn.Module:
    """Return the part of a language model below its head."""
    return getattr(model, model.base_model_prefix)


def head(model: PreTrainedModel) -> nn.Module:
    """Return the layer that turns hidden states into logits."""
    return model.get_output_embeddings()  # type: ignore[return-value]


def supervised_loss(layer: nn.Module, hidden: Tensor, targets: Tensor, finish: Finish) -> Tensor:
    """Return the summed cross-entropy of `targets` (n,) given hidden states (n, width)."""
    size = _chunk_rows(layer, hidden)
    if finish is as_is and _is_plain(layer, hidden.device.type):
        weight, bias = layer.weight, layer.bias
        return _FrozenHeadLoss.apply(hidden, weight, bias, targets, size)  # type: ignore[return-value]
    total = hidden.new_zeros((), dtype=torch.float32)
    for states, wanted in zip(hidden.split(size), targets.split(size), strict=True):
        total = total + checkpoint(
            _chunk_loss,
            layer,
            states,
            wanted,
            finish,
            use_reentrant=False,
            preserve_rng_state=False,
        )
    return total


def as_is(logits: Tensor) -> Tensor:
    """Leave logits unchanged: the `finish` of most families."""
    return logits


def _is_plain(layer: nn.Module, device: str) -> bool:
    """Tell whether the head is one frozen linear layer, without adapter or quantization."""
    trained = any(p.requires_grad for p in layer.parameters())
    return type(layer) is nn.Linear and not trained and not torch.is_autocast_enabled(device)


def _chunk_rows(layer: nn.Module, hidden: Tensor) -> int:
    """Return how many rows have their logits at once; all chunks are about as large."""
    vocabulary = getattr(layer, "out_features", None) or 1 << 17
    most = max(64, _CHUNK_BYTES // (hidden.element_size() * vocabulary))
    most = min(most, _CHUNK_ROWS) if hidden.device.type == "cpu" else most
    return math.ceil(len(hidden) / math.ceil(len(hidden) / most)) if len(hidden) else most


def _chunk_loss(layer: nn.Module, hidden: Tensor, targets: Tensor, finish: Finish) -> Tensor:
    return cross_entropy(finish(layer(hidden)).float(), targets, reduction="sum")


def _whole(
    plain: Callable[..., Any], given: dict[str, Any], predict: Tensor, targets: Tensor
) -> Tensor:
    logits = plain(**given).logits.flatten(0, 1).index_select(0, predict)
    return cross_entropy(logits.float(), targets, reduction="sum")


def _logits(states: Tensor, weight: Tensor, bias: Tensor | None, room: Tensor) -> Tensor:
    """Return logits, written into `room`."""
    target = room[: len(states)]
    if bias is None:
        return torch.mm(states, weight.t(), out=target)
    return torch.addmm(bias, states, weight.t(), out=target)


def _loss_and_slope(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the summed loss of a chunk; make its logits their gradient in place."""
    size, loss = _cache_rows(logits), logits.new_zeros((), dtype=torch.float32)
    for some, targets in zip(logits.split(size), wanted.split(size), strict=True):
        loss += _to_slope(some, targets)
    return loss


def _cache_rows(logits: Tensor) -> int:
    """Return how many rows to pass over at once: on a GPU all, else what stays in the cache."""
    if logits.device.type != "cpu":
        return len(logits)
    return max(1, _CACHE_BYTES // (4 * logits.shape[1]))


def _to_slope(logits: Tensor, wanted: Tensor) -> Tensor:
    """Return the summed loss of some rows; make their logits its gradient in place."""
    slope = logits.float()
    top = slope.amax(-1, keepdim=True)
    chosen = slope.gather(1, wanted[:, None])
    slope.sub_(top).exp_()
    total = slope.sum(-1, keepdim=True)
    slope.div_(total).scatter_add_(1, wanted[:, None], -torch.ones_like(chosen))
    if slope.dtype != logits.dtype:
        logits.copy_(slope)
    return (total.log() + top - chosen).sum()


class _FrozenHeadLoss(torch.autograd.Function):
    """Loss and its gradient in one pass per chunk: no logits are kept for the backward."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, size: int
    ) -> Tensor:
        total = hidden.new_zeros((), dtype=torch.float32)
        gradient = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        # One for all chunks: a block this large comes from the system, page by page.
        room = hidden.new_empty(min(size, len(hidden)), len(weight))
        for start in range(0, len(hidden), size):
            chunk = slice(start, start + size)
            logits = _logits(hidden[chunk], weight, bias, room)
            total += _loss_and_slope(logits, targets[chunk])
            if gradient is not None:
                torch.mm(logits, weight, out=gradient[chunk])
        if gradient is not None:
            ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer[0].to(gradient.dtype), None, None, None, None
