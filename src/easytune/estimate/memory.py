"""Memory by part, as the engine spends it: what each layer keeps for the backward, and the rest.

Widths are counted per token of the largest micro-batch. See `engine.lora_layer`, `engine.loss` and
`engine.attention` for what is kept; measured peaks are in benchmarks/README.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from easytune import model_shape
from easytune.config import TrainConfig
from easytune.shapes import DataShape, Linear, Machine, ModelShape

Part = Literal["weights", "adapter", "gradients", "optimizer", "activations", "logits", "overhead"]
PARTS: tuple[Part, ...] = (
    "weights", "adapter", "gradients", "optimizer", "activations", "logits", "overhead",
)  # fmt: skip

# Below this many parameters a processor computes in fp32; see `engine.hardware.precision`.
SMALL_MODEL = 50e6
# By itself the engine recomputes when more than this share of free memory would be needed.
CHECKPOINTED_ABOVE = 0.7
_GIGA = 1e9
# Loss is computed over chunks of logits of this size, at least so many rows; `engine.loss`.
_CHUNK_BYTES, _CHUNK_ROWS, _UNKNOWN_VOCABULARY = 64 << 20, 64, 1 << 17
_GEMM_LENGTH = 1024
# Python with torch, transformers and peft; a GPU holds the workspaces of its libraries.
_PROCESS_GB = {"cpu": 0.56, "mps": 0.56, "cuda": 0.05}
# Measured: what the heap of a process grows to for what it keeps, with the gaps between.
_HEAP = {"cpu": 1.35, "mps": 1.0, "cuda": 1.0}
_QUANTIZED_BYTES = {8: 1.01, 4: 0.53}
_OPTIMIZER_STATES = {"sgd": 0, "rmsprop": 1, "adagrad": 1, "lion": 1, "ademamix": 3, "grokadamw": 3}
_FACTORED = ("adafactor", "lomo", "adalomo", "galore", "apollo")


@dataclass(frozen=True)
class Load:
    """What the largest micro-batch computes: tokens with padding, learned ones, longest row."""

    tokens: int
    supervised: int
    longest: int

    @classmethod
    def of(cls, config: TrainConfig, data: DataShape | None) -> "Load":
        """Return it from counted rows, or the worst there could be."""
        if data is not None and data.rows:
            return cls(data.largest_batch, data.largest_supervised, data.longest)
        worst = config.schedule.batch_size * config.data.max_length
        return cls(worst, worst, config.data.max_length)

    def under(self, given: TrainConfig, changed: TrainConfig) -> "Load":
        """Return about what it comes to with another batch size or length than was given."""
        share = changed.schedule.batch_size / given.schedule.batch_size
        longest = min(self.longest, changed.data.max_length)
        most = changed.schedule.batch_size * longest
        tokens = min(max(longest, round(self.tokens * share)), most)
        learned = round(self.supervised * max(share, longest / max(self.tokens, 1)))
        return Load(tokens, min(learned, tokens), longest)


@dataclass(frozen=True)
class Format:
    """Bytes of one number: of a weight as held, of one computed with, and how layers are run.

    `plain` is a frozen base whose LoRA layers our own function computes; `autocast` that fp32
    weights are cast as they are used.
    """

    held: float
    computed: int
    plain: bool
    autocast: bool

    @classmethod
    def of(cls, config: TrainConfig, model: ModelShape, machine: Machine) -> "Format":
        """Return what the engine will choose, see `engine.hardware.precision`."""
        computed = _computed_bytes(config, model, machine)
        method, lora = config.model.method, config.lora
        plain = method == "lora" and not (lora.dropout or lora.use_dora or lora.modules_to_save)
        held = 4.0 if method == "full" else float(computed)
        return cls(held, computed, plain, computed == 2 and not plain)


def parts(
    config: TrainConfig, model: ModelShape, load: Load, machine: Machine
) -> dict[Part, float]:
    """Return the memory of each part at the peak of training, in GB."""
    form = Format.of(config, model, machine)
    trained = trained_parameters(config, model)
    full = config.model.method == "full"
    states = 0.0 if not trained else _optimizer_bytes(config.optim.optimizer)
    recomputes = needs_checkpointing(config, model, load, machine)
    # The loss is done with its logits before the backward of the first layer begins.
    chunk = _chunk(model, load, form)
    kept, backward = _activations(config, model, load, form, machine, recomputes)
    found: dict[Part, float] = {
        "weights": _weights(config, model, form),
        "adapter": 0.0 if full else 4.0 * trained,
        "gradients": 4.0 * trained,
        "optimizer": states * trained,
        "activations": kept + max(0.0, backward - chunk),
        "logits": 2.0 * load.supervised * model.hidden * form.computed + chunk,
        "overhead": _PROCESS_GB[machine.device] * _GIGA,
    }
    # While weights are read, the file that they come from is in memory, too.
    loading = found["overhead"] + found["weights"] + _mapped(config, model, form, machine)
    found["overhead"] += max(0.0, loading - sum(found.values()))
    return {name: found[name] / _GIGA for name in PARTS}


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
    taken = _weights(config, model, form) / _GIGA + _PROCESS_GB[machine.device]
    return short_of_memory(config, model, load, machine, machine.free_gb - taken)


def short_of_memory(
    config: TrainConfig, model: ModelShape, load: Load, machine: Machine, free_gb: float
) -> bool:
    """Tell whether all activations would need too much of what is free once weights are loaded."""
    form = Format.of(config, model, machine)
    need = sum(_activations(config, model, load, form, machine, recomputes=False))
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


def _computed_bytes(config: TrainConfig, model: ModelShape, machine: Machine) -> int:
    match config.memory.precision:
        case "fp32":
            return 4
        case "bf16" | "fp16":
            return 2
    is_small = machine.device == "cpu" and model.parameters < SMALL_MODEL
    return 2 if machine.has_bf16 and not is_small else 4


def _weights(config: TrainConfig, model: ModelShape, form: Format) -> float:
    """Return the bytes of the base. With bitsandbytes all but the linear layers are in fp32."""
    if config.model.method != "qlora":
        # Half precision by casts keeps a copy of each weight as long as a step lasts.
        copies = form.computed if form.autocast else 0
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


def _activations(
    config: TrainConfig,
    model: ModelShape,
    load: Load,
    form: Format,
    machine: Machine,
    recomputes: bool,
) -> tuple[float, float]:
    """Return the bytes kept for the backward, and what the backward of one layer takes beside."""
    layer = _kept_by_layer(config, model, load, form, machine)
    backward = form.computed * (2 * _inner_outputs(model) + 2 * model.hidden)
    if recomputes:
        # Blocks go back to the system at once then, see `engine.heap`.
        inputs = model.layers * model.hidden * form.computed
        return load.tokens * inputs, load.tokens * (layer + backward)
    heap = _HEAP[machine.device] * load.tokens
    return heap * model.layers * layer, heap * backward


def _kept_by_layer(
    config: TrainConfig, model: ModelShape, load: Load, form: Format, machine: Machine
) -> float:
    """Return the bytes that one layer keeps per token."""
    size = form.computed
    # Norms compute in fp32, whatever comes in.
    norms = 2 * model.hidden * 4
    # Query, key and value with all heads, and what came out.
    attention = 4 * _attention_width(model) * size
    if _keeps_scores(load, form, machine):
        attention += model.heads * load.longest * (4 + size)
    outputs, down = _inner_outputs(model), _down_width(model)
    # With a gate: both halves, and the first of them again behind the activation.
    inner = (1.5 if outputs > down else 1.0) * outputs * size
    return norms + attention + inner + _kept_inputs(config, model, form)


def _kept_inputs(config: TrainConfig, model: ModelShape, form: Format) -> float:
    """Return the bytes of what trained layers keep of their inputs, and of low-rank products."""
    size, lora = form.computed, config.lora
    if config.model.method == "full":
        return size * _shared_inputs(model, model.linears)
    chosen = model_shape.targets(model, lora.target_modules)
    per_layer = sum(linear.count for linear in chosen) / max(model.layers, 1)
    low = per_layer * lora.rank * size
    if form.plain:
        return low + size * _shared_inputs(model, chosen)
    # PEFT's own forward: every layer keeps an input of its own, with dropout also what was dropped.
    own = size * sum(linear.inputs * linear.count for linear in chosen) / max(model.layers, 1)
    return low + (2 * own if lora.dropout else own + size * _shared_inputs(model, chosen))


def _shared_inputs(model: ModelShape, chosen: Sequence[Linear]) -> float:
    """Return the width of the inputs of layers: those side by side have one together."""
    width = 0.0
    for part, last in (("attention", _attention_width(model)), ("mlp", _down_width(model))):
        some = [linear for linear in chosen if linear.group == part]
        width += model.hidden if some else 0
        is_whole = len(some) == sum(linear.group == part for linear in model.linears)
        width += last if some and is_whole else 0
    return width


def _keeps_scores(load: Load, form: Format, machine: Machine) -> bool:
    """Tell whether attention is made of plain products, see `engine.attention`."""
    return machine.device == "cpu" and form.computed == 2 and load.longest <= _GEMM_LENGTH


def _attention_width(model: ModelShape) -> float:
    """Return the width of all heads together: what the output of attention takes in."""
    ends = [
        linear.inputs
        for linear in model.linears
        if linear.group == "attention" and linear.outputs == model.hidden
    ]
    return max(ends, default=model.hidden)


def _down_width(model: ModelShape) -> float:
    """Return the width that the feed-forward part leads down from."""
    ends = [
        linear.inputs
        for linear in model.linears
        if linear.group == "mlp" and linear.outputs == model.hidden
    ]
    return max(ends, default=model.inner)


def _inner_outputs(model: ModelShape) -> float:
    """Return the width of what the feed-forward part of one layer computes before its way down."""
    found = [
        linear.outputs * linear.count / max(model.layers, 1)
        for linear in model.linears
        if linear.group == "mlp" and linear.outputs != model.hidden
    ]
    return sum(found) or 2 * model.inner


def _chunk(model: ModelShape, load: Load, form: Format) -> float:
    """Return the bytes of one chunk of logits with its slopes."""
    words = model.vocabulary or _UNKNOWN_VOCABULARY
    rows = min(load.supervised, max(_CHUNK_ROWS, _CHUNK_BYTES // (4 * words)))
    chunk = rows * words * (4 * 2 + (form.computed if form.computed < 4 else 0))
    return float(chunk if form.plain else 2 * chunk)
