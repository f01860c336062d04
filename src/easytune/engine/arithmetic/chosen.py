"""The one adapter that an export is about: as it is, at another strength, or merged of several."""

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from easytune import records, strength
from easytune.engine import adapter_files
from easytune.engine.adapter_files import Adapter, Part
from easytune.engine.arithmetic.combining import combined
from easytune.engine.exporting.companions import has_tokenizer, write_tokenizer
from easytune.export import WhatSection
from easytune.export_errors import ExportInvalid
from easytune.export_files import ExportOrder, Source

_PREFIX = "base_model.model."


def one(order: ExportOrder, scratch: Path) -> tuple[Path, float]:
    """Return the folder of the adapter, and the strength that is still to be applied to it.

    Plain adapters are scaled in their files; those that change more than low-rank products keep
    theirs, and what merges them scales. Raises ExportInvalid, MergeUnsupported, AdapterMismatch.
    """
    refuse_other_bases(order.sources)
    what, first = order.config.what, Path(order.sources[0].folder)
    weights = what.weights or (1.0,) * len(order.sources)
    if len(order.sources) > 1:
        return _merged(order, weights, scratch / "adapter"), 1.0
    amount = what.strength * weights[0]
    if amount == 1 or not strength.can_be_halved(first):
        return first, amount
    scratch.mkdir(parents=True, exist_ok=True)
    strength.scale(first, scratch / "adapter", amount)
    return scratch / "adapter", 1.0


def refuse_other_bases(sources: Sequence[Source]) -> None:
    """Raise ExportInvalid unless all models are adapters of one and the same base."""
    if len(sources) < 2:
        return
    first = sources[0]
    for other in sources:
        if not other.is_adapter:
            raise ExportInvalid("what.models", "@export.invalid.not_adapters")
        same = other.base_fingerprint == first.base_fingerprint
        if not same or (not first.base_fingerprint and other.base_folder != first.base_folder):
            raise ExportInvalid("what.models", "@export.invalid.other_base")


def _merged(order: ExportOrder, weights: Sequence[float], target: Path) -> Path:
    what = order.config.what
    adapters = [adapter_files.read(Path(source.folder)) for source in order.sources]
    parts = combined(adapters, weights, what.merge, what.density, what.seed)
    write(parts, adapters, target, what)
    return target


def write(
    parts: dict[str, Part], adapters: Sequence[Adapter], target: Path, what: WhatSection
) -> None:
    """Write products as a plain PEFT adapter, in the place of one that may be there."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    folder = adapters[0].folder
    config = _config(records.read(folder / adapter_files.CONFIG) or {}, parts, what.strength)
    tensors = dict(pair for name, part in parts.items() for pair in _tensors(name, part))
    save_file(tensors, target / adapter_files.WEIGHTS, {"format": "pt"})
    records.write_text(target / adapter_files.CONFIG, json.dumps(config, indent=2) + "\n")
    if has_tokenizer(folder):
        write_tokenizer(folder, None, target)


def _tensors(name: str, part: Part) -> list[tuple[str, Tensor]]:
    # The scales are in B already; strength is in alpha.
    a, b = part.a.contiguous(), (part.b * part.scale).contiguous()
    if part.is_embedding:
        pairs = [("lora_embedding_A", a), ("lora_embedding_B", b)]
    else:
        pairs = [("lora_A.weight", a), ("lora_B.weight", b)]
    return [(f"{_PREFIX}{name}.{kind}", tensor) for kind, tensor in pairs]


def _config(own: dict[str, Any], parts: dict[str, Part], amount: float) -> dict[str, Any]:
    """Return an adapter_config.json of these products; most options of the first one do not hold.

    Layers of another rank than the highest are named one by one.
    """
    rank = max(part.rank for part in parts.values())
    ranks = {re.escape(n): part.rank for n, part in parts.items() if part.rank != rank}
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": own.get("base_model_name_or_path"),
        "inference_mode": True,
        "r": rank,
        "lora_alpha": rank * amount,
        "lora_dropout": 0.0,
        "rank_pattern": ranks,
        "alpha_pattern": {name: small * amount for name, small in ranks.items()},
        "target_modules": sorted(parts),
        "fan_in_fan_out": own.get("fan_in_fan_out", False),
        "bias": "none",
    }
