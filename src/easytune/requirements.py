"""What some options need and this machine may lack. Told without importing any of it."""

import shutil
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from easytune.config import TrainConfig
from easytune.errors import DependencyMissing, EasyTuneError, OptionUnsupported
from easytune.optimizers import Optimizer
from easytune.options import applies, declared

GPU = "gpu"
_BENCHMARKS = "measure.benchmarks"
_TARGET = "what.target"
_BITSANDBYTES = ("ademamix", "bnb", "lion", "paged")
_OPTIMIZER_PACKAGES = {
    "galore": "galore-torch",
    "lomo": "lomo-optim",
    "adalomo": "lomo-optim",
    "grokadamw": "grokadamw",
    "schedule_free": "schedulefree",
    "apollo": "apollo-torch",
    "stable_adamw": "torch-optimi",
    "adamw_torch_4bit": "torchao",
    "adamw_torch_8bit": "torchao",
    "adamw_torch_xla": "torch-xla",
    "adamw_torch_npu": "torch-npu",
    "adamw_anyprecision": "torchdistx",
}
_MODULES = {
    "flash-attn": "flash_attn",
    "galore-torch": "galore_torch",
    "lomo-optim": "lomo_optim",
    "apollo-torch": "apollo_torch",
    "torch-optimi": "optimi",
    "torch-xla": "torch_xla",
    "torch-npu": "torch_npu",
    "liger-kernel": "liger_kernel",
    "lm-eval": "lm_eval",
    "compressed-tensors": "compressed_tensors",
    "llama-cpp-python": "llama_cpp",
}
_NEEDS: dict[tuple[str, Any], tuple[str, ...]] = {
    ("model.method", "qlora"): ("bitsandbytes",),
    ("deploy.engine", "vllm"): ("vllm",),
    ("deploy.engine", "transformers"): ("openai",),
    ("model.hub", "modelscope"): ("modelscope",),
    ("memory.attention", "flash_attention_2"): ("flash-attn", GPU),
    ("memory.liger_kernel", True): ("liger-kernel", GPU),
    ("memory.sharding", "zero2"): ("deepspeed",),
    ("memory.device", "cuda"): (GPU,),
    ("loading.quantization", "8-bit"): ("bitsandbytes",),
    ("loading.quantization", "4-bit"): ("bitsandbytes",),
    ("loading.device", "cuda"): (GPU,),
    ("monitor.report_to", "tensorboard"): ("tensorboard",),
    ("monitor.report_to", "wandb"): ("wandb",),
    ("monitor.report_to", "mlflow"): ("mlflow",),
    (_TARGET, "onnx"): ("onnx", "onnxscript", "onnxruntime"),
    ("quantized.method", "w8a16"): ("compressed-tensors",),
    ("quantized.method", "w4a16"): ("compressed-tensors",),
    ("quantized.method", "fp8"): ("compressed-tensors",),
    ("quantized.method", "bnb-int8"): ("bitsandbytes",),
    ("quantized.method", "bnb-nf4"): ("bitsandbytes",),
    ("quantized.method", "torchao-int8"): ("torchao",),
    ("hub.hub", "modelscope"): ("modelscope",),
} | {
    (f"{target}.number_format", kind): ("llama-cpp-python",)
    for target in ("gguf", "ollama")
    for kind in ("q6_k", "q5_k_m", "q5_k_s", "q4_k_m", "q4_k_s", "q3_k_m", "q2_k")
}


def missing(path: str, value: Any) -> str | None:
    """Return the package that `value` of an option needs and that is not here; GPU for a GPU."""
    return next((need for need in _needs(path, value) if not _present(need)), None)


def missing_package(path: str, value: Any) -> str | None:
    """Return the package that `value` of an option needs and that is not installed."""
    packages = (need for need in _needs(path, value) if need != GPU)
    return next((need for need in packages if not _present(need)), None)


