"""How an export is used: the commands that a person would otherwise have to look up."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from easytune.export_files import Certificate
from easytune.exporters import deployment
from easytune.i18n import t
from easytune.job import slug


@dataclass(frozen=True)
class Use:
    """One way to use an export."""

    title: str
    command: str
    """Lines for a shell, or for Python."""


def uses(certificate: Certificate, artefact: Path, lang: str) -> list[Use]:
    """Return how an export that lies in `artefact` is used, the simplest way first."""
    return [
        Use(t(f"export.use.{key}", lang), command)
        for key, command in _commands(certificate, artefact)
    ]


def _commands(certificate: Certificate, artefact: Path) -> Iterator[tuple[str, str]]:
    place, name = shlex.quote(str(artefact)), slug(certificate.name)
    files = [artefact / one.path for one in certificate.files]
    match certificate.target:
        case "adapter":
            yield "chat", f"easytune chat {place}"
            yield "vllm_adapter", _vllm_adapter(certificate, place, name)
            yield "python", _peft(certificate, artefact)
        case "merged" | "quantized":
            yield "chat", f"easytune chat {place}"
            yield "vllm", f"vllm serve {place} --served-model-name {name}"
            yield "python", _transformers(artefact)
        case "gguf":
            gguf = next((str(one) for one in files if one.suffix == ".gguf"), str(artefact))
            if certificate.options.get("gguf", {}).get("content") == "adapter":
                gguf = f"BASE.gguf --lora {shlex.quote(gguf)}"
            else:
                gguf = shlex.quote(gguf)
            yield "llama_server", f"llama-server -m {gguf} --port 8080"
            if any(one.name == "Modelfile" for one in files):
                yield "ollama", _ollama(artefact, name)
        case "ollama":
            yield "ollama", _ollama(artefact, name)
        case "onnx":
            onnx = next((str(one) for one in files if one.suffix == ".onnx"), str(artefact))
            yield "python", f"import onnxruntime\nonnxruntime.InferenceSession({onnx!r})"
        case "deployment":
            server = certificate.options.get("deployment", {}).get("server", "vllm")
            key = deployment.KEYS[server]
            yield "docker", f"cd {place} && {key}=choose-a-long-secret ./start.sh"
        case "hub":
            return


def _vllm_adapter(certificate: Certificate, place: str, name: str) -> str:
    base = shlex.quote(certificate.sources[0].base_folder)
    return f"vllm serve {base} --enable-lora --lora-modules {name}={place}"


def _peft(certificate: Certificate, artefact: Path) -> str:
    base = certificate.sources[0].base_folder
    return (
        "from peft import PeftModel\nfrom transformers import AutoModelForCausalLM\n"
        f"base = AutoModelForCausalLM.from_pretrained({base!r})\n"
        f"model = PeftModel.from_pretrained(base, {str(artefact)!r})"
    )


def _transformers(artefact: Path) -> str:
    return (
        "from transformers import pipeline\n"
        f'pipeline("text-generation", {str(artefact)!r})'
    )  # fmt: skip


def _ollama(artefact: Path, name: str) -> str:
    modelfile = shlex.quote(str(artefact / "Modelfile"))
    return f"ollama create {name} -f {modelfile}\nollama run {name}"
