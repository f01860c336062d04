"""What computes here, in which number format, and how much memory there is."""

import platform

import psutil
import torch

from easytune import process_memory
from easytune.errors import OptionUnsupported

_GIGA = 1e9
# Below this many parameters fp32 is as fast on a processor: time goes into small operations.
_SMALL_MODEL = 50e6


def device(wish: str, option: str = "memory.device") -> torch.device:
    """Return the device to compute on.

    Raises OptionUnsupported, naming `option`, when the wished one is absent.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wish == "auto":
        wish = next((name for name, here in present.items() if here), "cpu")
    if not present.get(wish, True):
        raise OptionUnsupported(option=option, reason="@engine.reason.no_device")
    return torch.device(wish)


def device_name(chosen: torch.device) -> str:
    """Return the device's name for people."""
    if chosen.type == "cuda":
        return torch.cuda.get_device_name(chosen)
    return f"{chosen.type} ({platform.processor() or platform.machine()})"


def precision(
    wish: str, chosen: torch.device, parameters: int, option: str = "memory.precision"
) -> torch.dtype:
    """Return the number format of the base.

    Raises OptionUnsupported, naming `option`, for fp16 on a processor, where it is slow and
    unstable.
    """
    match wish:
        case "fp32":
            return torch.float32
        case "bf16":
            return torch.bfloat16
        case "fp16" if chosen.type == "cpu":
            raise OptionUnsupported(option=option, reason="@engine.reason.fp16")
        case "fp16":
            return torch.float16
    small = chosen.type == "cpu" and parameters < _SMALL_MODEL
    return torch.bfloat16 if has_bf16(chosen) and not small else torch.float32


def has_bf16(chosen: torch.device) -> bool:
    """Tell whether the device multiplies bf16 in hardware."""
    match chosen.type:
        case "cuda":
            return torch.cuda.get_device_capability(chosen) >= (8, 0)
        case "mps":
            return torch.backends.mps.is_macos_or_newer(14, 0)
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


def limit_threads(chosen: torch.device, parameters: int) -> None:
    """Compute a small model on few threads.

    Its operations are so short that threads mostly wait for each other. On two cores shared with
    other work, a run of the demo model once took 370 s on two threads; on one it took 22 s.
    """
    if chosen.type == "cpu" and parameters < _SMALL_MODEL:
        cores = psutil.cpu_count(logical=False) or 1
        torch.set_num_threads(max(1, min(torch.get_num_threads(), cores // 2, 4)))


def free_memory_gb(chosen: torch.device) -> float:
    """Return the memory a run could still take."""
    if chosen.type == "cuda":
        return torch.cuda.mem_get_info(chosen)[0] / _GIGA
    return psutil.virtual_memory().available / _GIGA


def peak_memory_gb(chosen: torch.device) -> float:
    """Return the peak of the device's memory; on processor and MPS, of the process."""
    if chosen.type == "cuda":
        return torch.cuda.max_memory_allocated(chosen) / _GIGA
    return process_memory.peak_bytes() / _GIGA
