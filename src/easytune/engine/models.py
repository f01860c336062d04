"""Load the base model: number format, quantization, attention."""

import importlib.util
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

from easytune.config import TrainConfig
from easytune.engine import (
    adapters,
    attention,
    fused_layers,
    hardware,
    heap,
    lora_layer,
    probe,
)
from easytune.engine.failures import first_line
from easytune.engine.together import ALONE, Together
from easytune.errors import (
    DependencyMissing,
    ModelIncomplete,
    ModelUnloadable,
    OptionUnsupported,
    RemoteCodeRefused,
)

if TYPE_CHECKING:
    from easytune.engine.sharding import Split


@dataclass(frozen=True)
class Loaded:
    """A model ready to be trained, and how it is going to be run."""

    model: Any
    """A PeftModel, or a PreTrainedModel when all weights are trained."""
    base: PreTrainedModel
    """The model itself, below the adapter."""
    plan: probe.Plan
    device: torch.device
    dtype: torch.dtype
    autocast: bool
    """Whether training computes in `dtype` by automatic casts: some weights are in fp32."""
    slow_layers: dict[lora_layer.Obstacle, int] = field(default_factory=dict)
    """How many layers of the adapter are computed by PEFT, by what keeps ours from it."""
    share_held: float = 1.0
    """Which share of the base lies in this process; the rest is with those that share the run."""


def load(
    config: TrainConfig,
    folder: Path,
    before_adapter: Callable[[Loaded], None] | None = None,
    together: Together = ALONE,
) -> Loaded:
    """Return the model of a run with its adapter, on its device, proved to run as planned.

    `before_adapter` is shown the base that is going to get an adapter. The base is split among
    those `together` where that is asked for.
    """
    device = hardware.device(config.memory.device)
    wish = _attention(config, device)
    size = parameters(folder)
    hardware.limit_threads(device, size)
    dtype = hardware.precision(config.memory.precision, device, size)
    sharding = config.memory.sharding if together.count > 1 else "none"
    if sharding != "none" and device.type == "cpu":
        # What is given to the others stays in the heap otherwise, and every layer that is fetched.
        heap.return_large_blocks()
    is_split = sharding == "fsdp"
    base = _trained_base(config, folder, torch.device("cpu") if is_split else device, dtype)
    # What is compiled fuses by itself.
    fuses = not config.memory.torch_compile
    if fuses and device.type == "cpu":
        fused_layers.speed_up(base)
    split = _split(base, together, device) if is_split else None
    attention.register()
    plan = probe.plan(base, wish, config.data.packing)
    probe.apply(base, plan)
    if before_adapter and config.model.method != "full":
        before_adapter(Loaded(base, base, plan, device, dtype, autocast=False))
    model = _prepare(config, base, folder)
    slow = lora_layer.speed_up(model) if fuses else {}
    if split:
        split.lend(model)
    autocast = _needs_autocast(config, model, dtype, bool(slow))
    share = split.share_held if split else 1.0
    return Loaded(model, base, plan, device, dtype, autocast, slow, share)


def parameters(folder: Path) -> int:
    """Estimate a model's parameters from the size of its weights, two bytes each when unknown."""
    bytes_each = {"float32": 4, "float": 4}.get(stored_dtype(folder), 2)
    files = [*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")]
    return sum(file.stat().st_size for file in files) // bytes_each


def name_for_readers(config: TrainConfig, folder: Path) -> str:
    """Return what an adapter calls its base: the hub id, or the absolute folder."""
    name = config.model.base_model
    is_local = name == "demo" or Path(name).expanduser().is_dir() or name.count("/") != 1
    return str(folder.resolve()) if is_local or config.model.hub == "modelscope" else name


def stored_dtype(folder: Path) -> str:
    """Return the number format of a model's weights as its config names it, "" when it does not."""
    content = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(content.get("dtype") or content.get("torch_dtype") or "")


def context_length(base: PreTrainedModel) -> int | None:
    """Return the tokens a model was made to read at most, None when it does not say."""
    return getattr(base.config, "max_position_embeddings", None)


def has_position_table(base: PreTrainedModel) -> bool:
    """Tell whether positions are looked up in a table, as in GPT-2: there is nothing beyond it."""
    context = context_length(base) or 0
    return any(
        isinstance(module, nn.Embedding)
        and module is not base.get_input_embeddings()
        # Some tables begin with two places that are never used.
        and context <= module.num_embeddings <= context + 2
        for module in base.modules()
    )


def load_base(
    folder: Path,
    device: torch.device,
    dtype: torch.dtype,
    *,
    quantization: Any = None,
    attention: str | None = None,
    trust_remote_code: bool = False,
    allow_pickle: bool = False,
    name: str = "",
) -> PreTrainedModel:
    """Return the model in a folder, on `device`; `name` is what an error calls it.

    `quantization` is what `quantized` returns, `attention` an implementation of transformers.
    Raises ModelIncomplete, ModelUnloadable or RemoteCodeRefused.
    """
    extra: dict[str, Any] = {}
    if quantization is not None:
        extra = {"quantization_config": quantization, "device_map": {"": device}}
    try:
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype,
            attn_implementation=attention,
            trust_remote_code=trust_remote_code,
            use_safetensors=None if allow_pickle else True,
            local_files_only=True,
            output_loading_info=True,
            # Looked at below, where the weight can be named.
            ignore_mismatched_sizes=True,
            **extra,
        )
    except OSError as error:
        raise ModelIncomplete(model=str(folder), missing=first_line(error)) from error
    except UnpicklingError as error:
        raise ModelUnloadable(str(folder), "@engine.reason.pickle") from error
    except (ValueError, KeyError) as error:
        if "trust_remote_code" in str(error):
            raise RemoteCodeRefused(model=name or str(folder)) from error
        raise ModelUnloadable(model=str(folder), reason=first_line(error)) from error
    model, found = loaded
    _refuse_random_weights(folder, found)
    return model if extra else model.to(device)


