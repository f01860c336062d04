"""GGUF files of tiny models of many families, and orders for whole exports."""

from pathlib import Path
from typing import Any

from easytune import model_files
from easytune.engine.exporting import gguf_export, job
from easytune.engine.exporting.merging import MergedWeights
from easytune.engine.reporting import Reporter
from easytune.engine.stopping import StopSignal
from easytune.export import ExportConfig
from easytune.export_files import ExportFolder, ExportOrder, Source
from tests.engine import tiny

_EXPERTS: dict[str, Any] = {"num_experts": 4, "num_experts_per_tok": 2}
_FOUR_LAYERS: dict[str, Any] = {"num_hidden_layers": 4, "sliding_window": 6}
FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"attention_bias": True, "mlp_bias": True},
    "mistral": {"sliding_window": None},
    "mixtral": {"num_local_experts": 4},
    "arcee": {},
    "smollm3": {"num_hidden_layers": 4},
    "granite": {"embedding_multiplier": 2.0, "attention_multiplier": 0.3},
    "olmo": {},
    "olmo2": {},
    "olmo3": _FOUR_LAYERS,
    "olmoe": _EXPERTS | {"num_key_value_heads": 4},
    "qwen2": {},
    "qwen3": {},
    "qwen2_moe": _EXPERTS | {"moe_intermediate_size": 32, "shared_expert_intermediate_size": 48},
    "qwen3_moe": _EXPERTS | {"moe_intermediate_size": 32, "norm_topk_prob": True, "head_dim": 8},
    "gemma": {},
    "gemma2": {},
    "gemma3_text": {"num_hidden_layers": 7},
    "phi": {},
    "phi3": {"sliding_window": None},
    "starcoder2": {},
    "stablelm": {},
    "cohere": {"logit_scale": 0.5},
    "cohere2": _FOUR_LAYERS | {"logit_scale": 0.5},
    "gpt2": {"num_key_value_heads": 4, "intermediate_size": 128},
    "gpt_neox": {"num_key_value_heads": 4},
    "nemotron": {},
    "exaone4": {"layer_types": ["full_attention"] * 2, "sliding_window": None},
    "seed_oss": {"head_dim": 8},
    "ernie4_5": {"head_dim": 8},
    "hunyuan_v1_dense": {"head_dim": 8},
}
"""Every family of `exporters.gguf_families`, with what makes a tiny model of it telling."""


def save(folder: Path, family: str, **changes: Any) -> Path:
    """Write a tiny model of a family, with its tokenizer."""
    folder.mkdir(parents=True)
    return tiny.save_folder(folder, family, **{**FAMILIES[family], **changes})


def convert(model: Path, number_format: str = "f32", adapter: Any = None) -> Path:
    """Write the GGUF file of a model folder beside it."""
    target = model / f"tiny-{number_format}.gguf"
    weights = MergedWeights(model, adapter)
    gguf_export.convert(weights, model, target, number_format, "tiny", lambda done, total: None)
    return target


def order(base: Path, adapter: Path | None = None, **options: Any) -> ExportOrder:
    """Return the order to export a base, or an adapter upon it; options as `section__name`."""
    folder = adapter or base
    source = Source(
        id="tiny",
        title="Tiny 模型 one",
        kind="adapter" if adapter else "base",
        folder=str(folder),
        base="base",
        base_folder=str(base),
        is_adapter=adapter is not None,
        fingerprint=model_files.fingerprint(folder),
        base_fingerprint=model_files.fingerprint(base),
    )
    few = {"gate__prompts": 4, "gate__new_tokens": 4}
    return ExportOrder(config=ExportConfig().changed(**few, **options), sources=(source,))


def export(home: Path, asked: ExportOrder) -> ExportFolder:
    """Do a whole export in this process; return its folder."""
    folder = ExportFolder(home / "exports" / f"{len(list(home.glob('exports/*')))}")
    folder.path.mkdir(parents=True)
    job.export(asked, folder, Reporter(folder.events), StopSignal(folder.stop))
    return folder
