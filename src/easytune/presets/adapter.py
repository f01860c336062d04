"""The adapter an intent wants: where it sits, how large it is, how strong, how careful.

Rank by capacity and the strength after "LoRA Without Regret" (Thinking Machines 2025) and
Biderman et al. 2024, "LoRA Learns Less and Forgets Less"; stabilised ranks after Kalajdzievski
2023, "A Rank Stabilization Scaling Factor for Fine-Tuning with LoRA".
"""

import math
from collections.abc import Iterable

from easytune import model_shape
from easytune.errors import TargetModuleMissing
from easytune.intents import Targets
from easytune.presets.draft import Draft
from easytune.shapes import Linear, ModelShape

FEW_ROWS = 1000
_DROPOUT = 0.05
STABILISED_ABOVE = 32
_USUAL_RANK = 16
_RANK_STEP = 4
# What carries the answer of attention back; an intent for "q, k, v" leaves it out.
_OUT_OF_ATTENTION = {
    "o_proj", "out_proj", "dense", "c_proj", "wo", "o", "proj", "to_out", "attn_out", "out",
}  # fmt: skip
_IN_ORDER = ("q", "c_attn", "k", "v", "o_proj", "dense", "gate", "up", "w1", "w3", "w2", "down")
_WITHOUT_NAMES: dict[Targets, str] = {
    "qkv": "attention", "qkv+mlp": "attention+mlp", "attention": "attention",
    "attention+mlp": "attention+mlp", "all-linear": "all-linear",
}  # fmt: skip


def derive(draft: Draft) -> None:
    """Suggest the adapter. One that goes on learning keeps its shape, full training has none."""
    if draft.facts.is_full or draft.facts.goes_on:
        return
    _targets(draft)
    _rank(draft)
    _alpha(draft)
    _dropout(draft)


def _targets(draft: Draft) -> None:
    wish, model = draft.facts.intent.targets, draft.facts.model
    path = "lora.target_modules"
    if model is None:
        draft.put(path, (_WITHOUT_NAMES[wish],), "targets_unknown")
        return
    # Three layers of attention alone cannot say a new word, however long they learn.
    is_widened = draft.facts.is_small and wish != "all-linear"
    modules = _resolved(model, "all-linear" if is_widened else wish)
    chosen = model_shape.targets(model, modules)
    kind = "small" if is_widened else _kind(wish, modules, chosen)
    code = f"targets_{kind}_mixture" if model.is_mixture else f"targets_{kind}"
    draft.put(path, modules, code, modules=_names(chosen))


def _kind(wish: Targets, modules: tuple[str, ...], chosen: Iterable[Linear]) -> str:
    """Return which sentence is true of what was chosen, which may be less than the wish."""
    if modules == ("all-linear",):
        return "all" if wish == "all-linear" else "unnamed"
    has_mlp = any(linear.group == "mlp" for linear in chosen)
    return "mlp" if has_mlp else "attention" if wish.startswith("attention") else "qkv"


def _resolved(model: ModelShape, wish: Targets) -> tuple[str, ...]:
    """Return the wish in the model's own names; all its linear layers when it has no such ones."""
    if wish in model_shape.GROUPS:
        return (wish,) if _has(model, wish) else ("all-linear",)
    chosen: list[str] = []
    if _has(model, "attention"):
        attention = model_shape.targets(model, ("attention",))
        chosen += [name for name in _names(attention) if name not in _OUT_OF_ATTENTION]
    if wish == "qkv+mlp" and _has(model, "attention+mlp"):
        both = model_shape.targets(model, ("attention+mlp",))
        chosen += _names(linear for linear in both if linear.group == "mlp")
    return tuple(dict.fromkeys(chosen)) or ("all-linear",)


def _has(model: ModelShape, wish: str) -> bool:
    try:
        model_shape.targets(model, (wish,))
    except TargetModuleMissing:
        return False
    return True


def _names(linears: Iterable[Linear]) -> list[str]:
    """Return short names once each, in the order in which a token passes through."""
    return sorted({linear.name for linear in linears}, key=lambda name: (_place(name), name))


def _place(name: str) -> int:
    return next((at for at, part in enumerate(_IN_ORDER) if name.startswith(part)), len(_IN_ORDER))


def _rank(draft: Draft) -> None:
    """Suggest the smallest rank of the band that has a number for each token to be learned."""
    facts = draft.facts
    low, high = facts.intent.rank
    tokens = facts.own_tokens
    if facts.model is None or tokens is None:
        draft.put("lora.rank", min(max(_USUAL_RANK, low), high), "rank_unknown", low=low, high=high)
        return
    if facts.is_small:
        millions = facts.model.parameters / 1e6
        draft.put("lora.rank", high, "rank_small", rank=high, millions=millions)
        return
    sizes = {rank: _parameters(draft, facts.model, rank) for rank in _band(low, high)}
    rank = next((rank for rank, size in sizes.items() if size >= tokens), high)
    enough = sizes[rank] >= tokens
    draft.put("lora.rank", rank, "rank" if enough else "rank_short", rank=rank,
              parameters=sizes[rank], tokens=tokens)  # fmt: skip


def _parameters(draft: Draft, model: ModelShape, rank: int) -> int:
    wished = tuple(draft.value("lora.target_modules"))
    try:
        return model_shape.lora_parameters(model, rank, wished)
    except TargetModuleMissing:
        # An intent may fix names that this model lacks; the launch check will say so.
        return model_shape.lora_parameters(model, rank, ("all-linear",))


def _band(low: int, high: int) -> list[int]:
    steps = range(_RANK_STEP * math.ceil(low / _RANK_STEP), high + 1, _RANK_STEP)
    return sorted({low, *steps, high})


def _alpha(draft: Draft) -> None:
    rank = int(draft.value("lora.rank"))
    if rank <= STABILISED_ABOVE:
        draft.put("lora.use_rslora", False, "rslora_off", rank=rank, limit=STABILISED_ABOVE)
        draft.put("lora.alpha", 2 * rank, "alpha", rank=rank)
        return
    # Scaled by alpha / sqrt(rank), this is the strength of rank 32 there and falls from it.
    alpha = round(2 * math.sqrt(STABILISED_ABOVE))
    draft.put("lora.use_rslora", True, "rslora_on", rank=rank, limit=STABILISED_ABOVE)
    draft.put("lora.alpha", alpha, "alpha_stabilised", rank=rank, scale=alpha / math.sqrt(rank))


def _dropout(draft: Draft) -> None:
    rows = draft.facts.own_rows
    if rows is None:
        draft.put("lora.dropout", 0.0, "data_unknown")
    elif rows < FEW_ROWS:
        draft.put("lora.dropout", _DROPOUT, "dropout_few", rows=rows, limit=FEW_ROWS)
    else:
        draft.put("lora.dropout", 0.0, "dropout_none", rows=rows, limit=FEW_ROWS)
