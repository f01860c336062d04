"""What a GGUF file says about the shape of its model, from the model's configuration.

Follows llama.cpp's converter (MIT licence); names and meanings are those of `gguf.Keys`.
"""

import math
from typing import Any

import gguf
import numpy as np
from transformers import PretrainedConfig

from easytune.export_errors import GgufSettingUnsupported
from easytune.exporters.gguf_families import Family

_LARGEST_NORM = 1e-5
# llama.cpp knows the windows of this family by the number of layers alone.
_EXAONE_WINDOWED = 64


def write(writer: gguf.GGUFWriter, config: PretrainedConfig, family: Family) -> None:
    """Tell the writer all that llama.cpp needs to know to run a model of this family.

    Raises GgufSettingUnsupported for a setting that llama.cpp does not have for the family.
    """
    check(config, family)
    _write_shape(writer, config, family)
    _write_norms(writer, config, family)
    _write_rope(writer, config)
    _write_windows(writer, config, family)
    for method, setting in family.scales.items():
        if (value := getattr(config, setting, None)) is not None:
            getattr(writer, f"add_{method}")(value)


def check(config: PretrainedConfig, family: Family) -> None:
    """Make sure that llama.cpp computes what the model's settings say.

    Raises GgufSettingUnsupported naming the first setting that it does not have.
    """
    activation = _first(config, "hidden_act", "hidden_activation", "activation_function")
    if activation is not None and activation not in family.activations:
        _refuse(family, "hidden_act", activation)
    for setting, allowed in family.needs.items():
        value = getattr(config, setting, allowed[0])
        if value not in allowed:
            _refuse(family, setting, value)
    if family.tied and not config.tie_word_embeddings:
        _refuse(family, "tie_word_embeddings", False)
    scalar = getattr(config, "query_pre_attn_scalar", None)
    if scalar is not None and scalar not in (head_size(config), _mean_head_size(config)):
        _refuse(family, "query_pre_attn_scalar", scalar)
    window = getattr(config, "sliding_window", None)
    is_small = config.num_hidden_layers != _EXAONE_WINDOWED
    if family.architecture == "exaone4" and is_small and window:
        _refuse(family, "sliding_window", window)
    _check_layers_without_rope(config, family)


def head_size(config: PretrainedConfig) -> int:
    """Return how wide one attention head is."""
    return getattr(config, "head_dim", None) or _mean_head_size(config)


def key_value_heads(config: PretrainedConfig) -> int:
    """Return how many heads keys and values have."""
    return getattr(config, "num_key_value_heads", None) or config.num_attention_heads


def rope(config: PretrainedConfig, layers: str = "full_attention") -> dict[str, Any]:
    """Return how positions are encoded in the layers of a kind; empty where they are learned."""
    found = getattr(config, "rope_parameters", None) or {}
    return found.get(layers) or {name: v for name, v in found.items() if not isinstance(v, dict)}


def rope_factors(config: PretrainedConfig) -> dict[str, np.ndarray]:
    """Return the tensors that stretch positions: `rope_freqs` or `rope_factors_long/short`."""
    parameters = rope(config)
    match parameters.get("rope_type"):
        case "llama3":
            return {"rope_freqs.weight": _llama3_factors(parameters, head_size(config))}
        case "longrope" | "su":
            return {
                f"rope_factors_{length}.weight": np.asarray(parameters[f"{length}_factor"], "<f4")
                for length in ("long", "short")
            }
    return {}


