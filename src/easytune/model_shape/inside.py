"""What a model computes between its linear layers: from its config.json and its norms' widths."""

from collections.abc import Mapping
from typing import Any

from easytune.model_shape.names import takes_adapter
from easytune.model_shape.sizes import Sizes, text_part
from easytune.shapes import Inside

_ACTIVATIONS = ("hidden_activation", "hidden_act", "activation_function", "activation")
_EXPERTS = ("num_experts_per_tok", "num_experts_per_token", "moe_topk", "moe_k", "top_k_experts")
_DROPOUTS = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob")
# Families whose attention has dropout unless their config.json says otherwise.
_DROPPING = ("gpt2", "gpt_bigcode", "openai-gpt")


def inside(config: Mapping[str, Any], tensors: Mapping[str, Any], known: Sizes) -> Inside:
    """Return what is known; `tensors` are those that weight files declare, if they do."""
    text = text_part(config)
    return Inside(
        norms=_norms(tensors, known),
        activation=next((str(text[key]) for key in _ACTIVATIONS if text.get(key)), ""),
        experts_per_token=_experts(text, known),
        caps_scores=_amount(text, "attn_logit_softcapping") > 0,
        finishes_logits=_finishes_logits(text),
        drops=_drops(text, known),
        other_values=known.value_dim not in (0, known.nope_dim + known.rope_dim),
    )


def _experts(text: Mapping[str, Any], known: Sizes) -> float:
    """Return through how many experts a token goes per layer, on average over the layers."""
    chosen = next((found for key in _EXPERTS if (found := _amount(text, key))), 0.0)
    plain = text.get("mlp_only_layers") or ()
    dense = _amount(text, "first_k_dense_replace") + (len(plain) if isinstance(plain, list) else 0)
    return chosen * max(0.0, 1 - dense / known.layers) if known.layers else 0.0


def _finishes_logits(text: Mapping[str, Any]) -> bool:
    factors = (_amount(text, key, 1.0) for key in ("logits_scaling", "logit_scale"))
    return _amount(text, "final_logit_softcapping") > 0 or any(each != 1 for each in factors)


def _norms(tensors: Mapping[str, Any], known: Sizes) -> int:
    """Return the width that the norms of one layer take in; those of heads are used for each."""
    total = 0
    for name, tensor in tensors.items():
        path, _, kind = name.rpartition(".")
        parts, shape = path.split("."), tuple(tensor.get("shape", ()))
        own = parts[-1]
        is_norm = "norm" in own or own.startswith("ln")
        in_a_layer = any(map(str.isdigit, parts)) and takes_adapter(path)
        if kind == "weight" and len(shape) == 1 and is_norm and in_a_layer:
            total += shape[0] * _times(own, shape[0], known)
    return round(total / known.layers) if known.layers else 0


def _times(name: str, width: int, known: Sizes) -> int:
    """Return for how many heads a norm is used; 1 for one that takes in all of a token."""
    if width != known.head_dim or width == known.hidden:
        return 1
    return known.kv_heads if name.startswith("k") else known.heads


def _drops(text: Mapping[str, Any], known: Sizes) -> bool:
    said = [_amount(text, key) for key in _DROPOUTS if key in text]
    return any(said) if said else known.family in _DROPPING


def _amount(text: Mapping[str, Any], key: str, unsaid: float = 0.0) -> float:
    found = text.get(key, unsaid)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return float(found) if is_number else unsaid
