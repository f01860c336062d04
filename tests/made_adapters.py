"""Adapters that no run has trained, written without torch."""

import json
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from easytune import model_files


def adapter_on(base: Path, target: Path, scale: float = 0.05, seed: int = 0) -> Path:
    """Write a LoRA adapter of rank 4 on all query and value layers of a model; return its folder.

    `scale` is the size of its numbers: 0.05 changes what the demo model says.
    """
    target.mkdir(parents=True)
    chance = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    for name, facts in model_files.all_tensors(base).items():
        module, _, kind = name.rpartition(".")
        if kind == "weight" and module.endswith(("q_proj", "v_proj")):
            out, inner = facts["shape"]
            for part, shape in (("A", (4, inner)), ("B", (out, 4))):
                key = f"base_model.model.{module}.lora_{part}.weight"
                tensors[key] = (chance.standard_normal(shape) * scale).astype(np.float32)
    save_file(tensors, str(target / "adapter_model.safetensors"), {"format": "pt"})
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": str(base),
        "r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "bias": "none", "inference_mode": True,
        "target_modules": ["q_proj", "v_proj"],
    }  # fmt: skip
    (target / "adapter_config.json").write_text(json.dumps(config), encoding="utf-8")
    return target
