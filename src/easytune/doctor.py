"""What this machine can do, and how to mend what is missing. torch is asked in a child process."""

import importlib.metadata
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import psutil

from easytune.i18n import has, t

Level = Literal["good", "advice", "broken"]
OLDEST_PYTHON = (3, 11)
NEEDED_DISK_GB = 2.0
ROOMY_DISK_GB = 20.0
NEEDED_MEMORY_GB = 3.0
PROBE_SECONDS = 120

_PROBE = """
import importlib.util, json
import torch
from easytune.engine import hardware
device = hardware.device("auto")
facts = {"version": torch.__version__, "device": device.type, "name": hardware.device_name(device)}
facts["built_for"] = "cuda" if torch.version.cuda else "rocm" if torch.version.hip else "cpu"
facts["memory_gb"] = hardware.free_memory_gb(device)
facts["bf16"] = hardware.has_bf16(device)
try:
    import bitsandbytes
    facts["bitsandbytes"] = bitsandbytes.__version__
except Exception as error:
    if importlib.util.find_spec("bitsandbytes"):
        facts["bitsandbytes_error"] = str(error).strip()[-200:] or type(error).__name__
print("\\n" + json.dumps(facts))
"""


@dataclass(frozen=True)
class Finding:
    """One thing found. Its text is `doctor.<code>`, how to mend it `doctor.mend.<code>`."""

    area: str
    code: str
    level: Level = "good"
    values: dict[str, Any] = field(default_factory=dict)

    def sentence(self, lang: str = "en") -> str:
        """Return what was found, in words."""
        return t(f"doctor.{self.code}", lang, **self.values)

    def remedy(self, lang: str = "en") -> str | None:
        """Return what to do about it, if anything."""
        key = f"doctor.mend.{self.code}"
        return t(key, lang, **self.values) if has(key) else None


def examine(home: Path, port: int, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Yield findings as they are made; asking torch takes some seconds.

    `port` is where the app would listen, `environment` that of the shell (for proxies).
    """
    yield _python(sys.version_info[:3])
    yield _packages()
    yield from _torch()
    yield _memory(psutil.virtual_memory().total / 1e9)
    yield Finding("cores", "cores", values={"count": _cores()})
    yield _disk(home)
    yield examine_proxy(environment)
    yield examine_port(port)


def _python(version: tuple[int, int, int]) -> Finding:
    values = {"version": ".".join(map(str, version))}
    if version < OLDEST_PYTHON:
        return Finding("python", "python_old", "broken", values)
    return Finding("python", "python", values=values)


def _packages() -> Finding:
    """Check that everything EasyTune requires is installed."""
    required = importlib.metadata.requires("easytune") or []
    names = [
        re.split(r"[^\w.-]", line, maxsplit=1)[0] for line in required if "extra ==" not in line
    ]
    missing = [name for name in names if not _is_installed(name)]
    if missing:
        return Finding("packages", "packages_missing", "broken", {"names": ", ".join(missing)})
    return Finding("packages", "packages", values={"count": len(names)})


def _is_installed(name: str) -> bool:
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _torch() -> Iterator[Finding]:
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE], capture_output=True, text=True, timeout=PROBE_SECONDS,
            stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        yield Finding("torch", "torch_slow", "broken", {"seconds": PROBE_SECONDS})
        return
    if probe.returncode != 0:
        lines = probe.stderr.strip().splitlines()
        reason = lines[-1] if lines else f"exit {probe.returncode}"
        yield Finding("torch", "torch_broken", "broken", {"reason": reason})
        return
    yield from judge_torch(json.loads(probe.stdout.strip().splitlines()[-1]), has_nvidia_gpu())


def judge_torch(facts: dict[str, Any], nvidia_gpu: bool) -> Iterator[Finding]:
    """Yield what the facts torch gave mean. `nvidia_gpu`: the driver sees a GPU."""
    yield Finding("torch", "torch", values={"version": facts["version"]})
    device = {"name": facts["name"], "memory_gb": f"{facts['memory_gb']:.1f}"}
    if facts["device"] != "cpu":
        yield Finding("gpu", "gpu", values=device)
    elif nvidia_gpu:
        yield Finding("gpu", "gpu_unused", "advice", {"built_for": facts["built_for"]})
    else:
        yield Finding("gpu", "no_gpu", "advice")
    yield Finding("bf16", "bf16" if facts["bf16"] else "no_bf16")
    if "bitsandbytes" in facts:
        yield Finding("qlora", "bitsandbytes", values={"version": facts["bitsandbytes"]})
    elif "bitsandbytes_error" in facts:
        broken = {"reason": facts["bitsandbytes_error"]}
        yield Finding("qlora", "bitsandbytes_broken", "advice", broken)
    else:
        yield Finding("qlora", "no_bitsandbytes", "advice")


def has_nvidia_gpu() -> bool:
    """Tell whether an NVIDIA driver is loaded, whatever torch can do with it."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _memory(total_gb: float) -> Finding:
    values = {"total_gb": f"{total_gb:.1f}"}
    if total_gb < NEEDED_MEMORY_GB:
        return Finding("memory", "memory_low", "advice", values)
    return Finding("memory", "memory", values=values)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _disk(home: Path) -> Finding:
    existing = next(folder for folder in (home, *home.parents) if folder.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    values = {"free_gb": f"{free_gb:.1f}", "folder": str(home)}
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        return Finding("disk", "home_unwritable", "broken", values)
    if free_gb < NEEDED_DISK_GB:
        return Finding("disk", "disk_full", "broken", values)
    return Finding("disk", "disk" if free_gb > ROOMY_DISK_GB else "disk_small", values=values)


def examine_proxy(environment: Mapping[str, str]) -> Finding:
    """Tell whether a proxy is also asked for this machine's own address: then pages do not load."""
    names = {name.lower(): value for name, value in environment.items()}
    set_here = [n for n in ("http_proxy", "https_proxy", "all_proxy") if names.get(n)]
    if not set_here:
        return Finding("proxy", "no_proxy")
    exempt = {part.strip().lower() for part in names.get("no_proxy", "").split(",")}
    missing = [host for host in ("localhost", "127.0.0.1") if not exempt & {host, "*"}]
    values = {"names": ", ".join(set_here), "missing": ",".join(missing)}
    if missing:
        return Finding("proxy", "proxy_trouble", "advice", values)
    return Finding("proxy", "proxy", values=values)


def examine_port(port: int) -> Finding:
    """Tell whether somebody listens on the port already."""
    with socket.socket() as probe:
        probe.settimeout(1)
        taken = probe.connect_ex(("127.0.0.1", port)) == 0
    return Finding("port", "port_taken" if taken else "port", values={"port": port})
