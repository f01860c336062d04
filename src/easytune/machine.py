"""What this machine would compute on, and how much of it is free now. No torch.

Only torch knows for certain; this is what its choice will most likely be.
"""

import json
import os
import platform
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

import psutil

from easytune.shapes import Device, Machine

SPEED_FILE = "speed.json"
_ASKED_AGAIN_S = 0.5
_OLDEST_BF16_GPU = 8.0
_GIGA = 1e9


@dataclass(frozen=True)
class _Gpu:
    """The first visible NVIDIA GPU, as its driver tells."""

    name: str
    free_gb: float
    total_gb: float
    capability: float


def look(device_wish: str, home: Path) -> Machine:
    """Return the device that `memory.device` would choose, and what is free on it now.

    A GPU that was asked for and is not there has no memory. `home` says where results are kept.
    """
    where = device(device_wish)
    gpu = _gpu() if where == "cuda" else None
    main = psutil.virtual_memory()
    if where == "cuda":
        name, free, total = (gpu.name, gpu.free_gb, gpu.total_gb) if gpu else ("CUDA", 0.0, 0.0)
    else:
        name, free, total = _processor(), main.available / _GIGA, main.total / _GIGA
    return Machine(
        device=where,
        name=name,
        free_gb=free,
        total_gb=total,
        has_bf16=has_bf16(where),
        cores=_cores(),
        disk_free_gb=_disk_free_gb(home),
        can_quantize=can_quantize(where),
        gflops=gflops(home, where),
    )


def device(wish: str) -> Device:
    """Return where a model will most likely be held."""
    match wish:
        case "cuda" | "mps" | "cpu":
            return wish
    if _has_gpu():
        return "cuda"
    return "mps" if (platform.system(), platform.machine()) == ("Darwin", "arm64") else "cpu"


def free_gb(where: Device) -> float:
    """Return the memory nobody uses now, of the GPU or of the machine."""
    gpu = _gpu() if where == "cuda" else None
    return gpu.free_gb if gpu is not None else psutil.virtual_memory().available / _GIGA


def total_gb(where: Device) -> float:
    """Return all the memory of the GPU or of the machine, used or not."""
    gpu = _gpu() if where == "cuda" else None
    return gpu.total_gb if gpu is not None else psutil.virtual_memory().total / _GIGA


def has_bf16(where: Device) -> bool:
    """Tell whether the device multiplies bf16; where it cannot be told, that it does not."""
    match where:
        case "cuda":
            gpu = _gpu()
            return gpu is not None and gpu.capability >= _OLDEST_BF16_GPU
        case "mps":
            return int(platform.mac_ver()[0].partition(".")[0] or 0) >= 14
    return _processor_has_bf16()


def can_quantize(where: Device) -> bool:
    """Tell whether a base can be held in 8 or 4 bits here."""
    return where != "mps" and find_spec("bitsandbytes") is not None


def gflops(home: Path, where: Device) -> float | None:
    """Return what matrix products reached when they were timed in this home; None before."""
    try:
        content = json.loads((home / SPEED_FILE).read_text(encoding="utf-8"))
        return float(content[where])
    except (OSError, ValueError, KeyError, TypeError):
        return None


@cache
def _processor_has_bf16() -> bool:
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags or "amx_tile" in flags


@cache
def _processor() -> str:
    return platform.processor() or platform.machine() or "cpu"


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _disk_free_gb(folder: Path) -> float:
    existing = next((path for path in (folder, *folder.parents) if path.exists()), Path("/"))
    return shutil.disk_usage(existing).free / _GIGA


@cache
def _has_gpu() -> bool:
    try:
        built_without = "+cpu" in metadata.version("torch")
    except metadata.PackageNotFoundError:
        built_without = True
    return not built_without and _gpu() is not None


_asked: dict[str, tuple[float, _Gpu | None]] = {}


def _gpu() -> _Gpu | None:
    """Return the first visible NVIDIA GPU; None without one."""
    at, found = _asked.get("gpu", (float("-inf"), None))
    if time.monotonic() - at > _ASKED_AGAIN_S:
        found = _ask_driver()
        _asked["gpu"] = (time.monotonic(), found)
    return found


def _ask_driver() -> _Gpu | None:
    program = _driver_tool()
    if program is None:
        return None
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "0").partition(",")[0]
    asked = "--query-gpu=memory.free,memory.total,compute_cap,name"
    command = [program, asked, "--format=csv,noheader,nounits", "-i", first]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        free, total, capability, name = done.stdout.splitlines()[0].split(",", 3)
        mega = 2**20 / _GIGA
        return _Gpu(name.strip(), int(free) * mega, int(total) * mega, float(capability))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


@cache
def _driver_tool() -> str | None:
    return shutil.which("nvidia-smi")
