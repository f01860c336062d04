"""Safe LoRA: what an adapter changes is projected onto what alignment had changed.

Hsu et al. 2024, "Safe LoRA: the Silver Lining of Reducing Safety Risks when Fine-tuning Large
Language Models": with V = W_aligned - W_unaligned of a layer and C = V V^T / |V|, a change B A
whose direction is unlike C B A is replaced by it. Weights are read layer by layer, so that no model
is in memory, and only B changes: O(d² r) for each layer. Unlike in the paper no change grows.

`python -m easytune.engine.evaluating.projection <folder>` does what `request.json` there says, and
writes `done.json` or `failed.json`. Neither PEFT nor transformers is needed, nor imported.
"""

import json
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, ConfigDict
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from easytune import records
from easytune.engine import hardware
from easytune.engine.failures import classify, first_line
from easytune.errors import ModelIncomplete
from easytune.evaluation_errors import RemedyUnfit

REQUEST, DONE, FAILED = "request.json", "done.json", "failed.json"
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
_INDEX, _SINGLE = "model.safetensors.index.json", "model.safetensors"
_PREFIX = "base_model.model."
_B = ".lora_B.weight"
_A = ".lora_A.weight"


class Copy(BaseModel):
    """A copy of the adapter that is to be projected in place, where likeness is at most so much."""

    model_config = ConfigDict(frozen=True)

    folder: str
    threshold: float


class Request(BaseModel):
    """What `request.json` holds: folders of two models of the same shape, and of copies."""

    model_config = ConfigDict(frozen=True)

    aligned: str
    unaligned: str
    copies: tuple[Copy, ...]


@dataclass(frozen=True)
class Layer:
    """One layer's change, projected; `likeness` is the cosine with the change as it was."""

    name: str
    b: Tensor
    likeness: float


def main() -> int:
    """Do what the request in the folder given on the command line says."""
    folder = Path(sys.argv[1]).resolve()
    try:
        request = Request.model_validate(records.read(folder / REQUEST))
        records.write(folder / DONE, {"layers": project(request)})
    # The edge of the process: whatever happened becomes a file.
    except BaseException as error:  # noqa: BLE001
        traceback.print_exc()
        known = classify(error, None, folder)
        values = json.loads(json.dumps(known.values, default=str))
        records.write(folder / FAILED, {"code": known.code(), "values": values})
        return 1
    return 0


def project(request: Request) -> dict[str, int]:
    """Project each copy in place, and return folder -> how many of its layers have changed.

    Raises RemedyUnfit when the three do not fit together, or the two models are the same.
    """
    source = Path(request.copies[0].folder)
    with torch.no_grad(), ExitStack() as open_files:
        models = [
            _Weights(Path(folder), open_files) for folder in (request.aligned, request.unaligned)
        ]
        layers = list(_layers(source, models))
    if not layers:
        raise RemedyUnfit(source.name, "@safety.reason.same_weights")
    return {copy.folder: _write(copy, layers) for copy in request.copies}


class _Weights:
    """The weights of one model, read one by one."""

    def __init__(self, folder: Path, open_files: ExitStack) -> None:
        self._folder, self._open = folder, open_files
        self._files: dict[str, Any] = {}
        index = records.read(folder / _INDEX)
        listed: dict[str, str] | None = (index or {}).get("weight_map")
        self._by_name = listed or dict.fromkeys(self._file(_SINGLE).keys(), _SINGLE)

    def matrix(self, module: str) -> Tensor | None:
        """Return the weight of a layer, None when it has none as plain numbers."""
        # Some files leave out the first part of the name.
        for name in (f"{module}.weight", f"{module.partition('.')[2]}.weight"):
            if name in self._by_name:
                found: Tensor = self._file(self._by_name[name]).get_tensor(name)
                return found if found.is_floating_point() and found.ndim == 2 else None
        return None

    def _file(self, name: str) -> Any:
        if name not in self._files:
            try:
                opened = safe_open(self._folder / name, framework="pt")
            except (SafetensorError, OSError) as error:
                raise ModelIncomplete(str(self._folder), f"{name}: {first_line(error)}") from error
            self._files[name] = self._open.enter_context(opened)
        return self._files[name]


def _layers(source: Path, models: Sequence[_Weights]) -> Iterator[Layer]:
    """Yield the projected change of each layer that alignment has changed."""
    config = records.read(source / CONFIG) or {}
    device = hardware.device("auto")
    with safe_open(source / WEIGHTS, framework="pt") as file:
        keys = list(file.keys())
        if any(not key.endswith((_A, _B)) for key in keys):
            raise RemedyUnfit(source.name, "@safety.reason.not_plain")
        for key in [key for key in keys if key.endswith(_B)]:
            module = key.removeprefix(_PREFIX).removesuffix(_B)
            a = file.get_tensor(key.removesuffix(_B) + _A).to(device, torch.float32)
            b = file.get_tensor(key).to(device, torch.float32)
            found = [model.matrix(module) for model in models]
            change = _difference(source.name, module, found, bool(config.get("fan_in_fan_out")))
            if change.shape != (b.shape[0], a.shape[1]):
                raise RemedyUnfit(source.name, f"{module} @engine.reason.other_shape")
            if float(change.norm()) > 0:
                projected, likeness = projection(a, b, change.to(device))
                yield Layer(key, projected.cpu(), likeness)


def _difference(name: str, module: str, found: Sequence[Tensor | None], transposed: bool) -> Tensor:
    aligned, unaligned = found
    if aligned is None or unaligned is None:
        raise RemedyUnfit(name, f"{module} @engine.reason.no_layer")
    if aligned.shape != unaligned.shape:
        raise RemedyUnfit(name, f"{module} @engine.reason.other_shape")
    change = aligned.float() - unaligned.float()
    return change.t() if transposed else change


def projection(a: Tensor, b: Tensor, change: Tensor) -> tuple[Tensor, float]:
    """Return B of the projected change, and the cosine of B A before and after.

    `a` (r, in), `b` (out, r) and `change` (out, in), which is not all zero.
    """
    projected = change @ (change.t() @ b) / change.norm()
    gram = a @ a.t()
    before, after = _inner(b, b, gram), _inner(projected, projected, gram)
    if min(before, after) <= 0:
        return projected, 1.0
    likeness = _inner(b, projected, gram) / (before * after) ** 0.5
    # V V^T / |V| stretches where alignment has changed much; a remedy must not add.
    return projected * min(1.0, (before / after) ** 0.5), likeness


def _inner(first: Tensor, second: Tensor, gram: Tensor) -> float:
    """Return the inner product of two changes B A with the same A, given A A^T."""
    return float(((first.t() @ second) * gram).double().sum())


def _write(copy: Copy, layers: Sequence[Layer]) -> int:
    """Put the projected changes into a copy's weights; return how many there are."""
    path = Path(copy.folder) / WEIGHTS
    chosen = {one.name: one.b for one in layers if one.likeness <= copy.threshold}
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    for name, b in chosen.items():
        tensors[name] = b.to(tensors[name].dtype).contiguous()
    draft = path.with_suffix(".draft")
    save_file(tensors, draft, metadata)
    draft.replace(path)
    return len(chosen)


if __name__ == "__main__":
    sys.exit(main())
