"""Which model families our own GGUF writer holds, and how llama.cpp wants each of them.

The facts are those of llama.cpp's converter (MIT licence), told as a table. No torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Family:
    """How llama.cpp wants the models of one `model_type`.

    `architecture`: its name in GGUF. `permuted`: query and key rows are interleaved, as Meta's own
    weights are. `shifted_norms`: norm weights are stored plus one. `layer_norm`: layer norm instead
    of RMS norm. `scales`: writer method -> setting of the model, written where the model has it.
    `needs`: settings that llama.cpp takes for granted, with the values it takes. `tied`: the head
    must be the embedding. `window_period`: every so many layers see the whole text, the others
    only a window (0: no layer has a window of its own). `transposed`: matrices are stored
    (in, out). `fused`: how the rows of a fused query-key-value matrix are ordered.
    """

    architecture: str
    activations: tuple[str, ...] = ("silu", "swish")
    permuted: bool = False
    shifted_norms: bool = False
    layer_norm: bool = False
    experts: bool = False
    tied: bool = False
    window_period: int = 0
    transposed: tuple[str, ...] = ()
    fused: str = ""
    scales: Mapping[str, str] = field(default_factory=dict)
    needs: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


_GELU = ("gelu_pytorch_tanh", "gelu_new", "gelu", "gelu_fast")
_GRANITE = {
    "attention_scale": "attention_multiplier",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "logit_scale": "logits_scaling",
}
_NO_QK_NORM = {"use_qk_norm": (False, None)}

FAMILIES: dict[str, Family] = {
    "llama": Family("llama", permuted=True),
    "mistral": Family("llama", permuted=True),
    "mixtral": Family("llama", permuted=True, experts=True),
    "arcee": Family("arcee", permuted=True, activations=("relu2",)),
    "smollm3": Family("smollm3", permuted=True),
    "granite": Family("granite", permuted=True, scales=_GRANITE),
    "olmo": Family("olmo", permuted=True, scales={"clamp_kqv": "clip_qkv"}),
    "olmo2": Family("olmo2"),
    "olmo3": Family("olmo2", window_period=4),
    "olmoe": Family("olmoe", experts=True, needs={"norm_topk_prob": (False,)}),
    "qwen2": Family("qwen2"),
    "qwen3": Family("qwen3"),
    "qwen2_moe": Family(
        "qwen2moe", experts=True,
        scales={
            "expert_feed_forward_length": "moe_intermediate_size",
            "expert_shared_feed_forward_length": "shared_expert_intermediate_size",
        },
        needs={"norm_topk_prob": (False,), "decoder_sparse_step": (1,), "mlp_only_layers": ([],)},
    ),
    "qwen3_moe": Family(
        "qwen3moe", experts=True,
        scales={"expert_feed_forward_length": "moe_intermediate_size"},
        needs={"norm_topk_prob": (True,), "decoder_sparse_step": (1,), "mlp_only_layers": ([],)},
    ),
    "gemma": Family("gemma", activations=_GELU, shifted_norms=True, tied=True),
    "gemma2": Family(
        "gemma2", activations=_GELU, shifted_norms=True, tied=True, window_period=2,
        scales={
            "attn_logit_softcapping": "attn_logit_softcapping",
            "final_logit_softcapping": "final_logit_softcapping",
        },
    ),
    "gemma3_text": Family(
        "gemma3", activations=_GELU, shifted_norms=True, window_period=6,
        scales={"final_logit_softcapping": "final_logit_softcapping"},
        needs={"attn_logit_softcapping": (None,)},
    ),
    "phi": Family(
        "phi2", activations=_GELU, layer_norm=True, needs={"qk_layernorm": (False, None)}
    ),
    "phi3": Family("phi3"),
    "starcoder2": Family("starcoder2", activations=_GELU, layer_norm=True),
    "stablelm": Family(
        "stablelm", layer_norm=True, scales={"parallel_residual": "use_parallel_residual"},
        needs={"qk_layernorm": (False, None)},
    ),
    "cohere": Family(
        "command-r", layer_norm=True, tied=True, scales={"logit_scale": "logit_scale"},
        needs=_NO_QK_NORM,
    ),
    "cohere2": Family(
        "cohere2", layer_norm=True, tied=True, window_period=4,
        scales={"logit_scale": "logit_scale"},
    ),
    "gpt2": Family(
        "gpt2", activations=_GELU, layer_norm=True,
        transposed=(".c_attn.weight", ".c_proj.weight", ".c_fc.weight"),
    ),
    "gpt_neox": Family(
        "gptneox", activations=_GELU, layer_norm=True, fused="by head",
        scales={"parallel_residual": "use_parallel_residual"},
    ),
    "nemotron": Family("nemotron", activations=("relu2",), layer_norm=True, shifted_norms=True),
    "exaone4": Family("exaone4", window_period=4),
    "seed_oss": Family("seed_oss"),
    "ernie4_5": Family("ernie4_5"),
    "hunyuan_v1_dense": Family("hunyuan-dense"),
}  # fmt: skip

TEXT_PARTS = {"gemma3": "gemma3_text"}
"""Models that also see: model type -> the family of the part that reads and writes."""


def family(model_type: str) -> Family | None:
    """Return how llama.cpp wants a model type, or None when our writer does not hold it."""
    return FAMILIES.get(TEXT_PARTS.get(model_type, model_type))


def known() -> str:
    """Return the model types our writer holds, for people to read."""
    return ", ".join(sorted([*FAMILIES, *TEXT_PARTS]))
