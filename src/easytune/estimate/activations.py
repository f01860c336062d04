"""What the layers of a model keep for the backward, tensor by tensor, in bytes.

Counted as transformers, `engine.lora_layer` and `engine.attention` compute; what one layer keeps
was compared with the tensors that autograd saves for twelve families, see benchmarks/README.md.
"""

from collections.abc import Callable, Sequence

from easytune import model_shape
from easytune.config import TrainConfig
from easytune.estimate.load import Format, Load
from easytune.shapes import Group, Linear, Machine, ModelShape

# The longest rows whose attention is made of plain products; `engine.attention`.
_GEMM_LENGTH = 1024
# The queries of a block there; `engine.causal_products`.
_BLOCK = 128
# The layers that lead back to the hidden width; the others of a part have one input together.
_LAST = {
    "o_proj", "out_proj", "dense", "wo", "c_proj", "down_proj", "fc2", "w2", "dense_4h_to_h",
    "fc_out", "linear2",
}  # fmt: skip
# How often these keep their width, as transformers writes them; one kernel of torch keeps it once.
_STEPS = {
    "gelu_new": 4, "gelu_fast": 5, "gelu_accurate": 4, "gelu_python": 3, "gelu_python_tanh": 4,
    "quick_gelu": 2, "gelu_10": 2,
}  # fmt: skip
# glibc keeps smaller blocks in a heap; larger ones go back to the system when they are free.
_HEAP_BYTES = 32 << 20


def kept(
    config: TrainConfig,
    model: ModelShape,
    load: Load,
    form: Format,
    machine: Machine,
    recomputes: bool,
) -> tuple[float, float]:
    """Return the bytes kept for the backward, and what the backward of one layer takes beside."""
    layer = of_layer(config, model, load, form, machine)
    backward = load.tokens * form.computed * (_inner_outputs(model) + 2 * model.hidden)
    if recomputes:
        # Blocks go back to the system at once then, see `engine.heap`.
        return load.tokens * model.layers * model.hidden * form.computed, layer + backward
    return model.layers * layer + _gaps(config, model, load, form, machine), backward


def of_layer(
    config: TrainConfig, model: ModelShape, load: Load, form: Format, machine: Machine
) -> float:
    """Return the bytes that one layer keeps, on average over the layers."""
    # Norms compute in fp32, whatever comes in; `engine.fused_layers` keeps what came in.
    keeps_given = machine.device == "cpu" and config.model.method == "lora"
    norms = (form.computed if keeps_given else 4) * (model.inside.norms or 2 * model.hidden)
    if config.model.method == "full":
        # Their own weights are learned from what they made of it.
        norms *= 2
    width = norms + form.computed * (
        _attention(model) + _inner(config, model, machine) + _experts(model)
    )
    width += _kept_inputs(config, model, form)
    width -= form.computed * _made_again(config, model, form, machine)
    scores = model.heads * _score_bytes(config, model, load, form, machine)
    pairs = _pairs(config, model, load, form, machine)
    return load.tokens * width + pairs * scores + _identities(config, model, form)


def _gaps(
    config: TrainConfig, model: ModelShape, load: Load, form: Format, machine: Machine
) -> float:
    """Return what stays free in the heap between what is kept.

    Aligned blocks do not fit into the gaps that others of their size left (glibc bug 14581), so
    that what comes and goes in a layer, mostly turning queries and keys, is never used again.
    """
    query = _attention_width(model)
    if machine.device != "cpu" or load.tokens * query * form.computed >= _HEAP_BYTES:
        return 0.0
    turned = query * (1 + model.kv_heads / max(model.heads, 1))
    passing = 4 * turned + model.hidden
    if config.model.method == "qlora" or (config.model.method == "lora" and config.lora.dropout):
        # Only `engine.lora_layer` adds the low-rank product in place, and it has no such layers.
        passing += _per_layer(model, _learning(config, model), lambda linear: linear.outputs)
    return load.tokens * model.layers * form.computed * passing


def _attention(model: ModelShape) -> float:
    """Return the widths of query, key, value and result with all heads.

    A value that lies in one tensor with query and key keeps all of it, unless heads share values.
    """
    width = _attention_width(model)
    if model.inside.other_values:
        made = {linear.name: linear.outputs for linear in model.linears}
        query = made.get("q_b_proj") or made.get("q_proj") or width
        return 2 * query + made.get("kv_b_proj", width)
    fused = any(
        linear.group == "attention" and linear.outputs >= 3 * width for linear in model.linears
    )
    return (6 if fused else 4) * width


def _score_bytes(
    config: TrainConfig, model: ModelShape, load: Load, form: Format, machine: Machine
) -> float:
    """Return the bytes that attention keeps per pair of tokens and head."""
    inside, size = model.inside, form.computed
    if inside.caps_scores:
        return 2.0 * size
    if machine.device != "cpu":
        return 0.0
    if inside.drops:
        # What the softmax gave, which of it is dropped, and what is left: no kernel does that here.
        return 4.0 * 3
    # Nor one for values of another width. In half precision plain products are faster.
    is_plain = inside.other_values or _in_blocks(config, model, load, form, machine)
    return float(size) if is_plain else 0.0


