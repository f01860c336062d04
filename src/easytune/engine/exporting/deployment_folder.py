"""Writes the folder that serves a model elsewhere. There is no secret in it: keys come at start."""

import json
import math
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from easytune import model_files, records
from easytune.engine.exporting import merged_model
from easytune.engine.exporting.gguf_export import file_stem
from easytune.export_files import export_name
from easytune.exporters import deployment
from easytune.i18n import t

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

MODEL = "model"
_DOCKERIGNORE = "*\n!model\n"
_GIGA = 1e9
# Besides the weights: what is computed, and some conversations that are kept in mind.
_ROOM, _AT_LEAST_GB = 1.2, 2.0


def write(session: "Session", options: deployment.Options) -> str:
    """Write everything into `session.work`; return the number format of the weights.

    Raises what `merged_model.write` raises.
    """
    folder = session.work / MODEL
    number_format = merged_model.write(session, folder, options.number_format)
    for note in session.work.glob(".*.shards.json"):
        # What the merge would go on from; nobody needs it on another machine.
        note.unlink()
    name = file_stem(export_name(session.order)).lower()
    command = serve(options, name, f"/{MODEL}")
    for file, text in (
        ("Dockerfile", _dockerfile(options, command)),
        (".dockerignore", _DOCKERIGNORE),
        ("start.sh", _start(options, name)),
        ("README.md", _readme(session, options, name, number_format)),
    ):
        records.write_text(session.work / file, text)
    (session.work / "start.sh").chmod(0o755)
    return number_format


def serve(options: deployment.Options, name: str, folder: str) -> list[str]:
    """Return the command, without a key, that serves a folder under a name."""
    length = options.context_length
    match options.server:
        case "vllm":
            command = ["vllm", "serve", folder, "--served-model-name", name]
            limit = ["--max-model-len", str(length)] if length else []
            return [
                *command, "--host", "0.0.0.0", "--port", str(options.port),
                "--tensor-parallel-size", str(options.gpus), *limit,
            ]  # fmt: skip
        case "tgi":
            limit = ["--max-total-tokens", str(length)] if length else []
            return [
                "text-generation-launcher", "--model-id", folder, "--hostname", "0.0.0.0",
                "--port", str(options.port), "--num-shard", str(options.gpus), *limit,
            ]  # fmt: skip


def _dockerfile(options: deployment.Options, command: list[str]) -> str:
    image = options.image or deployment.IMAGES[options.server]
    return (
        f"FROM {image}\nCOPY {MODEL} /{MODEL}\n"
        "ENV HF_HUB_OFFLINE=1 TRANSFORMERS_OFFLINE=1 VLLM_NO_USAGE_STATS=1\n"
        f"EXPOSE {options.port}\nENTRYPOINT {json.dumps(command)}\n"
    )


def _start(options: deployment.Options, name: str) -> str:
    port, key = options.port, deployment.KEYS[options.server]
    return (
        "#!/bin/sh\n"
        f"# Builds the image and serves the model on this machine alone, at port {port}.\n"
        f"# The key is taken from the environment: {key}=... ./start.sh\n"
        'set -eu\ncd "$(dirname "$0")"\n'
        f': "${{{key}:?}}"\n'
        f"docker build -t {shlex.quote(name)} .\n"
        f"exec docker run --rm --gpus all --ipc=host -p 127.0.0.1:{port}:{port} -e {key} "
        f"{shlex.quote(name)}\n"
    )


def _readme(session: "Session", options: deployment.Options, name: str, number_format: str) -> str:
    weights_gb = _weights(session.work / MODEL) / _GIGA
    asked = {"model": name, "messages": [{"role": "user", "content": "Hello"}]}
    curl = (
        f"curl http://127.0.0.1:{options.port}/v1/chat/completions \\\n"
        f'  -H "Authorization: Bearer ${deployment.KEYS[options.server]}" \\\n'
        f'  -H "Content-Type: application/json" \\\n  -d {shlex.quote(json.dumps(asked))}'
    )
    needed_gb = max(_AT_LEAST_GB, weights_gb * _ROOM + 1)
    return t(
        "export.deployment.readme", options.language,
        name=name, server={"vllm": "vLLM", "tgi": "TGI"}[options.server], format=number_format,
        weights_gb=f"{weights_gb:.2f}", needed_gb=math.ceil(needed_gb), gpus=options.gpus,
        port=options.port, key=deployment.KEYS[options.server], curl=curl,
        command=shlex.join(serve(options, name, f"./{MODEL}")),
    )  # fmt: skip


def _weights(folder: Path) -> int:
    return sum((folder / name).stat().st_size for name in model_files.weight_files(folder))
