"""Sound adapters of many kinds, made by PEFT on tiny models of several families."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model

from tests.engine import tiny

KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", {}),
    "llama rslora": ("llama", {"use_rslora": True, "r": 16, "lora_alpha": 32}),
    "llama dora": ("llama", {"use_dora": True}),
    "llama head": ("llama", {"modules_to_save": ["lm_head"]}),
    "llama embeddings whole": ("llama", {"modules_to_save": ["embed_tokens", "lm_head"]}),
    "llama norms": ("llama", {"modules_to_save": ["input_layernorm"]}),
    "llama embedding": ("llama", {"target_modules": ["q_proj", "embed_tokens"]}),
    "llama tokens": ("llama", {"trainable_token_indices": {"embed_tokens": [5, 9, 300]}}),
    "llama pattern": ("llama", {"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 4}}),
    "llama regex": ("llama", {"target_modules": r".*self_attn\.(q|v)_proj"}),
    "llama one layer": ("llama", {"layers_to_transform": [1]}),
    "llama head lora": ("llama", {"target_modules": ["q_proj", "lm_head"]}),
    "qwen2": ("qwen2", {"target_modules": "all-linear"}),
    "qwen3": ("qwen3", {"target_modules": ["q_proj", "down_proj"]}),
    "mistral": ("mistral", {"init_lora_weights": "gaussian"}),
    "gemma2": ("gemma2", {"target_modules": ["gate_proj", "o_proj"]}),
    "gemma3": ("gemma3_text", {"use_dora": True, "target_modules": ["k_proj"]}),
    "phi3": ("phi3", {"target_modules": ["qkv_proj", "gate_up_proj"]}),
    "gpt2": ("gpt2", {"target_modules": ["c_attn"], "fan_in_fan_out": True}),
    "deepseek": ("deepseek_v3", {"target_modules": ["q_a_proj", "o_proj"]}),
    "granite half": ("granite", {"dtype": "bf16"}),
}


def make(kind: str, folder: Path) -> tuple[Path, Path]:
    """Write a base and an adapter of one kind; return (base, adapter)."""
    family, options = KINDS[kind]
    base = folder / family
    model = tiny.model(family)
    if not base.is_dir():
        model.save_pretrained(base)
    options = {"target_modules": ["q_proj", "v_proj"], "r": 4, "lora_alpha": 8} | options
    half = options.pop("dtype", None) == "bf16"
    torch.manual_seed(3)
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **options))
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name or "lora_embedding_B" in name:
                parameter.normal_(std=0.02)
    adapter = folder / kind.replace(" ", "-")
    (adapted.to(torch.bfloat16) if half else adapted).save_pretrained(str(adapter))
    return base, adapter
