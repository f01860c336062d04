"""A model's shape from its folder: config.json first, then what its weight files declare."""

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from easytune import model_files
from easytune.errors import ArchitectureUnknown, ModelIncomplete
from easytune.model_shape import layouts
from easytune.model_shape.inside import inside
from easytune.model_shape.names import group, is_expert, takes_adapter
from easytune.model_shape.sizes import Sizes, sizes
from easytune.shapes import Linear, ModelShape

_NOT_LINEAR = re.compile(r"embed|wte|wpe|lm_head|output_layer|rotary|norm|conv|relative_attention")
# Beside a quantized weight lie its scales; they are no parameters of the model.
_SCALES = re.compile(
    r"(scales?|qzeros|g_idx|absmax|quant_map|SCB|weight_scale\w*|weight_shape|weight_format"
    r"|weight_zero_point|input_scale|activation_scale)$|\.nested_|quant_state"
)
_PACKED = (".qweight", ".weight_packed")
_TRANSPOSED = ("gpt2", "openai-gpt")
_BYTES = {"float32": 4.0, "float": 4.0, "float16": 2.0, "bfloat16": 2.0, "float8_e4m3fn": 1.0}
_PICKLE_INDEX = "pytorch_model.bin.index.json"

Tensors = Mapping[str, Mapping[str, Any]]


def read(folder: Path) -> ModelShape:
    """Return the shape of the model in `folder`.

    Raises ModelIncomplete without a readable config.json, or when weight files are cut off, and
    ArchitectureUnknown when no linear layer is known.
    """
    files = sorted(file for file in folder.glob("*") if file.suffix in (".json", ".safetensors"))
    return _read(folder, tuple(_stamp(file) for file in files))


def _stamp(file: Path) -> tuple[str, int, int]:
    try:
        status = file.stat()
    except OSError:
        return file.name, 0, 0
    return file.name, status.st_mtime_ns, status.st_size


# Asked for at every keystroke; the headers of a large model take a second.
@lru_cache(maxsize=32)
def _read(folder: Path, _files: tuple[tuple[str, int, int], ...]) -> ModelShape:
    config = _json(folder, "config.json")
    known = sizes(config)
    tensors = model_files.all_tensors(folder)
    found = tuple(_declared(tensors, known)) if tensors else _from_names(folder, known)
    if not found or not known.hidden:
        raise ArchitectureUnknown(model=str(folder), architecture=_architecture(config))
    parameters = _counted(tensors, known) if tensors else _computed(found, known)
    return ModelShape(
        family=known.family,
        hidden=known.hidden,
        layers=known.layers,
        inner=known.inner,
        heads=known.heads,
        kv_heads=known.kv_heads,
        vocabulary=known.vocabulary,
        context=known.context,
        parameters=parameters,
        tied=_has_no_head(tensors, known) if tensors else known.tied,
        stored_bytes=_stored_bytes(folder, config, tensors, parameters),
        linears=found,
        inside=inside(config, tensors, known),
    )


