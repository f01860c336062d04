"""What is kept for the backward: how much of a pack at once, and whether it is recomputed."""

from pathlib import Path

import psutil
import torch

from easytune import model_shape
from easytune.config import TrainConfig
from easytune.engine import hardware
from easytune.engine.models import Loaded
from easytune.errors import EasyTuneError
from easytune.estimate import at_once
from easytune.estimate.load import Load
from easytune.estimate.memory import CHECKPOINTED_ABOVE, short_of_memory
from easytune.shapes import Machine

_GIGA = 1e9


def tokens_at_once(config: TrainConfig, folder: Path, loaded: Loaded) -> int | None:
    """Return about how many tokens of a pack are computed at once, None: all of them."""
    try:
        return at_once.tokens(config, model_shape.read(folder), _machine(loaded))
    except EasyTuneError:
        return None


def is_needed(config: TrainConfig, folder: Path, loaded: Loaded, load: Load) -> bool:
    """Tell whether the backward recomputes: as asked, else only when memory is short.

    Decided for a model that has been loaded from `folder`, and its largest micro-batch.
    """
    match config.memory.gradient_checkpointing:
        case "on":
            return True
        case "off":
            return False
    free = hardware.free_memory_gb(loaded.device)
    try:
        return short_of_memory(config, model_shape.read(folder), load, _machine(loaded), free)
    except EasyTuneError:
        # A shape that cannot be told from its files, or layers that have other names in them.
        return _usual_activations_gb(loaded, load.tokens) > CHECKPOINTED_ABOVE * free


def _machine(loaded: Loaded) -> Machine:
    where = loaded.device.type
    return Machine(
        device=where if where in ("cuda", "mps") else "cpu",  # type: ignore[arg-type]
        name=where,
        free_gb=hardware.free_memory_gb(loaded.device),
        total_gb=0.0,
        has_bf16=hardware.has_bf16(loaded.device),
        cores=psutil.cpu_count() or 1,
        disk_free_gb=0.0,
        can_quantize=False,
    )


def _usual_activations_gb(loaded: Loaded, tokens: int) -> float:
    """Estimate what the backward keeps: about 16 hidden and 4 inner vectors per token and layer."""
    config = loaded.base.config
    hidden = getattr(config, "hidden_size", 4096)
    inner = getattr(config, "intermediate_size", None) or 4 * hidden
    layers = getattr(config, "num_hidden_layers", 32)
    size = torch.finfo(loaded.dtype).bits // 8
    return tokens * layers * (16 * hidden + 4 * inner) * size / _GIGA
