"""How much memory a model or a training run will take, and what a process has. No torch."""

from pathlib import Path

import psutil

from easytune import estimate, machine, model_files, model_shape
from easytune.config import TrainConfig
from easytune.errors import EasyTuneError, ModelIncomplete
from easytune.generation import LoadingSection
from easytune.shapes import Device

# Measured: Python with torch, transformers and peft loaded, before any weights.
PROCESS_GB = 0.6
# What the rest of the machine may need at any moment.
MARGIN_GB = 0.5
_TRAINING_GB = 1.5
_CACHE_SHARE = 0.15
_SMALL_MODEL = 50e6
_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0, "8-bit": 1.1, "4-bit": 0.65}
_GIGA = 1e9


def model_gb(folder: Path, loading: LoadingSection) -> float:
    """Estimate what a host will take: weights in their format, room for caches, the process."""
    where = machine.device(loading.device)
    weights = _parameters(folder) * _bytes_each(folder, loading, where) / _GIGA
    return weights * (1 + _CACHE_SHARE) + (0.0 if where == "cuda" else PROCESS_GB)


def smallest_gb(folder: Path, loading: LoadingSection) -> float:
    """Estimate what a host will take when it may quantize what would not fit otherwise."""
    can_shrink = machine.can_quantize(machine.device(loading.device))
    if loading.quantization != "auto" or not can_shrink:
        return model_gb(folder, loading)
    return model_gb(folder, loading.model_copy(update={"quantization": "4-bit"}))


def training_gb(config: TrainConfig, folder: Path, home: Path) -> float:
    """Estimate what a training run will take whose rows are not known: of the full length.

    Of a model whose layers cannot be told, twice its weights more.
    """
    try:
        shape = model_shape.read(folder)
        here = machine.look(config.memory.device, home)
        return estimate.estimate(config, shape, None, here).peak_gb
    except EasyTuneError:
        bytes_each = 16 if config.model.method == "full" else 6
        return _parameters(folder) * bytes_each / _GIGA + _TRAINING_GB


def process_gb(pid: int) -> float:
    """Return the memory a process has in use; 0 when it has ended."""
    try:
        return psutil.Process(pid).memory_info().rss / _GIGA
    except psutil.Error:
        return 0.0


def _parameters(folder: Path) -> float:
    try:
        facts = model_files.describe(folder)
    except ModelIncomplete:
        return 0.0
    return facts.parameters or facts.size_gb * _GIGA / 2


def _bytes_each(folder: Path, loading: LoadingSection, where: Device) -> float:
    if loading.quantization in ("8-bit", "4-bit"):
        return _BYTES[loading.quantization]
    if loading.precision != "auto":
        return _BYTES[loading.precision]
    is_small = where == "cpu" and _parameters(folder) < _SMALL_MODEL
    return 4.0 if is_small or (where == "cpu" and not machine.has_bf16(where)) else 2.0
