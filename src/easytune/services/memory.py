"""How much memory is free, and how much a model or a training run will take. No torch."""

import os
import platform
import shutil
import subprocess
import time
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import psutil

from easytune import model_files
from easytune.config import TrainConfig
from easytune.errors import ModelIncomplete
from easytune.generation import LoadingSection

Device = Literal["cuda", "mps", "cpu"]

# Measured: Python with torch, transformers and peft loaded, before any weights.
PROCESS_GB = 0.6
# What the rest of the machine may need at any moment.
MARGIN_GB = 0.5
_TRAINING_GB = 1.5
_CACHE_SHARE = 0.15
_SMALL_MODEL = 50e6
_ASKED_AGAIN_S = 0.5
_BYTES = {"bf16": 2.0, "fp16": 2.0, "fp32": 4.0, "8-bit": 1.1, "4-bit": 0.65}
_GIGA = 1e9


def device(wish: str) -> Device:
    """Return where a model will most likely be held; only torch knows for certain."""
    if wish in ("cuda", "mps", "cpu"):
        return wish  # type: ignore[return-value]
    if _has_gpu():
        return "cuda"
    return "mps" if (platform.system(), platform.machine()) == ("Darwin", "arm64") else "cpu"


def free_gb(where: Device) -> float:
    """Return the memory nobody uses now, of the GPU or of the machine."""
    gpu = _gpu_memory() if where == "cuda" else None
    return gpu if gpu is not None else psutil.virtual_memory().available / _GIGA


def model_gb(folder: Path, loading: LoadingSection) -> float:
    """Estimate what a host will take: weights in their format, room for caches, the process."""
    where = device(loading.device)
    weights = _parameters(folder) * _bytes_each(folder, loading, where) / _GIGA
    return weights * (1 + _CACHE_SHARE) + (0.0 if where == "cuda" else PROCESS_GB)


def smallest_gb(folder: Path, loading: LoadingSection) -> float:
    """Estimate what a host will take when it may quantize what would not fit otherwise."""
    can_shrink = find_spec("bitsandbytes") is not None and device(loading.device) != "mps"
    if loading.quantization != "auto" or not can_shrink:
        return model_gb(folder, loading)
    return model_gb(folder, loading.model_copy(update={"quantization": "4-bit"}))


def training_gb(config: TrainConfig, folder: Path) -> float:
    """Estimate what a training run will take, roughly, from the size of its base model.

    Weights, twice as much again for what passes through them, and for full fine-tuning
    gradients and optimizer at 16 bytes per parameter.
    """
    parameters = _parameters(folder)
    match config.model.method:
        case "full":
            weights = parameters * 16
        case "qlora":
            weights = parameters * 2
        case _:
            weights = parameters * 2 * 3
    return weights / _GIGA + _TRAINING_GB


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
    return 4.0 if is_small or (where == "cpu" and not _has_bf16()) else 2.0


@cache
def _has_bf16() -> bool:
    """Tell whether the processor multiplies bf16; where it cannot be told, that it does not."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags or "amx_tile" in flags


@cache
def _has_gpu() -> bool:
    try:
        built_without = "+cpu" in metadata.version("torch")
    except metadata.PackageNotFoundError:
        built_without = True
    return not built_without and _gpu_memory() is not None


_asked: dict[str, tuple[float, float | None]] = {}


def _gpu_memory() -> float | None:
    """Return the free GB of the first visible NVIDIA GPU; None without one."""
    at, free = _asked.get("gpu", (float("-inf"), None))
    if time.monotonic() - at > _ASKED_AGAIN_S:
        free = _ask_driver()
        _asked["gpu"] = (time.monotonic(), free)
    return free


def _ask_driver() -> float | None:
    program = _driver_tool()
    if program is None:
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    command = [program, "--query-gpu=memory.free", "--format=csv,noheader,nounits", "-i", first]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return int(done.stdout.split()[0]) * 2**20 / _GIGA
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


@cache
def _driver_tool() -> str | None:
    return shutil.which("nvidia-smi")
