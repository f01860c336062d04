"""The child that turns one pickle into safetensors, see `conversion`. Writes one JSON line.

`python -m easytune.engine.inspecting.unpickling <pickle> <safetensors>`
"""

import ctypes
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import psutil
import torch
from safetensors.torch import save_file
from torch import Tensor

from easytune.inspecting import confinement

_CPU_SECONDS = 600
_SPARE_BYTES = 1 << 30
# From linux/sched.h: namespaces of users and of the network.
_NEW_USER, _NEW_NETWORK = 0x10000000, 0x40000000
_GLOBAL = re.compile(r"(?:GLOBAL|global:?)\s+([\w.]+)")
_MOST_TENSORS = 100_000


def main() -> int:
    """Convert the file named first; 0 when it is done."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    locks = _lock(source)
    try:
        count = convert(source, target)
    # An edge: a stranger's file can break torch in any way, and each of them is a refusal.
    except BaseException as problem:  # noqa: BLE001
        target.unlink(missing_ok=True)
        print(json.dumps({"reason": _reason(problem), "isolation": locks}), flush=True)
        return 1
    print(json.dumps({"tensors": count, "isolation": locks}), flush=True)
    return 0


def _lock(source: Path) -> list[str]:
    """Give up what is not needed; return what could be given up."""
    locks = ["environment", "session"]
    if _leave_network():
        locks.append("network")
    size = source.stat().st_size
    # torch itself has mapped gigabytes of libraries by now.
    memory = psutil.Process().memory_info().vms + 4 * size + _SPARE_BYTES
    if confinement.hold(_CPU_SECONDS, memory, 2 * size + (1 << 20), files=256):
        locks.append("limits")
    return locks


def _leave_network() -> bool:
    """Enter a network namespace without any interface. Linux, where users may."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    both = libc.unshare(_NEW_USER | _NEW_NETWORK) == 0
    return both or libc.unshare(_NEW_NETWORK) == 0


def convert(source: Path, target: Path) -> int:
    """Write the tensors of a pickle as safetensors; return how many there are.

    Raises whatever torch raises for what is no plain table of tensors, and ValueError.
    """
    loaded = torch.load(source, map_location="cpu", weights_only=True)
    tensors = dict(_tensors(loaded))
    if not tensors:
        raise ValueError("no tensors")
    # A view can be a million times as large as what it shows.
    total = sum(one.numel() * one.element_size() for one in tensors.values())
    if total > 2 * source.stat().st_size + 4096:
        raise ValueError("tensors larger than the file")
    save_file({name: one.contiguous().clone() for name, one in tensors.items()}, target,
              metadata={"format": "pt"})  # fmt: skip
    with target.open("rb+") as file:
        os.fsync(file.fileno())
    return len(tensors)


def _tensors(loaded: Any) -> list[tuple[str, Tensor]]:
    """Return name -> tensor, also of checkpoints that wrap them. Raises ValueError for others."""
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or len(loaded) > _MOST_TENSORS:
        raise ValueError("no table of tensors")
    strange = [k for k, v in loaded.items() if not isinstance(k, str) or not _is_plain(v)]
    if strange:
        raise ValueError(f"not a plain tensor: {str(strange[0])[:80]}")
    return list(loaded.items())


def _is_plain(one: Any) -> bool:
    return type(one) in (Tensor, torch.nn.Parameter) and one.layout == torch.strided


def _reason(problem: BaseException) -> str:
    """Return what was refused, in a few words: torch writes a page about it."""
    text = str(problem)
    if found := _GLOBAL.search(text):
        return found[1]
    return f"{type(problem).__name__}: {text.strip().splitlines()[0][:120] if text.strip() else ''}"


if __name__ == "__main__":
    sys.exit(main())
