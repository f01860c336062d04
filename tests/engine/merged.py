"""Adapters of every kind on tiny models, and what PEFT itself makes of them."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from torch import Tensor
from transformers import AutoModelForCausalLM

from easytune.engine import adapter_files
from easytune.engine.exporting import companions, merging
from easytune.engine.exporting.merging import MergedWeights

TOKENS = torch.tensor([[5, 17, 40, 8, 99, 120, 33, 7, 61, 250, 14]])


def adapter(base: Path, folder: Path, seed: int = 3, **options: Any) -> Path:
    """Write an adapter with random weights of a noticeable effect."""
    torch.manual_seed(seed)
    model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    chosen = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear"} | options
    config = LoraConfig(task_type="CAUSAL_LM", init_lora_weights=False, **chosen)
    adapted = get_peft_model(model, config)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if parameter.requires_grad:
                by = 1.0 if "magnitude" in name else 0.3
                noise = torch.randn_like(parameter) * parameter.std().nan_to_num(0.1)
                parameter.mul_(by).add_(noise * 0.1)
    adapted.save_pretrained(str(folder))
    return folder


def merge(base: Path, adapter: Path, target: Path, **options: Any) -> Path:
    """Merge an adapter into a model folder."""
    target.mkdir(parents=True, exist_ok=True)
    size, watch = options.pop("shard_bytes", 1 << 30), options.pop("watch", _ignore)
    before = options.pop("before", None)
    weights = MergedWeights(base, adapter_files.read(adapter), **options)
    merging.write(weights, target, size, "test", watch, before)
    companions.write(base, adapter, target, weights.number_format, weights.is_untied)
    return target


def logits(folder: Path) -> Tensor:
    """Return what a model folder predicts."""
    model: Any = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    with torch.no_grad():
        return model.eval()(TOKENS).logits


def peft_logits(base: Path, adapter: Path) -> Tensor:
    """Return what the base predicts with the adapter beside it."""
    model: Any = AutoModelForCausalLM.from_pretrained(str(base), dtype=torch.float32)
    with torch.no_grad():
        return PeftModel.from_pretrained(model, str(adapter)).eval()(TOKENS).logits


def weights(folder: Path) -> dict[str, Tensor]:
    """Return the tensors in the files of a model."""
    return {n: t for file in folder.glob("*.safetensors") for n, t in load_file(file).items()}


def _ignore(done: int, total: int) -> None:
    """Let the merge go on."""
