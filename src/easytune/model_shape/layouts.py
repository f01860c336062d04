"""The linear layers of known families, for files that do not tell: quantized or pickled weights."""

from collections.abc import Iterator

from easytune.model_shape.names import group
from easytune.model_shape.sizes import Sizes
from easytune.shapes import Linear

_SPLIT = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
_GATED = ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
_GPT2 = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
_BLOOM = (
    "self_attention.query_key_value", "self_attention.dense",
    "mlp.dense_h_to_4h", "mlp.dense_4h_to_h",
)  # fmt: skip
_LOW_RANK = (
    "self_attn.q_a_proj", "self_attn.q_b_proj", "self_attn.kv_a_proj_with_mqa",
    "self_attn.kv_b_proj", "self_attn.o_proj",
)  # fmt: skip
_LLAMA_LIKE = (
    "llama", "mistral", "ministral", "qwen2", "qwen3", "gemma", "gemma2", "gemma3", "gemma3_text",
    "granite", "olmo", "olmo2", "olmo3", "cohere", "cohere2", "stablelm", "smollm3", "exaone4",
    "seed_oss", "hunyuan_v1_dense", "ernie4_5", "yi", "xverse", "aquila", "internlm", "internlm3",
    "minicpm", "orion", "mixtral", "qwen2_moe", "qwen3_moe", "olmoe", "phimoe",
)  # fmt: skip

LAYOUTS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_LLAMA_LIKE, (*_SPLIT, *_GATED)),
    "phi3": ("self_attn.qkv_proj", "self_attn.o_proj", "mlp.gate_up_proj", "mlp.down_proj"),
    "phi": (*_SPLIT[:3], "self_attn.dense", "mlp.fc1", "mlp.fc2"),
    "glm": (*_SPLIT, "mlp.gate_up_proj", "mlp.down_proj"),
    "glm4": (*_SPLIT, "mlp.gate_up_proj", "mlp.down_proj"),
    "starcoder2": (*_SPLIT, "mlp.c_fc", "mlp.c_proj"),
    "gpt2": _GPT2,
    "gpt_bigcode": _GPT2,
    "gpt_neox": (
        "attention.query_key_value", "attention.dense", "mlp.dense_h_to_4h", "mlp.dense_4h_to_h",
    ),
    "gptj": ("attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.out_proj", "mlp.fc_in",
             "mlp.fc_out"),
    "codegen": ("attn.qkv_proj", "attn.out_proj", "mlp.fc_in", "mlp.fc_out"),
    "opt": (*_SPLIT[:3], "self_attn.out_proj", "fc1", "fc2"),
    "bloom": _BLOOM,
    "falcon": _BLOOM,
    "chatglm": _BLOOM,
    "mpt": ("attn.Wqkv", "attn.out_proj", "ffn.up_proj", "ffn.down_proj"),
    "baichuan": ("self_attn.W_pack", "self_attn.o_proj", *_GATED),
    "qwen": ("attn.c_attn", "attn.c_proj", "mlp.w1", "mlp.w2", "mlp.c_proj"),
    "internlm2": ("attention.wqkv", "attention.wo", "feed_forward.w1", "feed_forward.w3",
                  "feed_forward.w2"),
    "deepseek_v2": (*_LOW_RANK, *_GATED),
    "deepseek_v3": (*_LOW_RANK, *_GATED),
}  # fmt: skip
"""The paths of the linear layers in one layer of a family, by `model_type`."""

_FROM_HIDDEN_TO_INNER = {
    "gate_proj", "up_proj", "w1", "w3", "fc1", "fc_in", "c_fc", "dense_h_to_4h", "linear1",
}  # fmt: skip
_FROM_INNER_TO_HIDDEN = {"down_proj", "w2", "fc2", "fc_out", "dense_4h_to_h", "linear2"}
_FUSED_QUERIES = {"qkv_proj", "c_attn", "query_key_value", "W_pack", "Wqkv", "wqkv", "qkv"}
_OUT_OF_ATTENTION = {"o_proj", "out_proj", "dense", "wo"}


def linears(sizes: Sizes) -> tuple[Linear, ...]:
    """Return the linear layers of a known family; empty for an unknown one."""
    return tuple(_linears(sizes)) if sizes.family in LAYOUTS and sizes.layers else ()


def widths(path: str, sizes: Sizes) -> tuple[int, int] | None:
    """Return the inputs and outputs of the linear layer at `path`; None for an unknown name."""
    name, part = path.rpartition(".")[2], group(path)
    inner = sizes.expert_inner if part == "expert" else sizes.inner
    if sizes.family == "qwen" and name in ("w1", "w2", "c_proj") and part == "mlp":
        # The first Qwen counts both halves of its gated layer as one width.
        return (sizes.hidden, inner // 2) if name != "c_proj" else (inner // 2, sizes.hidden)
    if name in _FROM_HIDDEN_TO_INNER:
        is_gated = sizes.family == "chatglm" and name == "dense_h_to_4h"
        return sizes.hidden, inner * (2 if is_gated else 1)
    if name in _FROM_INNER_TO_HIDDEN or (name == "c_proj" and part == "mlp"):
        return inner, sizes.hidden
    if name == "gate_up_proj":
        return sizes.hidden, 2 * inner
    return _low_rank(name, sizes) or _attention(name, sizes)


def _attention(name: str, sizes: Sizes) -> tuple[int, int] | None:
    queries, keys = sizes.heads * sizes.head_dim, sizes.kv_heads * sizes.head_dim
    if name in _FUSED_QUERIES:
        return sizes.hidden, queries + 2 * keys
    if name in _OUT_OF_ATTENTION or name == "c_proj":
        return queries, sizes.hidden
    if name == "q_proj":
        return sizes.hidden, queries
    return (sizes.hidden, keys) if name in ("k_proj", "v_proj") else None


def _low_rank(name: str, sizes: Sizes) -> tuple[int, int] | None:
    """Return the widths of DeepSeek's attention, which goes through a narrow middle."""
    if not sizes.kv_lora:
        return None
    queries = sizes.heads * (sizes.nope_dim + sizes.rope_dim)
    return {
        "q_proj": (sizes.hidden, queries),
        "q_a_proj": (sizes.hidden, sizes.q_lora),
        "q_b_proj": (sizes.q_lora, queries),
        "kv_a_proj_with_mqa": (sizes.hidden, sizes.kv_lora + sizes.rope_dim),
        "kv_b_proj": (sizes.kv_lora, sizes.heads * (sizes.nope_dim + sizes.value_dim)),
        "o_proj": (sizes.heads * sizes.value_dim, sizes.hidden),
    }.get(name)


def _linears(sizes: Sizes) -> Iterator[Linear]:
    for path in LAYOUTS[sizes.family]:
        is_expert = bool(sizes.experts) and group(path) == "mlp"
        full = path.replace("mlp.", "mlp.experts.") if is_expert else path
        found = widths(full, sizes)
        if found is not None:
            count = sizes.layers * (sizes.experts if is_expert else 1)
            yield Linear(path.rpartition(".")[2], *found, count, group(full))