def _write_shape(writer: gguf.GGUFWriter, config: PretrainedConfig, family: Family) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    inner = _first(config, "intermediate_size", "ffn_hidden_size", "n_inner")
    writer.add_feed_forward_length(inner or 4 * config.hidden_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(key_value_heads(config))
    writer.add_key_length(head_size(config))
    writer.add_value_length(head_size(config))
    if family.experts:
        writer.add_expert_count(_first(config, "num_local_experts", "num_experts"))
        writer.add_expert_used_count(config.num_experts_per_tok)


def _write_norms(writer: gguf.GGUFWriter, config: PretrainedConfig, family: Family) -> None:
    names = ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon", "norm_eps")
    size = _first(config, *names) or _LARGEST_NORM
    # OLMo has layer norms without weights and without a setting for their size.
    if family.layer_norm or family.architecture == "olmo":
        writer.add_layer_norm_eps(size)
    else:
        writer.add_layer_norm_rms_eps(size)


def _write_rope(writer: gguf.GGUFWriter, config: PretrainedConfig) -> None:
    parameters = rope(config)
    if not parameters:
        return
    part = parameters.get("partial_rotary_factor") or _first(
        config, "partial_rotary_factor", "rotary_pct"
    )
    writer.add_rope_dimension_count(int(head_size(config) * (part or 1)))
    writer.add_rope_freq_base(parameters.get("rope_theta", 10_000.0))
    near = rope(config, "sliding_attention")
    if near.get("rope_theta", parameters.get("rope_theta")) != parameters.get("rope_theta"):
        writer.add_rope_freq_base_swa(near["rope_theta"])
    _write_stretch(writer, config, parameters)


def _write_stretch(
    writer: gguf.GGUFWriter, config: PretrainedConfig, parameters: dict[str, Any]
) -> None:
    before = parameters.get("original_max_position_embeddings") or config.max_position_embeddings
    match parameters.get("rope_type", "default"):
        case "default" | "llama3":
            return
        case "linear":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
            writer.add_rope_scaling_factor(parameters["factor"])
        case "yarn":
            writer.add_rope_scaling_type(gguf.RopeScalingType.YARN)
            writer.add_rope_scaling_factor(parameters["factor"])
            writer.add_rope_scaling_orig_ctx_len(before)
            for name in ("attention_factor", "beta_fast", "beta_slow"):
                if (value := parameters.get(name)) is not None:
                    method = name.replace("attention", "attn")
                    getattr(writer, f"add_rope_scaling_yarn_{method}")(value)
        case "longrope" | "su":
            writer.add_rope_scaling_type(gguf.RopeScalingType.LONGROPE)
            writer.add_rope_scaling_orig_ctx_len(before)
            writer.add_rope_scaling_attn_factors(_long_attention(config, parameters, before))
        case other:
            raise GgufSettingUnsupported(
                architecture=config.model_type, setting="rope_type", value=str(other)
            )


def _long_attention(config: PretrainedConfig, parameters: dict[str, Any], before: int) -> float:
    if (given := parameters.get("attention_factor")) is not None:
        return given
    scale = config.max_position_embeddings / before
    return math.sqrt(1 + math.log(scale) / math.log(before)) if scale > 1 else 1.0


def _llama3_factors(parameters: dict[str, Any], dimensions: int) -> np.ndarray:
    # The same numbers as transformers' `_compute_llama3_parameters`, as divisors of frequencies.
    base, factor = parameters["rope_theta"], parameters["factor"]
    low, high = parameters["low_freq_factor"], parameters["high_freq_factor"]
    before = parameters["original_max_position_embeddings"]
    frequencies = 1.0 / base ** (np.arange(0, dimensions, 2, dtype=np.float64) / dimensions)
    lengths = 2 * math.pi / frequencies
    smooth = (before / lengths - low) / (high - low)
    between = 1 / ((1 - smooth) / factor + smooth)
    near = np.where(lengths > before / low, factor, between)
    return np.where(lengths < before / high, 1.0, near).astype("<f4")


def _write_windows(writer: gguf.GGUFWriter, config: PretrainedConfig, family: Family) -> None:
    window = getattr(config, "sliding_window", None)
    if not family.window_period or not window:
        # llama.cpp takes Phi-3 without this entry for a model from before it was there.
        if family.architecture == "phi3":
            writer.add_sliding_window(window or 0)
        return
    writer.add_sliding_window(window)
    near = [kind == "sliding_attention" for kind in config.layer_types]
    if near != [(layer + 1) % family.window_period != 0 for layer in range(len(near))]:
        writer.add_sliding_window_pattern(near)


def _check_layers_without_rope(config: PretrainedConfig, family: Family) -> None:
    layers = getattr(config, "no_rope_layers", None)
    if layers and list(layers) != [int((layer + 1) % 4 != 0) for layer in range(len(layers))]:
        _refuse(family, "no_rope_layers", layers)


def _mean_head_size(config: PretrainedConfig) -> int:
    return config.hidden_size // config.num_attention_heads


def _first(config: PretrainedConfig, *names: str) -> Any:
    return next((v for name in names if (v := getattr(config, name, None)) is not None), None)


def _refuse(family: Family, setting: str, value: Any) -> None:
    raise GgufSettingUnsupported(
        architecture=family.architecture, setting=setting, value=str(value)
    )