def _in_blocks(
    config: TrainConfig, model: ModelShape, load: Load, form: Format, machine: Machine
) -> bool:
    """Tell whether attention is computed by `engine.causal_products`."""
    # (With fp32 embeddings, queries and keys are in fp32 as well.)
    is_half = form.computed == 2 and config.model.method == "lora" and machine.device == "cpu"
    special = model.inside.caps_scores or model.inside.drops
    return is_half and not special and load.longest <= _GEMM_LENGTH


def _pairs(
    config: TrainConfig, model: ModelShape, load: Load, form: Format, machine: Machine
) -> float:
    """Return the pairs of tokens whose scores are computed: in blocks about half of them."""
    if not _in_blocks(config, model, load, form, machine):
        return load.pairs
    return min(load.pairs, (load.pairs + load.tokens * _BLOCK) / 2)


def _inner(config: TrainConfig, model: ModelShape, machine: Machine) -> float:
    """Return what the feed-forward part keeps before its way down."""
    outputs, down = _inner_outputs(model), _down_width(model)
    steps = _STEPS.get(model.inside.activation, 1)
    if not outputs or _is_gated_by_us(config, model, machine):
        return outputs
    # With a gate: both halves, and the first of them again behind the activation.
    return outputs + down + (steps - 1) * down if outputs > down else steps * outputs


def _is_gated_by_us(config: TrainConfig, model: ModelShape, machine: Machine) -> bool:
    """Tell whether `engine.fused_layers` multiplies by the gate, computing it again."""
    has_gate = any(linear.name == "gate_proj" for linear in model.linears)
    ours = machine.device == "cpu" and config.model.method != "qlora"
    return ours and has_gate and model.inside.activation in ("silu", "swish")


def _made_again(config: TrainConfig, model: ModelShape, form: Format, machine: Machine) -> float:
    """Return the width of what goes into the way down where the backward computes it anew."""
    lora = config.lora
    ours = config.model.method == "lora" and not (form.autocast or lora.dropout or lora.use_dora)
    if not ours or not _is_gated_by_us(config, model, machine):
        return 0.0
    names = [linear.name for linear in _learning(config, model) if linear.group == "mlp"]
    return _down_width(model) if "down_proj" in names else 0.0


def _experts(model: ModelShape) -> float:
    """Return what the experts that one token goes through keep."""
    ways = [layer for layer in model.linears if layer.group == "expert" and layer.name in _LAST]
    inner = max((layer.inputs for layer in ways), default=0)
    return model.inside.experts_per_token * (3 * inner + model.hidden)


def _kept_inputs(config: TrainConfig, model: ModelShape, form: Format) -> float:
    """Return the bytes of what trained layers keep of their inputs, and of low-rank products."""
    size, lora = form.computed, config.lora
    chosen = _learning(config, model)
    own = _per_layer(model, chosen, lambda linear: linear.inputs)
    # Casts make the input of every layer anew.
    inputs = size * (own if form.autocast else _shared_inputs(chosen))
    if config.model.method == "full":
        return inputs
    if lora.dropout:
        # Which numbers were dropped, in fp32, and what was left of them, for every layer anew.
        inputs = (4 + size) * own
    if lora.use_dora:
        # The magnitudes are learned from what the layer gave, with and without them.
        inputs += 2 * size * _per_layer(model, chosen, lambda linear: linear.outputs)
    return inputs + size * lora.rank * _per_layer(model, chosen, lambda _: 1)


def _identities(config: TrainConfig, model: ModelShape, form: Format) -> float:
    """Return the bytes of what PEFT multiplies A and B by for DoRA: (inputs, inputs) per layer."""
    if not config.lora.use_dora or config.model.method == "full":
        return 0.0
    chosen = _learning(config, model)
    return form.computed * _per_layer(model, chosen, lambda linear: linear.inputs**2)


def _learning(config: TrainConfig, model: ModelShape) -> Sequence[Linear]:
    """Return the linear layers that learn, or whose adapters do."""
    if config.model.method == "full":
        return [linear for linear in model.linears if linear.group != "expert"]
    return model_shape.targets(model, config.lora.target_modules)


def _shared_inputs(chosen: Sequence[Linear]) -> float:
    """Return the width of the inputs of layers: those side by side have one together."""
    kinds = {(linear.group, linear.name in _LAST, linear.inputs) for linear in chosen}
    return sum(inputs for _, _, inputs in kinds)


def _attention_width(model: ModelShape) -> float:
    """Return the width of all heads together: what the output of attention takes in."""
    return _widest(model, "attention") or model.hidden


def _down_width(model: ModelShape) -> float:
    """Return the width that the feed-forward part leads down from."""
    return _widest(model, "mlp") or model.inner


def _widest(model: ModelShape, part: Group) -> float:
    ends = [
        linear.inputs
        for linear in model.linears
        if linear.group == part and linear.outputs == model.hidden
    ]
    return max(ends, default=0)


def _inner_outputs(model: ModelShape) -> float:
    """Return the width of what the feed-forward part of one layer computes before its way down."""
    found = [
        linear.outputs * linear.count / max(model.layers, 1)
        for linear in model.linears
        if linear.group == "mlp" and linear.outputs != model.hidden
    ]
    return sum(found) or (0 if model.is_mixture else 2 * model.inner)


def _per_layer(
    model: ModelShape, chosen: Sequence[Linear], width: Callable[[Linear], int]
) -> float:
    return sum(width(linear) * linear.count for linear in chosen) / max(model.layers, 1)
