"""Memory by part, as the engine spends it; measured peaks are in benchmarks/README.md."""

from typing import Literal

from easytune import model_shape
from easytune.config import TrainConfig
from easytune.estimate import activations
from easytune.estimate.load import Format, Load
from easytune.shapes import Machine, ModelShape

Part = Literal["weights", "adapter", "gradients", "optimizer", "activations", "logits", "overhead"]
PARTS: tuple[Part, ...] = (
    "weights", "adapter", "gradients", "optimizer", "activations", "logits", "overhead",
)  # fmt: skip

# By itself the engine recomputes when more than this share of free memory would be needed.
CHECKPOINTED_ABOVE = 0.7
_GIGA = 1e9
# Loss is computed over chunks of logits of this size, at least so many rows, on a processor at most
# so many; `engine.loss`.
_CHUNK_BYTES, _LEAST_ROWS, _MOST_ROWS, _UNKNOWN_VOCABULARY = 64 << 20, 64, 256, 1 << 17
# Python with torch, transformers and peft; a GPU holds the workspaces of its libraries.
_PROCESS_GB = {"cpu": 0.38, "mps": 0.38, "cuda": 0.05}
_QUANTIZED_BYTES = {8: 1.01, 4: 0.53}
_OPTIMIZER_STATES = {"sgd": 0, "rmsprop": 1, "adagrad": 1, "lion": 1, "ademamix": 3, "grokadamw": 3}
# With ZeRO gradients are averaged so many at a time; `engine.zero`.
_BUCKET = 10_000_000
_FACTORED = ("adafactor", "lomo", "adalomo", "galore", "apollo")


def parts(
    config: TrainConfig, model: ModelShape, load: Load, machine: Machine
) -> dict[Part, float]:
    """Return the memory of each part at the peak of training, in GB.

    That of one device: of all processes on a processor, which they share, else of one of them.
    """
    form = Format.of(config, model, machine)
    trained = trained_parameters(config, model)
    full = config.model.method == "full"
    gradients, states = _learning(config, trained)
    recomputes = needs_checkpointing(config, model, load, machine)
    # The loss is done with its logits before the backward of the first layer begins.
    chunk = _chunk(config, model, load, form, machine)
    kept, backward = activations.kept(config, model, load, form, machine, recomputes)
    found: dict[Part, float] = {
        "weights": _held_weights(config, model, form),
        "adapter": 0.0 if full else 4.0 * trained,
        "gradients": gradients,
        "optimizer": states,
        "activations": kept + max(0.0, backward - chunk),
        "logits": 2.0 * load.supervised * model.hidden * form.computed + chunk,
        "overhead": _PROCESS_GB[machine.device] * _GIGA,
    }
    # While weights are read, the file that they come from is in memory, too. All have all of them,
    # before they are split: in memory, whatever computes.
    read = found["weights"] if machine.device == "cuda" else _weights(config, model, form)
    loading = found["overhead"] + read + _mapped(config, model, form, machine)
    found["overhead"] += max(0.0, loading - sum(found.values()))
    sharing = config.memory.processes if machine.device == "cpu" else 1
    return {name: sharing * found[name] / _GIGA for name in PARTS}


def needs_checkpointing(
    config: TrainConfig, model: ModelShape, load: Load, machine: Machine
) -> bool:
    """Tell whether activations will be recomputed; by itself only when memory would be short."""
    match config.memory.gradient_checkpointing:
        case "on":
            return True
        case "off":
            return False
    form = Format.of(config, model, machine)
    taken = _held_weights(config, model, form) / _GIGA + _PROCESS_GB[machine.device]
    return short_of_memory(config, model, load, machine, machine.free_gb - taken)


def short_of_memory(
    config: TrainConfig, model: ModelShape, load: Load, machine: Machine, free_gb: float
) -> bool:
    """Tell whether all activations would need too much of what is free once weights are loaded."""
    form = Format.of(config, model, machine)
    need = sum(activations.kept(config, model, load, form, machine, recomputes=False))
    return need / _GIGA > CHECKPOINTED_ABOVE * free_gb


