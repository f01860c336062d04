"""The adapter: which layers get one, how it starts, how it is saved."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from peft.utils.other import ModulesToSaveWrapper
from safetensors import SafetensorError, safe_open
from torch import nn
from transformers import PreTrainedModel

from easytune import model_shape
from easytune.config import LoraSection
from easytune.engine.failures import first_line
from easytune.errors import AdapterMismatch, FileMissing, OptionUnsupported, TargetModuleMissing

_PISSA_START = "pissa_start"
_WEIGHTS = "adapter_model.safetensors"


def target_modules(model: PreTrainedModel, wished: tuple[str, ...]) -> list[str]:
    """Return the names of layers that get an adapter, as PEFT matches them.

    "all-linear", "attention" and "attention+mlp" are resolved on the model's own linear layers,
    without its head and without the experts of a mixture; anything else is taken as names.
    Raises TargetModuleMissing for a name that no layer has.
    """
    layers = linear_layers(model)
    groups = layers
    if has_fused_experts(model):
        # PEFT would put the adapters of these names on all experts, and none on the layers.
        groups = [
            name for name in layers if name.rpartition(".")[2] not in model_shape.EXPERT_PARTS
        ]
    chosen: set[str] = set()
    for wish in wished:
        chosen |= _resolve(wish, groups if wish in model_shape.GROUPS else layers)
    short = _short(chosen)
    matched = {n for n, _ in model.named_modules() if n.rpartition(".")[2] in short}
    return sorted(short if matched == chosen else chosen)


def linear_layers(model: PreTrainedModel) -> list[str]:
    """Return the full names of the linear layers that can get an adapter, the head left out."""
    top = model.get_output_embeddings()
    return [
        name
        for name, module in model.named_modules()
        if _is_linear(module) and module is not top and model_shape.takes_adapter(name)
    ]


def has_fused_experts(model: PreTrainedModel) -> bool:
    """Tell whether the model is a mixture whose experts are single stacked parameters."""
    return any(
        name.endswith("experts") and any(p.ndim == 3 for p in module.parameters(recurse=False))
        for name, module in model.named_modules()
    )


def attach(model: PreTrainedModel, options: LoraSection, base: str) -> PeftModel:
    """Return `model` with a new adapter; `base` is what a reader of the adapter will load.

    Raises TargetModuleMissing, or OptionUnsupported for a choice that PEFT refuses.
    """
    targets = target_modules(model, options.target_modules)
    _refuse_unknown(options.modules_to_save, _short(n for n, _ in model.named_modules()))
    config = LoraConfig(
        task_type="CAUSAL_LM",
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=targets,
        modules_to_save=list(options.modules_to_save) or None,
        use_rslora=options.use_rslora,
        use_dora=options.use_dora,
        init_lora_weights=_start(options),
    )
    try:
        adapted = get_peft_model(model, config)
    except ValueError as error:
        # Layers that PEFT fuses, for one, can only get an adapter together.
        raise OptionUnsupported("lora.target_modules", first_line(error)) from error
    adapted.peft_config["default"].base_model_name_or_path = base
    _trained_in_fp32(adapted)
    return adapted  # type: ignore[return-value]


def go_on_from(model: PreTrainedModel, adapter: Path, base: str) -> PeftModel:
    """Return `model` with a trained adapter that goes on learning.

    Raises AdapterMismatch when its shapes do not fit the model.
    """
    weights = "adapter_model.bin" if (adapter / "adapter_model.bin").is_file() else _WEIGHTS
    for name in ("adapter_config.json", weights):
        if not (adapter / name).is_file():
            raise FileMissing(path=str(adapter / name))
    try:
        adapted = PeftModel.from_pretrained(model, str(adapter), is_trainable=True)
    except (RuntimeError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise AdapterMismatch(adapter=str(adapter), reason=first_line(error)) from error
    _refuse_partial(adapted, adapter)
    config: PeftConfig = adapted.peft_config["default"]
    config.base_model_name_or_path = base
    _trained_in_fp32(adapted)
    return adapted


def trained_on(adapter: Path) -> str:
    """Return the name of the base model that an adapter was trained on, "" when it has none."""
    content = json.loads((adapter / "adapter_config.json").read_text(encoding="utf-8"))
    return str(content.get("base_model_name_or_path") or "")


def remember_start(model: PeftModel, folder: Path) -> None:
    """Keep the start of a PiSSA adapter, which saving needs: it also changed the base."""
    if is_pissa(model):
        model.save_pretrained(str(folder / _PISSA_START))


def save(model: PeftModel, folder: Path, start_folder: Path) -> None:
    """Write a plain PEFT adapter that fits the untouched base."""
    start = start_folder / _PISSA_START
    if is_pissa(model):
        wanted = model.peft_config["default"].base_model_name_or_path
        model.save_pretrained(str(folder), path_initial_model_for_weight_conversion=str(start))
        _name_base(folder, wanted)
    else:
        model.save_pretrained(str(folder))


def is_pissa(model: nn.Module) -> bool:
    """Tell whether the adapter started from the main directions of the weights."""
    configs = getattr(model, "peft_config", {})
    return any(str(c.init_lora_weights).startswith("pissa") for c in configs.values())


def _refuse_partial(model: PeftModel, adapter: Path) -> None:
    """Make sure that the whole adapter came from its file: PEFT leaves the rest untrained."""
    if not (adapter / _WEIGHTS).is_file():
        return
    with safe_open(adapter / _WEIGHTS, framework="pt") as weights:
        stored = set(weights.keys())
    wanted = get_peft_model_state_dict(model, save_embedding_layers=False)
    if missing := sorted(set(wanted) - stored):
        raise AdapterMismatch(str(adapter), f"{missing[0]} @engine.reason.absent")


def _resolve(wish: str, layers: list[str]) -> set[str]:
    if wish in model_shape.GROUPS:
        found = {name for name in layers if model_shape.in_group(wish, model_shape.group(name))}
    else:
        found = {name for name in layers if name == wish or name.endswith(f".{wish}")}
    if not found:
        raise TargetModuleMissing(module=wish, available=", ".join(sorted(_short(layers))))
    return found


def _refuse_unknown(names: Iterable[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise TargetModuleMissing(module=name, available=", ".join(sorted(known)))


def _short(names: Iterable[str]) -> set[str]:
    return {last for name in names if (last := name.rpartition(".")[2]) and not last.isdigit()}


def _is_linear(module: nn.Module) -> bool:
    # GPT-2 keeps linear layers as Conv1D; quantized ones carry their own class names.
    return isinstance(module, nn.Linear) or type(module).__name__ in ("Conv1D", "Linear8bitLt")


def _start(options: LoraSection) -> Literal[True, "gaussian", "pissa"]:
    if options.init == "pissa" and options.use_dora:
        raise OptionUnsupported(option="lora.init", reason="@engine.reason.pissa_dora")
    return True if options.init == "default" else options.init


def _trained_in_fp32(model: nn.Module) -> None:
    """Keep what is trained in fp32: small steps vanish in half precision."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()


def has_full_modules(model: nn.Module) -> bool:
    """Tell whether whole modules are trained beside the adapter."""
    return any(isinstance(module, ModulesToSaveWrapper) for module in model.modules())


def _name_base(folder: Path, base: str | None) -> None:
    path = folder / "adapter_config.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"base_model_name_or_path": base}, indent=2))
