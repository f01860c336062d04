"""Where a model lies, whether its folder is whole, and what its files say about it. No torch."""

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from easytune import demo, model_hubs, paths
from easytune.config import ModelSection
from easytune.errors import ModelIncomplete, ModelMissing, ModelPickled

_INDEX = "model.safetensors.index.json"
_PICKLES = ("pytorch_model.bin", "pytorch_model.bin.index.json", "*.pt", "*.pth", "*.bin", "*.ckpt")
_NOT_LINEAR = re.compile(r"embed|wte|wpe|lm_head|output_layer|rotary|norm|conv|router|\.gate$")
_HEADER_LIMIT = 100_000_000
_SLICE, _SLICES, _WHOLE_LIMIT = 1 << 20, 32, 64 << 20


@dataclass(frozen=True)
class ModelFacts:
    """What a model's files say about it. `parameters` is None when only loading would tell."""

    architecture: str
    parameters: int | None
    size_gb: float
    context_length: int | None
    vocabulary: int | None


def resolve(model: ModelSection, home: Path) -> Path | None:
    """Return the local folder of a model; None for a hub model that is not downloaded yet.

    Looked for in this order: "demo", a folder, a folder in the home's `models`, the hub cache.
    Raises ModelMissing for a path that does not exist.
    """
    name = model.base_model
    if name == "demo":
        return demo.MODEL
    for folder in (Path(name).expanduser(), paths.models(home) / name):
        if folder.is_dir():
            return folder.resolve()
    if not model_hubs.is_hub_id(name):
        raise ModelMissing(model=name)
    cached = model_hubs.cached(model)
    return cached if cached is not None and _is_whole(cached, model.allow_pickle) else None


def fetch(model: ModelSection, home: Path) -> Path:
    """Return the local folder of a model, downloading it when it is not here yet.

    Raises ModelMissing, ModelGated, ModelPickled, ModelIncomplete, NoNetwork, DiskFull or
    DependencyMissing.
    """
    folder = resolve(model, home) or model_hubs.download(model)
    check(folder, model.allow_pickle)
    return folder


def check(folder: Path, allow_pickle: bool) -> None:
    """Make sure that a model folder can be loaded: configuration and all weights, none cut off.

    Raises ModelIncomplete naming the first file that is missing or damaged, or ModelPickled when
    there are only pickle weights and those are not allowed.
    """
    _json(folder, "config.json")
    shards = _shards(folder)
    if not shards and any(any(folder.glob(pattern)) for pattern in _PICKLES):
        if not allow_pickle:
            raise ModelPickled(model=str(folder))
        return
    for shard in shards or ["model.safetensors"]:
        _header(folder, shard)


def linear_modules(folder: Path) -> list[str]:
    """Return the short names of the model's linear layers, such as `q_proj`, in alphabetical order.

    Empty for models without safetensors.
    """
    found: set[str] = set()
    for name, tensor in _tensors(folder):
        module, _, kind = name.rpartition(".")
        is_matrix = kind == "weight" and len(tensor.get("shape", ())) == 2
        if is_matrix and not _NOT_LINEAR.search(module):
            found.add(module.rpartition(".")[2])
    return sorted(found)


def describe(folder: Path) -> ModelFacts:
    """Return what the configuration and the weight files say, without loading weights."""
    config = _json(folder, "config.json")
    inner = config.get("text_config") or config
    counts = [math.prod(tensor.get("shape", ())) for _, tensor in _tensors(folder)]
    weights = [*folder.glob("*.safetensors"), *folder.glob("*.bin")]
    return ModelFacts(
        architecture=(config.get("architectures") or [config.get("model_type", "?")])[0],
        parameters=sum(counts) or None,
        size_gb=sum(file.stat().st_size for file in weights) / 1e9,
        context_length=inner.get("max_position_embeddings") or inner.get("n_positions"),
        vocabulary=inner.get("vocab_size"),
    )


def tensors(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return what a safetensors file declares: name -> dtype, shape, data_offsets.

    Raises ModelIncomplete when the file is missing or cut off.
    """
    return _header(folder, name)


def weight_files(folder: Path) -> list[str]:
    """Return the names of the safetensors files that a model is made of; empty without any.

    Raises ModelIncomplete when their index is damaged.
    """
    return _shards(folder)


def all_tensors(folder: Path) -> dict[str, dict[str, Any]]:
    """Return what all weight files of a model declare; empty for models without safetensors.

    Raises ModelIncomplete as `tensors` does.
    """
    return dict(_tensors(folder))


def needs_own_code(folder: Path) -> bool:
    """Tell whether only Python code from the model's folder can load it.

    Raises ModelIncomplete when config.json is missing or damaged.
    """
    config = _json(folder, "config.json")
    if "AutoModelForCausalLM" not in (config.get("auto_map") or {}):
        return False
    package = find_spec("transformers")
    kind = str(config.get("model_type", "")).replace("-", "_")
    places = (package and package.submodule_search_locations) or []
    return not kind or not any((Path(place) / "models" / kind).is_dir() for place in places)


def fingerprint(folder: Path) -> str:
    """Return a short hash of what the weights are: small files whole, of large ones some slices."""
    digest = hashlib.sha256()
    for file in sorted([*folder.glob("*.safetensors"), *folder.glob("adapter_config.json")]):
        size = file.stat().st_size
        digest.update(f"{file.name} {size}\n".encode())
        step = _SLICE if size <= _WHOLE_LIMIT else size // _SLICES
        with file.open("rb") as stream:
            for start in [*range(0, size, step), max(0, size - _SLICE)]:
                stream.seek(start)
                digest.update(stream.read(_SLICE))
    return digest.hexdigest()[:12]


def quantization(folder: Path) -> str:
    """Return how a model's weights are stored quantized, such as "bitsandbytes"; "" when not.

    Raises ModelIncomplete when config.json is missing or damaged.
    """
    found = _json(folder, "config.json").get("quantization_config")
    return str(found.get("quant_method", "?")) if isinstance(found, dict) else ""


def _is_whole(folder: Path, allow_pickle: bool) -> bool:
    try:
        check(folder, allow_pickle)
    except ModelIncomplete:
        return False
    except ModelPickled:
        return True
    return True


def _shards(folder: Path) -> list[str]:
    """Return the names of the safetensors files the model is made of."""
    if (folder / _INDEX).is_file():
        return sorted(set(_json(folder, _INDEX).get("weight_map", {}).values()))
    return ["model.safetensors"] if (folder / "model.safetensors").is_file() else []


def _tensors(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for shard in _shards(folder):
        yield from _header(folder, shard).items()


def _header(folder: Path, name: str) -> dict[str, dict[str, Any]]:
    """Return the tensors a safetensors file declares, making sure that it holds them all.

    The file begins with the length of its JSON header in 8 bytes. A download that was cut off,
    and the pointer that git leaves where large files were not fetched, both fail here.
    """
    file = folder / name
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            header = json.loads(stream.read(length)) if length < _HEADER_LIMIT else None
    except (OSError, ValueError) as error:
        raise ModelIncomplete(model=str(folder), missing=name) from error
    if not isinstance(header, dict):
        raise ModelIncomplete(model=str(folder), missing=name)
    tensors = {key: value for key, value in header.items() if key != "__metadata__"}
    end = max((value["data_offsets"][1] for value in tensors.values()), default=0)
    if file.stat().st_size < 8 + length + end:
        raise ModelIncomplete(model=str(folder), missing=name)
    return tensors


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelIncomplete(model=str(folder), missing=name) from error
    if not isinstance(content, dict):
        raise ModelIncomplete(model=str(folder), missing=name)
    return content