def _json(folder: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelIncomplete(model=str(folder), missing=name) from error
    if not isinstance(content, dict):
        raise ModelIncomplete(model=str(folder), missing=name)
    return content


def _architecture(config: Mapping[str, Any]) -> str:
    named = config.get("architectures")
    first = named[0] if isinstance(named, list) and named else None
    return str(first or config.get("model_type") or "?")


def _declared(tensors: Tensors, known: Sizes) -> Iterator[Linear]:
    """Yield the linear layers that weight files declare, alike ones as one."""
    counts: Counter[tuple[str, int, int, str]] = Counter()
    for name, tensor in tensors.items():
        path, _, kind = name.rpartition(".")
        if kind in ("bias", "") or _SCALES.search(name):
            continue
        for owner, inputs, outputs, count in _matrices(name, path, tensor, tensors, known):
            if takes_adapter(owner) or is_expert(owner):
                key = (owner.rpartition(".")[2], inputs, outputs, group(owner))
                counts[key] += count
    for (name, inputs, outputs, part), count in counts.items():
        yield Linear(name, inputs, outputs, count, part)  # type: ignore[arg-type]


def _matrices(
    name: str, path: str, tensor: Mapping[str, Any], tensors: Tensors, known: Sizes
) -> Iterator[tuple[str, int, int, int]]:
    """Yield (module, inputs, outputs, how many) for a tensor that holds linear layers."""
    shape = tuple(tensor.get("shape", ()))
    if len(shape) >= 3 and is_expert(name) and not name.endswith("bias"):
        yield _stacked(name, shape, known)
    elif name.endswith(_PACKED) or f"{name}.absmax" in tensors:
        found = layouts.widths(path, known)
        if found is not None:
            yield path, *found, 1
    elif name.endswith(".weight") and len(shape) == 2 and not _is_outside(path, shape, known):
        rows, columns = shape[::-1] if known.family in _TRANSPOSED else shape
        yield path, columns, rows, 1


def _stacked(name: str, shape: tuple[int, ...], known: Sizes) -> tuple[str, int, int, int]:
    """Return the experts that lie in one tensor; four dimensions are blocks of packed numbers."""
    plain = re.sub(r"(_blocks|\.weight)$", "", name)
    if len(shape) == 4:
        return plain, shape[2] * shape[3] * 2, shape[1], shape[0]
    first, second = shape[-2:]
    goes_in = plain.rpartition(".")[2] not in ("down_proj", "w2", "output_linear")
    # Stored either way round; what faces the residual stream has the hidden width.
    inputs_first = (first == known.hidden) == goes_in
    inputs, outputs = (first, second) if inputs_first else (second, first)
    return plain, inputs, outputs, shape[0]


def _is_outside(path: str, shape: tuple[int, ...], known: Sizes) -> bool:
    """Tell whether a matrix is an embedding, a head or a norm, and no linear layer."""
    in_a_layer = any(part.isdigit() for part in path.split("."))
    is_vocabulary = not in_a_layer and shape[0] >= known.vocabulary > 0
    return is_vocabulary or bool(_NOT_LINEAR.search(path))


def _from_names(folder: Path, known: Sizes) -> tuple[Linear, ...]:
    """Return the linear layers of a model whose files tell names at most."""
    if not (folder / _PICKLE_INDEX).is_file():
        return layouts.linears(known)
    names = _json(folder, _PICKLE_INDEX).get("weight_map", {})
    found = tuple(_named(names, known))
    return found or layouts.linears(known)


def _named(names: Iterable[str], known: Sizes) -> Iterator[Linear]:
    counts: Counter[tuple[str, int, int, str]] = Counter()
    for name in names:
        path, _, kind = name.rpartition(".")
        found = layouts.widths(path, known) if kind in ("weight", "qweight") else None
        usable = takes_adapter(path) or is_expert(path)
        if found is not None and usable and not _NOT_LINEAR.search(path):
            counts[(path.rpartition(".")[2], *found, group(path))] += 1
    for (name, inputs, outputs, part), count in counts.items():
        yield Linear(name, inputs, outputs, count, part)  # type: ignore[arg-type]


def _counted(tensors: Tensors, known: Sizes) -> int:
    return sum(_numbers(name, tensor, tensors, known) for name, tensor in tensors.items())


def _numbers(name: str, tensor: Mapping[str, Any], tensors: Tensors, known: Sizes) -> int:
    """Return how many numbers a tensor stands for; packed ones hold several in one."""
    if _SCALES.search(name):
        return 0
    stored = math.prod(tensor.get("shape", ()))
    if name.endswith("_blocks") or f"{name}.absmax" in tensors:
        return 2 * stored
    if name.endswith(_PACKED):
        found = layouts.widths(name.rpartition(".")[0], known)
        return math.prod(found) if found else 8 * stored
    return stored


def _computed(found: Iterable[Linear], known: Sizes) -> int:
    """Return the parameters of a model whose files do not tell: linear layers and embeddings."""
    embeddings = known.vocabulary * known.hidden * (1 if known.tied else 2)
    return embeddings + sum(one.count * one.inputs * one.outputs for one in found)


def _has_no_head(tensors: Tensors, known: Sizes) -> bool:
    heads = ("lm_head", "embed_out", "output_layer", "output")
    named = (name.removesuffix(".weight").rpartition(".")[2] for name in tensors)
    return known.tied or not any(name in heads for name in named)


def _stored_bytes(
    folder: Path, config: Mapping[str, Any], tensors: Tensors, parameters: int
) -> float:
    spans = [tensor["data_offsets"] for tensor in tensors.values()]
    total = sum(end - start for start, end in spans)
    total = total or sum(file.stat().st_size for file in folder.glob("pytorch_model*.bin"))
    if total and parameters:
        return total / parameters
    text = config.get("text_config")
    inner = text if isinstance(text, dict) else config
    named = str(inner.get("dtype") or inner.get("torch_dtype") or config.get("torch_dtype") or "")
    return _BYTES.get(named, 2.0)