def unmet(config: BaseModel) -> Iterator[tuple[str, EasyTuneError]]:
    """Yield each option whose value cannot work here, and the reason.

    One that has no effect beside the others, as that of another target, needs nothing.
    """
    unsplittable = dict(_unsplittable(config)) if isinstance(config, TrainConfig) else {}
    yield from unsplittable.items()
    looked_at = {path for path, _ in _NEEDS} | {"optim.optimizer", _BENCHMARKS}
    content = config.model_dump()
    for option in sorted(declared(type(config)), key=lambda option: option.path):
        is_told = option.path in unsplittable
        if option.path not in looked_at or is_told or not applies(option, content):
            continue
        value = getattr(getattr(config, option.section), option.name)
        if need := missing(option.path, value):
            yield option.path, _reason(option.path, value, need)


def _unsplittable(config: TrainConfig) -> Iterator[tuple[str, EasyTuneError]]:
    """Yield why what is to be split among the processes cannot be."""
    path, memory = "memory.sharding", config.memory
    if memory.processes == 1:
        return
    if memory.sharding == "fsdp" and (memory.torch_compile or not _is_plain_lora(config)):
        yield path, OptionUnsupported("fsdp", "@engine.reason.splits_lora")
    if memory.sharding == "zero2" and (memory.torch_compile or not _is_plain_full(config)):
        yield path, OptionUnsupported("zero2", "@engine.reason.splits_full")


def _is_plain_lora(config: TrainConfig) -> bool:
    """Tell whether the base is nothing but frozen weights."""
    lora = config.lora
    is_plain = not (lora.use_dora or lora.modules_to_save or lora.init == "pissa")
    return config.model.method == "lora" and is_plain


def _is_plain_full(config: TrainConfig) -> bool:
    """Tell whether all weights are learned in fp32, by an optimizer that takes each by itself."""
    is_adamw = config.optim.optimizer in ("adamw_torch", "adamw_torch_fused")
    return config.model.method == "full" and is_adamw and config.memory.precision != "fp16"


def require(config: BaseModel, *options: str) -> None:
    """Raise DependencyMissing or OptionUnsupported for the first of these that cannot work here."""
    for path, error in unmet(config):
        if path in options:
            raise error


def _needs(path: str, value: Any) -> tuple[str, ...]:
    if path == _BENCHMARKS:
        return ("lm-eval",) if value else ()
    return _optimizer_needs(value) if path == "optim.optimizer" else _NEEDS.get((path, value), ())


def _named(path: str, value: Any) -> str:
    """Return what a user knows an option's value by."""
    if path == _TARGET:
        return f"@export.target.{value}.name"
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return path.partition(".")[2] if value is True else str(value)


def _optimizer_needs(name: Optimizer) -> tuple[str, ...]:
    for prefix, package in _OPTIMIZER_PACKAGES.items():
        if name.startswith(prefix):
            return (package,)
    from_bitsandbytes = name == "adamw_8bit" or any(part in name for part in _BITSANDBYTES)
    return ("bitsandbytes",) if from_bitsandbytes else ()


def _present(need: str) -> bool:
    if need == GPU:
        return _has_gpu_driver()
    # Looked for each time: what was missing may have been installed while the app was open.
    return find_spec(_MODULES.get(need, need)) is not None


@cache
def _has_gpu_driver() -> bool:
    """Tell whether the driver of an NVIDIA or AMD GPU is loaded. Asking torch would load torch."""
    devices = (Path("/proc/driver/nvidia/version"), Path("/dev/kfd"))
    return any(path.exists() for path in devices) or shutil.which("nvidia-smi") is not None


def _reason(path: str, value: Any, need: str) -> EasyTuneError:
    named = _named(path, value)
    if need == GPU:
        return OptionUnsupported(option=named, reason=GPU)
    # All at once: who has installed the first shall not be asked for the next.
    absent = (one for one in _needs(path, value) if one != GPU and not _present(one))
    return DependencyMissing(option=named, package=" ".join(absent))
