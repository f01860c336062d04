"""A sound adapter of the demo model, written with numpy only, and ways to change its files."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from easytune import demo, model_files

WEIGHTS, CONFIG, TOKENIZER = "adapter_model.safetensors", "adapter_config.json", "tokenizer.json"
LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
RANK = 4
Tensors = dict[str, np.ndarray]
_TYPES = {"float32": "F32", "float16": "F16", "float64": "F64", "int8": "I8", "uint16": "BF16"}


def config(**changes: Any) -> dict[str, Any]:
    """Return the options that PEFT writes for such an adapter."""
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "demo",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": ["q_proj", "v_proj"],
        "bias": "none",
        "inference_mode": True,
        **changes,
    }


def tensors() -> Tensors:
    """Return the halves of every layer's product."""
    chance = np.random.default_rng(5)
    found: Tensors = {}
    for name, facts in model_files.all_tensors(demo.MODEL).items():
        module = name.removesuffix(".weight")
        if module.endswith(("q_proj", "v_proj")):
            rows, columns = facts["shape"]
            for part, shape in (("A", (RANK, columns)), ("B", (rows, RANK))):
                key = f"base_model.model.{module}.lora_{part}.weight"
                found[key] = (chance.standard_normal(shape) * 0.02).astype(np.float32)
    return found


def save(path: Path, content: Tensors, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file."""
    header: dict[str, Any] = {"__metadata__": metadata or {"format": "pt"}}
    place = 0
    for name, tensor in content.items():
        size = tensor.nbytes
        header[name] = {
            "dtype": _TYPES[tensor.dtype.name],
            "shape": list(tensor.shape),
            "data_offsets": [place, place + size],
        }
        place += size
    write(path, header, b"".join(tensor.tobytes() for tensor in content.values()))


def write(path: Path, header: Any, body: bytes) -> None:
    """Write a safetensors file with a header that need not be true."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + body)


def make(folder: Path) -> Path:
    """Write the adapter and return its folder."""
    folder.mkdir(parents=True)
    (folder / CONFIG).write_text(json.dumps(config()))
    save(folder / WEIGHTS, tensors())
    return folder


def with_config(**changes: Any) -> Callable[[Path], None]:
    """Return what changes options of an adapter in a folder."""

    def change(folder: Path) -> None:
        (folder / CONFIG).write_text(json.dumps(config(**changes)))

    return change


def with_text(name: str, text: str | bytes) -> Callable[[Path], None]:
    """Return what writes one file."""

    def change(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    return change


def with_tensors(change: Callable[[Tensors], object], **options: Any) -> Callable[[Path], None]:
    """Return what changes the weights, and the options beside them."""

    def apply(folder: Path) -> None:
        content = tensors()
        change(content)
        save(folder / WEIGHTS, content)
        (folder / CONFIG).write_text(json.dumps(config(**options)))

    return apply


def adding(name: str, *shape: int) -> Callable[[Tensors], object]:
    """Return what adds a tensor of ones."""
    return lambda content: content.update({name: np.ones(shape, np.float32)})


def with_header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return what changes a header and leaves the rest of the file as it is."""

    def apply(folder: Path) -> None:
        raw = (folder / WEIGHTS).read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        change(header)
        write(folder / WEIGHTS, header, raw[8 + length :])

    return apply


def with_tokenizer(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return what brings the base's tokenizer along, changed."""

    def apply(folder: Path) -> None:
        shutil.copy(demo.MODEL / "tokenizer_config.json", folder)
        content = json.loads((demo.MODEL / TOKENIZER).read_text(encoding="utf-8"))
        change(content)
        (folder / TOKENIZER).write_text(json.dumps(content), encoding="utf-8")

    return apply


def with_template(body: str) -> Callable[[Path], None]:
    """Return what brings a template along: the base's own, and `body` before it."""
    own = (demo.MODEL / "chat_template.jinja").read_text(encoding="utf-8")
    return with_text("chat_template.jinja", body + own)
