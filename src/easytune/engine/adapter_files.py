"""An adapter's files, read and checked before anything of them is used.

An adapter comes from anywhere. Only safetensors are read, and only the tensors that an adapter of
its kind has: PEFT would put a stray `lm_head.weight` in place of the base model's own.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from peft.mapping import PEFT_TYPE_TO_PREFIX_MAPPING
from safetensors import SafetensorError, safe_open
from torch import Tensor

from easytune import strength
from easytune.data.chat_template import ChatTemplate
from easytune.engine.failures import first_line
from easytune.errors import AdapterMismatch, FileMissing, TemplateInvalid
from easytune.inference_errors import AdapterPickled, AdapterUnsafe

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
PISSA_START = "pissa_start"
_PREFIX = "base_model.model."
_PART = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A\.weight|lora_B\.weight|lora_B\.bias|lora_embedding_A"
    r"|lora_embedding_B|lora_magnitude_vector)(?:\.weight)?"
)
_TOKENS = re.compile(r"(?P<module>.+)\.token_adapter\.trainable_tokens_delta")
_BASE_COPY = re.compile(r"(?P<module>.+)\.base_layer\.weight")
# Options that run code of others or change the model beyond its layers.
_REFUSED = ("auto_mapping", "auto_map", "layer_replication", "arrow_config")
# Starts that changed the base's weights: their adapter fits only a base changed alike.
_CHANGED_BASE = ("pissa", "olora", "corda", "lora_ga")


@dataclass(frozen=True)
class Part:
    """What an adapter adds to one layer: scale * B A, (out, in). `magnitude` belongs to DoRA."""

    a: Tensor
    b: Tensor
    scale: float
    magnitude: Tensor | None = None
    bias: Tensor | None = None
    is_embedding: bool = False

    @property
    def rank(self) -> int:
        """Return the rank of the product."""
        return self.a.shape[0]


@dataclass(frozen=True)
class Adapter:
    """An adapter in memory.

    `parts` by layer, `full` the weights of modules that were trained whole, by parameter.
    `base_copies` are base weights that came along and must equal the base's. `needs_peft` tells
    that only PEFT knows how to apply it; then the rest is empty.
    """

    folder: Path
    parts: dict[str, Part]
    full: dict[str, Tensor]
    base_copies: dict[str, Tensor]
    needs_peft: bool = False
    template: ChatTemplate | TemplateInvalid | None = None
    strength: float = 1.0
    """How much counts of what is no product: of learned lengths and of modules trained whole."""

    @property
    def is_plain(self) -> bool:
        """Tell whether it is nothing but low-rank products."""
        special = any(p.magnitude is not None or p.bias is not None for p in self.parts.values())
        embeds = any(part.is_embedding for part in self.parts.values())
        return not (self.needs_peft or self.full or special or embeds)

    def at(self, strength: float) -> "Adapter":
        """Return the adapter with only so much of all that it changes; 0 is the base.

        A weight lies on the line from the base's to the trained one. Where all is low-rank products
        that is the same as scaling alpha.
        """
        parts = {
            name: part if part.magnitude is not None else replace(part, scale=part.scale * strength)
            for name, part in self.parts.items()
        }
        return replace(self, parts=parts, strength=self.strength * strength)


def read(folder: Path) -> Adapter:
    """Return a checked adapter.

    Raises FileMissing, AdapterPickled, AdapterUnsafe or AdapterMismatch.
    """
    config = _config(folder)
    tensors = _tensors(folder, folder / WEIGHTS)
    _refuse_strange(folder, config, tensors)
    if strength.needs_peft(config):
        return Adapter(folder, {}, {}, {}, needs_peft=True)
    parts = _parts(folder, config, tensors)
    if changed_base(config):
        parts = _without_start(folder, config, parts)
    copies = {n: t for n, t in tensors.items() if _BASE_COPY.fullmatch(n)}
    others = {n: t for n, t in tensors.items() if not _PART.fullmatch(n) and n not in copies}
    return Adapter(folder, parts, others, copies)


def changed_base(config: dict[str, Any]) -> bool:
    """Tell whether an adapter's start also changed the weights of its base."""
    return str(config.get("init_lora_weights")).startswith(_CHANGED_BASE)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise FileMissing(path=str(path))
    if not (folder / WEIGHTS).is_file():
        if any(folder.glob("*.bin")) or any(folder.glob("*.pt")):
            raise AdapterPickled(adapter=str(folder))
        raise FileMissing(path=str(folder / WEIGHTS))
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise AdapterUnsafe(str(folder), f"{CONFIG}: {first_line(error)}") from error
    if not isinstance(content, dict):
        raise AdapterUnsafe(str(folder), CONFIG)
    for name in _REFUSED:
        if content.get(name):
            raise AdapterUnsafe(str(folder), f"{name} @engine.reason.adapter_option")
    return content