def quantized(
    bits: int, device: torch.device, dtype: torch.dtype, option: str = "model.method"
) -> Any:
    """Return how bitsandbytes shall hold the weights in 8 or 4 bits, computing in `dtype`.

    Raises DependencyMissing or OptionUnsupported, naming `option`, where that cannot be.
    """
    if importlib.util.find_spec("bitsandbytes") is None:
        raise DependencyMissing(option=option, package="bitsandbytes")
    if device.type == "mps":
        raise OptionUnsupported(option=option, reason="@engine.reason.apple_qlora")
    from transformers import BitsAndBytesConfig

    if bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _split(base: PreTrainedModel, together: Together, device: torch.device) -> "Split":
    # Seconds of imports that other runs do not pay.
    from easytune.engine.sharding import Split

    return Split(base, together, device)


def _trained_base(
    config: TrainConfig, folder: Path, device: torch.device, dtype: torch.dtype
) -> PreTrainedModel:
    is_quantized = config.model.method == "qlora"
    bits = config.memory.quantization_bits
    base = load_base(
        folder,
        device,
        # Full fine-tuning keeps fp32 weights, computing in half precision by casts.
        torch.float32 if config.model.method == "full" else dtype,
        quantization=quantized(bits, device, dtype) if is_quantized else None,
        attention=_loaded_attention(config),
        trust_remote_code=config.model.trust_remote_code,
        allow_pickle=config.model.allow_pickle,
        name=config.model.base_model,
    )
    _keep_gradients(base)
    return base


def _keep_gradients(base: PreTrainedModel) -> None:
    """Keep bitsandbytes from what it does to 4-bit weights for answers on processors with bf16.

    At the first forward of an evaluation it lays them out anew, for good, and what computes with
    that layout has no backward: layers below would learn nothing from then on.
    """
    for module in base.modules():
        if "support_avx512bf16_for_cpu" in vars(module):
            vars(module)["support_avx512bf16_for_cpu"] = False


def _refuse_random_weights(folder: Path, found: dict[str, Any]) -> None:
    """Make sure that all weights came from the files: transformers makes up what is missing."""
    if wrong := sorted(name for name, *_ in found["mismatched_keys"]):
        raise ModelUnloadable(str(folder), f"{wrong[0]} @engine.reason.shape")
    if missing := sorted(found["missing_keys"]):
        more = f" (+ {len(missing) - 1})" if missing[1:] else ""
        raise ModelIncomplete(model=str(folder), missing=missing[0] + more)


def _loaded_attention(config: TrainConfig) -> str | None:
    wish = config.memory.attention
    return None if wish == "auto" else wish


def _attention(config: TrainConfig, device: torch.device) -> str:
    wish = config.memory.attention
    installed = importlib.util.find_spec("flash_attn") is not None
    if wish == "flash_attention_2":
        if device.type != "cuda":
            raise OptionUnsupported("memory.attention", "@engine.reason.no_gpu_for_flash")
        if not installed:
            raise DependencyMissing(option="memory.attention", package="flash-attn")
    return wish


def _prepare(config: TrainConfig, base: PreTrainedModel, folder: Path) -> Any:
    """Add the adapter, or make all weights trainable; then compile if asked."""
    if config.model.method == "full":
        model: Any = base.requires_grad_(True)
    else:
        model = _adapted(config, base, folder)
    if config.memory.torch_compile:
        for layer in probe.layers(base):
            layer.compile(dynamic=True)
    return model


def _adapted(config: TrainConfig, base: PreTrainedModel, folder: Path) -> Any:
    if config.model.method == "qlora":
        from peft import prepare_model_for_kbit_training

        # Checkpointing is switched on, or not, by the trainer.
        prepare_model_for_kbit_training(base, use_gradient_checkpointing=False)
    name = name_for_readers(config, folder)
    if config.model.adapter:
        return adapters.go_on_from(base, Path(config.model.adapter).expanduser(), name)
    return adapters.attach(base, config.lora, name)


def _needs_autocast(config: TrainConfig, model: Any, dtype: torch.dtype, is_slow: bool) -> bool:
    """Tell whether some weights are fp32 while the rest computes in half precision."""
    if dtype == torch.float32:
        return False
    if config.model.method != "lora" or config.memory.torch_compile or is_slow:
        return True
    return adapters.has_full_modules(model)
