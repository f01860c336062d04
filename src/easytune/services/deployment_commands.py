"""How each server program is started. Argument lists only: nothing here passes a shell."""

import json
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from easytune.deployment import Engine
from easytune.deployment_errors import EngineMissing, EngineUnfit
from easytune.deployment_files import Deployment, DeploymentFolder
from easytune.found_model import FoundModel
from easytune.job import slug
from easytune.services import ports
from easytune.services.server_orders import Orders

PACKAGES: dict[Engine, str] = {"vllm": "vllm", "transformers": "transformers[serving]"}
SERVING = ("fastapi", "uvicorn", "openai")
"""What `transformers serve` imports beside transformers."""
_FORMATS = {"auto": "auto", "bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}


def is_installed(engine: Engine) -> bool:
    """Tell whether a server program is there."""
    match engine:
        case "vllm":
            return program("vllm") is not None
        case "transformers":
            is_whole = all(find_spec(package) is not None for package in SERVING)
            return is_whole and program("transformers") is not None
    return True


def installed() -> list[Engine]:
    """Return the server programs there are, ours first."""
    every: tuple[Engine, ...] = ("easytune", "vllm", "transformers")
    return [engine for engine in every if is_installed(engine)]


def program(name: str) -> str | None:
    """Return where a program is: beside our Python, else on the path."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(name, path=beside) or shutil.which(name)


def orders(deployment: Deployment, folder: DeploymentFolder) -> Orders:
    """Return how a deployment's server is started and watched."""
    engine = deployment.config.deploy.engine
    health = f"{ports.reached_at(deployment.host, deployment.port)}/health"
    shared: dict[str, Any] = {"health": health, "restarts": deployment.config.limits.restarts}
    match engine:
        case "vllm":
            variable = "VLLM_API_KEY" if deployment.config.server.key else ""
            return Orders(tuple(_vllm(deployment)), secret_variable=variable, **shared)
        case "transformers":
            return Orders(tuple(_transformers(deployment)), **shared)
    command = (sys.executable, "-m", "easytune.serving.server", str(folder.path.resolve()))
    return Orders(command, proof="instance", **shared)


def name_for_clients(engine: Engine, wanted: str, source: FoundModel) -> str:
    """Return what clients call the model: as wanted, where the server leaves a choice.

    Else by its id; where that is a folder, by its title: clients need not know where it lies.
    """
    # Pinned to one model, `transformers serve` knows it by its folder only.
    if engine == "transformers":
        return source.base_folder
    return wanted or (slug(source.title) if Path(source.id).is_absolute() else source.id)


def takes_hashes(deployment: Deployment) -> bool:
    """Tell whether the server needs only the hash of a key: others must be told the key itself."""
    return deployment.config.deploy.engine == "easytune"


def refuse(deployment: Deployment) -> None:
    """Make sure that a server program can serve this at all. Raises EngineMissing, EngineUnfit."""
    engine, config = deployment.config.deploy.engine, deployment.config
    if not is_installed(engine):
        raise EngineMissing(engine, PACKAGES[engine])
    if engine == "transformers":
        if deployment.source.is_adapter:
            raise EngineUnfit(engine, "@deploy.reason.adapter")
        if config.server.key:
            raise EngineUnfit(engine, "@deploy.reason.no_key")
        if not ports.is_loopback(deployment.host):
            raise EngineUnfit(engine, "@deploy.reason.no_login")
    if engine == "vllm" and config.loading.quantization == "8-bit":
        raise EngineUnfit(engine, "@deploy.reason.eight_bit")


def _vllm(deployment: Deployment) -> list[str]:
    source, loading = deployment.source, deployment.config.loading
    base_name = source.base if source.is_adapter else deployment.name
    command = [
        program("vllm") or "vllm", "serve", source.base_folder,
        "--served-model-name", base_name,
        "--host", deployment.host, "--port", str(deployment.port),
        "--max-num-seqs", str(deployment.config.limits.concurrent),
        "--dtype", _FORMATS[loading.precision],
    ]  # fmt: skip
    if source.is_adapter:
        rank = str(_rank(Path(source.folder)))
        command += ["--enable-lora", "--lora-modules", f"{deployment.name}={source.folder}",
                    "--max-lora-rank", rank]  # fmt: skip
    if loading.quantization == "4-bit":
        command += ["--quantization", "bitsandbytes"]
    return [*command, "--trust-remote-code"] if deployment.allow_remote_code else command


def _transformers(deployment: Deployment) -> list[str]:
    loading = deployment.config.loading
    command = [
        program("transformers") or "transformers", "serve", deployment.source.base_folder,
        "--host", deployment.host, "--port", str(deployment.port),
        "--dtype", _FORMATS[loading.precision], "--device", loading.device,
    ]  # fmt: skip
    if loading.quantization in ("8-bit", "4-bit"):
        command += ["--quantization", f"bnb-{loading.quantization.replace('-', '')}"]
    return [*command, "--trust-remote-code"] if deployment.allow_remote_code else command


def _rank(adapter: Path) -> int:
    """Return a rank that vLLM allows and the adapter fits: a power of two from 8 on."""
    try:
        content = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
        ranks = [content.get("r") or 0, *(content.get("rank_pattern") or {}).values()]
        largest = max(int(rank) for rank in ranks)
    except (OSError, ValueError, TypeError, AttributeError):
        largest = 16
    return max(8, 1 << (largest - 1).bit_length())