def trained_parameters(config: TrainConfig, model: ModelShape) -> int:
    """Return how many numbers are learned. Raises TargetModuleMissing."""
    if config.model.method == "full":
        return model.parameters
    lora = config.lora
    adapter = model_shape.lora_parameters(model, lora.rank, lora.target_modules)
    magnitudes = 0
    if lora.use_dora:
        chosen = model_shape.targets(model, lora.target_modules)
        magnitudes = sum(layer.outputs * layer.count for layer in chosen)
    heads = sum(name in ("lm_head", "embed_tokens") for name in lora.modules_to_save)
    return adapter + magnitudes + heads * model.vocabulary * model.hidden


def _held_weights(config: TrainConfig, model: ModelShape, form: Format) -> float:
    """Return the bytes of the base in one process; with FSDP of layers a part, but of two at once.

    One computes while the next is fetched.
    """
    whole, processes = _weights(config, model, form), config.memory.processes
    if processes == 1 or config.memory.sharding != "fsdp":
        return whole
    inside = sum(layer.inputs * layer.outputs * layer.count for layer in model.linears)
    layers = whole * inside / model.parameters
    return whole - layers + min(layers, layers / processes + 2 * layers / max(model.layers, 1))


def _learning(config: TrainConfig, trained: int) -> tuple[float, float]:
    """Return the bytes of gradients and of optimizer state in one process."""
    states = _optimizer_bytes(config.optim.optimizer) * trained if trained else 0.0
    memory = config.memory
    if memory.processes == 1:
        return 4.0 * trained, states
    if memory.sharding != "zero2":
        # DDP averages them in buckets of its own.
        return 8.0 * trained, states
    # What a process learns is a copy of its part, laid end to end: a step computes on all of it at
    # once, with two results on the way.
    part = trained / memory.processes
    return 12.0 * part + 4.0 * min(trained, _BUCKET), states / memory.processes + 4.0 * part


def _weights(config: TrainConfig, model: ModelShape, form: Format) -> float:
    """Return the bytes of the base. With bitsandbytes all but the linear layers are in fp32."""
    if config.model.method != "qlora":
        # Casts of learned weights are kept as long as a step lasts.
        copies = form.computed if form.autocast and config.model.method == "full" else 0
        return model.parameters * (form.held + copies)
    linear = sum(layer.inputs * layer.outputs * layer.count for layer in model.linears)
    shrunk = linear * _QUANTIZED_BYTES[config.memory.quantization_bits]
    return shrunk + 4.0 * max(0, model.parameters - linear)


def _mapped(config: TrainConfig, model: ModelShape, form: Format, machine: Machine) -> float:
    """Return the bytes of weight files that are in memory beside the weights made from them."""
    if machine.device == "cuda" or config.model.method == "qlora":
        return 0.0
    return 0.0 if model.stored_bytes == form.held else model.parameters * model.stored_bytes


def _optimizer_bytes(name: str) -> float:
    """Return the bytes of optimizer state per learned number."""
    kind = name.removeprefix("paged_").partition("_")[0]
    if kind in _FACTORED:
        return 1.0
    size = 1.0 if "8bit" in name else 0.5 if "4bit" in name else 4.0
    return size * _OPTIMIZER_STATES.get(kind, 2)


def _chunk(
    config: TrainConfig, model: ModelShape, load: Load, form: Format, machine: Machine
) -> float:
    """Return the bytes of one chunk of logits with its slopes."""
    words = model.vocabulary or _UNKNOWN_VOCABULARY
    rows = min(load.supervised, max(_LEAST_ROWS, _CHUNK_BYTES // (form.computed * words)))
    rows = min(rows, _MOST_ROWS) if machine.device == "cpu" else rows
    is_learned = config.model.method == "full" or "lm_head" in config.lora.modules_to_save
    # Without a frozen head that is all there is after the layers, the backward computes them anew.
    if is_learned or form.autocast or model.inside.finishes_logits:
        return 4.0 * 4 * rows * words
    # On a GPU slopes are made in fp32 before they take the place of the logits.
    slopes = 0 if machine.device == "cpu" or form.computed == 4 else 4
    return float(form.computed + slopes) * rows * words
