"""Whether an adapter fits a base model, told from the headers of their files. No torch."""

import re
from pathlib import Path
from typing import Any

from easytune import model_files, records
from easytune.errors import AdapterMismatch, EasyTuneError, ModelIncomplete
from easytune.inference_errors import AdapterPickled
from easytune.inspection_files import IMPORT_RECORD, MODEL

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PICKLES = ("adapter_model.bin", "pytorch_model.bin", "*.bin", "*.pt", "*.pth")
_PREFIX = "base_model.model."
_WHOLE_NUMBERS = ("F64", "F32", "F16", "BF16")
Shapes = dict[str, tuple[int, ...]]


def is_adapter(folder: Path) -> bool:
    """Tell whether a folder holds an adapter rather than a whole model."""
    return (folder / CONFIG).is_file()


def trained_on(folder: Path) -> str:
    """Return the base model as the adapter names it, "" when it names none.

    Of an import that is the base which its user chose: a stranger's word is not followed.
    """
    if chosen := _record(folder).get("base"):
        return str(chosen)
    return str(_config(folder).get("base_model_name_or_path") or "")


def pinned_base(folder: Path) -> str:
    """Return the fingerprint of the base that an import was checked with; "" for others."""
    return str(_record(folder).get("base_fingerprint") or "")


def problem_of(folder: Path) -> EasyTuneError | None:
    """Return why an adapter's own files cannot be used; None when they can."""
    if not (folder / WEIGHTS).is_file():
        if any(any(folder.glob(pattern)) for pattern in _PICKLES):
            return AdapterPickled(adapter=str(folder))
        return ModelIncomplete(model=str(folder), missing=WEIGHTS)
    if not _config(folder):
        return ModelIncomplete(model=str(folder), missing=CONFIG)
    try:
        model_files.tensors(folder, WEIGHTS)
    except ModelIncomplete as problem:
        return problem
    return None


def has_lost_its_start(folder: Path) -> bool:
    """Tell whether an adapter fits only a base that its run has changed, nobody knows how.

    A PiSSA checkpoint is read together with the start that its run keeps; without it, never.
    """
    if not str(_config(folder).get("init_lora_weights")).startswith("pissa"):
        return False
    return not any((place / "pissa_start").is_dir() for place in folder.parents)


def check(adapter: Path, base: Path) -> None:
    """Make sure that the layers an adapter changes are in the base, in the same shape.

    What headers cannot tell (quantized bases, layers under other names) is let through: the
    engine looks again. Raises AdapterMismatch naming the first layer that does not fit, or
    ModelIncomplete.
    """
    wanted = _changed_layers(model_files.tensors(adapter, WEIGHTS))
    found = _layers(model_files.all_tensors(base))
    kinds = {_kind(name) for name in found}
    for module, shape in sorted(wanted.items()):
        own = _same(module, found)
        if own is None and _kind(module) in kinds:
            raise AdapterMismatch(str(adapter), f"{module} @pairing.absent")
        if own is not None and shape not in (own, own[::-1]):
            raise AdapterMismatch(str(adapter), f"{module} @pairing.shape")
    if found and not any(_last(module) in _ends(found) for module in wanted):
        raise AdapterMismatch(str(adapter), f"{next(iter(sorted(wanted)), '')} @pairing.absent")


def _record(folder: Path) -> dict[str, Any]:
    """Return what is on record of an import; empty for any other folder."""
    return (records.read(folder.parent / IMPORT_RECORD) or {}) if folder.name == MODEL else {}


def _config(folder: Path) -> dict[str, Any]:
    return records.read(folder / CONFIG) or {}


def _changed_layers(tensors: dict[str, Any]) -> Shapes:
    """Return module -> (rows, columns) of the layers that have both halves of a LoRA."""
    rows, columns = _halves(tensors, "lora_B", 0), _halves(tensors, "lora_A", 1)
    return {name: (rows[name], columns[name]) for name in rows.keys() & columns.keys()}


def _halves(tensors: dict[str, Any], part: str, axis: int) -> dict[str, int]:
    end = f".{part}.weight"
    return {
        name.removeprefix(_PREFIX).removesuffix(end): tensor["shape"][axis]
        for name, tensor in tensors.items()
        if name.endswith(end) and len(tensor.get("shape", ())) == 2 and "experts" not in name
    }


def _layers(tensors: dict[str, Any]) -> Shapes:
    """Return module -> shape of the matrices that are stored as plain numbers."""
    return {
        name.removesuffix(".weight"): tuple(tensor["shape"])
        for name, tensor in tensors.items()
        if name.endswith(".weight")
        and tensor.get("dtype") in _WHOLE_NUMBERS
        and len(tensor.get("shape", ())) == 2
    }


def _same(module: str, found: Shapes) -> tuple[int, ...] | None:
    """Return the shape of a module; some files leave out the first part of the name."""
    return found.get(module) or found.get(module.partition(".")[2])


def _kind(module: str) -> str:
    return re.sub(r"\d+", "#", module)


def _last(module: str) -> str:
    return module.rpartition(".")[2]


def _ends(found: Shapes) -> set[str]:
    return {_last(name) for name in found} | {"lm_head"}
