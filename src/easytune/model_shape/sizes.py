"""The widths that a model's config.json names, under whichever of the usual keys."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_KEYS = {
    "hidden": ("hidden_size", "n_embd", "d_model", "dim", "model_dim"),
    "layers": ("num_hidden_layers", "n_layer", "n_layers", "num_layers"),
    "heads": ("num_attention_heads", "n_head", "n_heads", "num_heads"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num"),
    "inner": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_ff"),
    "context": (
        "max_position_embeddings", "n_positions", "seq_length", "max_seq_len",
        "max_sequence_length", "n_ctx", "model_max_length",
    ),
    "vocabulary": ("vocab_size", "padded_vocab_size"),
    "experts": ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts"),
}  # fmt: skip
_TIED_BY_DEFAULT = ("gpt2", "gemma", "bloom", "falcon", "opt", "mpt", "cohere", "mamba")


@dataclass(frozen=True)
class Sizes:
    """The widths of a model, in numbers. 0 is unknown, `context` None.

    The `q_lora` group is the low-rank attention of DeepSeek; 0 where a model has none.
    """

    family: str
    hidden: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocabulary: int
    context: int | None
    tied: bool
    experts: int
    expert_inner: int
    q_lora: int = 0
    kv_lora: int = 0
    rope_dim: int = 0
    nope_dim: int = 0
    value_dim: int = 0


def sizes(config: Mapping[str, Any]) -> Sizes:
    """Return what a config.json says; of a model with several parts, what its text part says."""
    text = text_part(config)
    hidden, heads = _find(text, "hidden"), _find(text, "heads")
    family = str(config.get("model_type") or text.get("model_type") or "")
    return Sizes(
        family=family,
        hidden=hidden,
        layers=_find(text, "layers"),
        heads=heads,
        kv_heads=_kv_heads(text, heads),
        head_dim=_number(text.get("head_dim")) or (hidden // heads if heads else 0),
        inner=_find(text, "inner") or 4 * hidden,
        vocabulary=_find(text, "vocabulary"),
        context=_find(text, "context") or None,
        tied=_is_tied(text, family),
        experts=_find(text, "experts"),
        expert_inner=_number(text.get("moe_intermediate_size")) or _find(text, "inner"),
        q_lora=_number(text.get("q_lora_rank")),
        kv_lora=_number(text.get("kv_lora_rank")),
        rope_dim=_number(text.get("qk_rope_head_dim")),
        nope_dim=_number(text.get("qk_nope_head_dim")),
        value_dim=_number(text.get("v_head_dim")),
    )


def text_part(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config.json with what its text part says in front."""
    inner = next(
        (config[key] for key in ("text_config", "llm_config") if isinstance(config.get(key), dict)),
        None,
    )
    return {**config, **(inner or {})}


def _find(text: Mapping[str, Any], what: str) -> int:
    return next((found for key in _KEYS[what] if (found := _number(text.get(key)))), 0)


def _kv_heads(text: Mapping[str, Any], heads: int) -> int:
    if text.get("multi_query") is True and not text.get("new_decoder_architecture"):
        return 1
    if text.get("multi_query_attention") is False:
        return heads
    return _find(text, "kv_heads") or heads


def _is_tied(text: Mapping[str, Any], family: str) -> bool:
    said = text.get("tie_word_embeddings")
    return said if isinstance(said, bool) else family.startswith(_TIED_BY_DEFAULT)


def _number(value: Any) -> int:
    """Return a positive whole number, the largest of a list by layer, else 0."""
    if isinstance(value, list):
        return max((_number(item) for item in value), default=0)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return max(0, int(value)) if is_number and abs(value) < 1e12 else 0