def _tensors(folder: Path, path: Path) -> dict[str, Tensor]:
    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise AdapterUnsafe(str(folder), f"{path.name}: {first_line(error)}") from error
    for name, tensor in found.items():
        if not tensor.is_floating_point() or not torch.isfinite(tensor).all():
            raise AdapterUnsafe(str(folder), f"{name} @engine.reason.not_finite")
    return {name.removeprefix(_PREFIX): tensor for name, tensor in found.items()}


def _refuse_strange(folder: Path, config: dict[str, Any], names: Iterable[str]) -> None:
    """Make sure that every tensor is one that an adapter of this kind has."""
    prefix = PEFT_TYPE_TO_PREFIX_MAPPING.get(config.get("peft_type"))  # type: ignore[arg-type]
    if prefix is None or config.get("task_type") not in ("CAUSAL_LM", None):
        kind = f"{config.get('peft_type')}, {config.get('task_type')}"
        raise AdapterUnsafe(str(folder), f"{kind} @engine.reason.adapter_option")
    whole = [str(name) for name in config.get("modules_to_save") or ()]
    for name in names:
        if not _is_allowed(name, config, prefix, whole):
            raise AdapterUnsafe(str(folder), f"{name} @engine.reason.not_adapter")


def _is_allowed(name: str, config: dict[str, Any], prefix: str, whole: list[str]) -> bool:
    if _TOKENS.fullmatch(name):
        return bool(config.get("trainable_token_indices"))
    if config.get("peft_type") == "LORA":
        part = _PART.fullmatch(name)
        if part and "base_layer" not in part["module"]:
            return part["part"] != "lora_B.bias" or bool(config.get("lora_bias"))
        if part:
            return bool(config.get("target_parameters"))
    elif f".{prefix}" in name and "base_layer" not in name:
        return True
    # Looked at again beside the base: it must be an exact copy.
    if _BASE_COPY.fullmatch(name):
        return True
    owners = name.split(".")[:-1]
    paths = [".".join(owners[: size + 1]) for size in range(len(owners))]
    # As PEFT finds them: "norm" names every layer norm, too.
    return any(one and path.endswith(one) for path in paths for one in whole)


def _parts(folder: Path, config: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Part]:
    pieces: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        if found := _PART.fullmatch(name):
            pieces.setdefault(found["module"], {})[found["part"]] = tensor
    return {name: _part(folder, config, name, found) for name, found in pieces.items()}


def _part(folder: Path, config: dict[str, Any], name: str, found: dict[str, Tensor]) -> Part:
    a = found.get("lora_A.weight", found.get("lora_embedding_A"))
    b = found.get("lora_B.weight", found.get("lora_embedding_B"))
    if a is None or b is None:
        raise AdapterMismatch(str(folder), f"{name} @engine.reason.absent")
    rank = _by_pattern(config.get("rank_pattern"), name, config.get("r", 8))
    if a.ndim != 2 or b.ndim != 2 or a.shape[0] != rank or b.shape[1] != rank:
        raise AdapterMismatch(str(folder), f"{name} @engine.reason.rank")
    alpha = _by_pattern(config.get("alpha_pattern"), name, config.get("lora_alpha", 8))
    return Part(
        a=a,
        b=b,
        scale=alpha / (math.sqrt(rank) if config.get("use_rslora") else rank),
        magnitude=found.get("lora_magnitude_vector"),
        bias=found.get("lora_B.bias"),
        is_embedding="lora_embedding_A" in found,
    )


def _by_pattern(patterns: dict[str, Any] | None, name: str, otherwise: Any) -> Any:
    """Return the value for a layer, found as PEFT finds it."""
    for pattern, value in (patterns or {}).items():
        if re.match(rf"(.*\.)?({pattern})$", name):
            return value
    return otherwise


def _without_start(folder: Path, config: dict[str, Any], parts: dict[str, Part]) -> dict[str, Part]:
    """Return what was learned: the products minus those of the start, at twice the rank.

    While training, the base lacks what the adapter started with; here it is whole.
    """
    start = next((p / PISSA_START for p in folder.parents if (p / PISSA_START).is_dir()), None)
    if start is None:
        raise AdapterMismatch(str(folder), "@engine.reason.start_lost")
    began = _parts(folder, config, _tensors(folder, start / WEIGHTS))
    if set(began) != set(parts) or any(began[n].a.shape != p.a.shape for n, p in parts.items()):
        raise AdapterMismatch(str(folder), "@engine.reason.start_lost")
    return {
        name: Part(
            a=torch.cat([part.a, began[name].a]),
            b=torch.cat([part.b, -began[name].b], dim=1),
            scale=part.scale,
        )
        for name, part in parts.items()
    }
