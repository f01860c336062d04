"""Prove on the loaded model itself that the fast way computes what its own forward computes.

Two short random rows go through the model one by one and then packed. Families differ in what
they do with kwargs, masks, positions and logits; a list of names would be wrong tomorrow.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from easytune.engine import attention, batching, loss

_LENGTHS = (13, 22)
_KNOWN_LAYERS = {"full_attention", "sliding_attention", "attention"}


@dataclass(frozen=True)
class Plan:
    """How a model is going to be run."""

    packed: bool
    attention: str | None
    """Attention implementation while training; None leaves the model's own."""
    own_attention: str
    """What the model was loaded with: knows caches and padding."""
    finish: loss.Finish | None
    """What follows the head; None: only the model's own forward gives right logits."""


def plan(model: PreTrainedModel, wish: str, packing: bool) -> Plan:
    """Return the fastest way of running `model` that gives its own results.

    `wish` is an attention implementation, or "auto" for ours with the model's own as second
    choice. Leaves the model as it was.
    """
    own = model.config._attn_implementation or "eager"
    rows = _rows(model)
    with torch.no_grad(), _evaluating(model):
        wanted = [_hidden(model, input_ids=row[None]) for row in rows]
        finish = _finish(model, rows[0], wanted[0])
        names = [attention.PACKED, own] if wish == "auto" else [wish]
        found = next((n for n in names if packing and _packs(model, n, rows, wanted)), None)
    use(model, own)
    return Plan(found is not None, found, own, finish)


def apply(model: PreTrainedModel, chosen: Plan) -> None:
    """Make `model` run as planned."""
    if chosen.attention is not None:
        use(model, chosen.attention)
    loss.install(model, chosen.finish)


def layers(model: PreTrainedModel) -> list[nn.Module]:
    """Return the decoder layers of a model: the longest list of modules in its backbone."""
    lists = [m for m in loss.backbone(model).modules() if isinstance(m, nn.ModuleList)]
    return list(max(lists, key=len, default=[]))


def use(model: PreTrainedModel, implementation: str) -> None:
    """Switch every layer to an attention implementation."""
    # The public setter checks the name against what a family lists; ours is on no list.
    for module in model.modules():
        config = getattr(module, "config", None)
        if isinstance(config, PreTrainedConfig):
            config._attn_implementation_internal = implementation


class _evaluating:  # noqa: N801 - reads as a statement
    """Switch dropout off for a while."""

    def __init__(self, model: nn.Module) -> None:
        self.model, self.training = model, model.training

    def __enter__(self) -> None:
        self.model.eval()

    def __exit__(self, *reason: object) -> None:
        self.model.train(self.training)


def _rows(model: PreTrainedModel) -> list[Tensor]:
    vocabulary: int = model.get_input_embeddings().weight.shape[0]  # type: ignore[assignment, index]
    generator = torch.Generator().manual_seed(0)
    low = min(100, vocabulary // 2)
    rows = [torch.randint(low, vocabulary, (n,), generator=generator) for n in _LENGTHS]
    return [row.to(model.device) for row in rows]


def _hidden(model: PreTrainedModel, **inputs: Any) -> Tensor:
    return loss.backbone(model)(**inputs, use_cache=False, return_dict=True).last_hidden_state


def _finish(model: PreTrainedModel, row: Tensor, hidden: Tensor) -> loss.Finish | None:
    wanted = model(input_ids=row[None], use_cache=False, return_dict=True).logits
    layer = loss.head(model)
    if layer is None:
        return None
    raw = layer(hidden)
    return next((f for f in _finishes(model.config) if _agree(f(raw), wanted)), None)


def _finishes(config: PreTrainedConfig) -> Iterator[loss.Finish]:
    yield loss.as_is
    if cap := getattr(config, "final_logit_softcapping", None):
        yield lambda logits: (logits / cap).tanh() * cap
    if divisor := getattr(config, "logits_scaling", None):
        yield lambda logits: logits / divisor
    if factor := getattr(config, "logit_scale", None):
        yield lambda logits: logits * factor


def _packs(
    model: PreTrainedModel, implementation: str, rows: list[Tensor], wanted: list[Tensor]
) -> bool:
    if not _only_known_layers(model.config):
        return False
    use(model, implementation)
    positions = torch.cat([torch.arange(len(row), device=row.device) for row in rows])
    inputs: dict[str, Any] = {"input_ids": torch.cat(rows)[None], "position_ids": positions[None]}
    if implementation == attention.PACKED:
        inputs["segments"] = batching.Segments([len(row) for row in rows])
    try:
        got = _hidden(model, **inputs).split([len(row) for row in rows], 1)
    except (attention.PackingUnsupported, TypeError, ValueError, RuntimeError):
        return False
    return all(_agree(a, b) for a, b in zip(got, wanted, strict=True))


def _only_known_layers(config: PreTrainedConfig) -> bool:
    """Refuse chunked and linear attention, whose state or mask crosses rows only when long."""
    types = getattr(config, "layer_types", None) or []
    return set(types) <= _KNOWN_LAYERS and not getattr(config, "attention_chunk_size", None)


def _agree(got: Tensor, wanted: Tensor) -> bool:
    """Compare position by position, by the median: a rounding may flip one expert of a router."""
    tolerance = 1e-4 if wanted.dtype == torch.float32 else 0.05
    difference = (got.float() - wanted.float()).norm(dim=-1)
    relative = difference / wanted.float().norm(dim=-1).clamp_min(1e-6)
    return bool(relative.median() < tolerance)
