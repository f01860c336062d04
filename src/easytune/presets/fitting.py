"""What memory decides: rows at once, checkpointing, number format, quantization, method."""

import dataclasses
from typing import Any

from easytune import estimate, ladder
from easytune.config import TrainConfig
from easytune.errors import TargetModuleMissing
from easytune.presets.draft import Draft, Facts
from easytune.shapes import DataShape, Machine, ModelShape

# Aim well below what is free: estimates err, and other programs want memory too.
_COMFORTABLE = 0.85


def derive(draft: Draft) -> None:
    """Suggest how the steps drafted so far are computed within the memory that is free."""
    facts, model = draft.facts, draft.facts.model
    if model is None:
        _without_model(draft)
        return
    wished = _roomy(draft)
    fit = _found(wished, model, facts)
    if fit != wished and wished.lora.dropout and "lora.dropout" not in draft.fixed:
        # Every layer would keep which of its inputs were dropped, and what was left of them.
        draft.put("lora.dropout", 0.0, "dropout_memory", free=_told(facts.machine.free_gb))
        wished = _roomy(draft)
        fit = _found(wished, model, facts)
    found = fit or _lightest(wished, facts.machine)
    values = {
        "peak": _told(_peak_gb(found, facts)),
        "free": _told(facts.machine.free_gb),
        "device": facts.machine.name,
        "effective": wished.effective_batch_size,
    }
    if fit is None:
        _take(draft, found, values)
        return
    _method(draft, found, values)
    _steps(draft, wished, found, values)
    _checkpointing(draft, found, values)
    _precision(draft, found)
    if found.data.max_length < wished.data.max_length:
        draft.put("data.max_length", found.data.max_length, "length_cut", **values,
                  length=wished.data.max_length)  # fmt: skip


def as_drafted(data: DataShape, before: TrainConfig, after: TrainConfig) -> DataShape:
    """Return the shape of the same rows in micro-batches of another size, perhaps cut shorter."""
    longest = min(data.longest, after.data.max_length)
    rows, wished = before.schedule.batch_size, after.schedule.batch_size
    # Rows that are added to the fullest batch are ordinary ones; it always holds the longest.
    tokens = data.largest_batch + data.mean * (wished - rows)
    tokens = max(longest, min(tokens, wished * longest))
    share = data.largest_supervised / max(data.largest_batch, 1)
    return dataclasses.replace(
        data,
        longest=longest,
        largest_batch=round(tokens),
        largest_supervised=round(tokens * share),
    )


def _without_model(draft: Draft) -> None:
    for path in ("memory.gradient_checkpointing", "memory.precision"):
        draft.put(path, "auto", "model_unknown")


def _roomy(draft: Draft) -> TrainConfig:
    """Return the draft as it runs fastest where memory is plenty."""
    wanted: dict[str, Any] = {
        "model.method": "full" if draft.facts.is_full else "lora",
        "memory.gradient_checkpointing": "off",
        "memory.precision": "auto",
    }
    wanted |= {path: draft.fixed[path] for path in wanted if path in draft.fixed}
    options = {path.replace(".", "__"): value for path, value in wanted.items()}
    return draft.config().changed(**options)


def _found(config: TrainConfig, model: ModelShape, facts: Facts) -> TrainConfig | None:
    """Return the first settings that fit, with ease where that costs neither length nor bits."""
    data = facts.data and as_drafted(facts.data, facts.config, config)
    eased = dataclasses.replace(facts.machine, free_gb=facts.machine.free_gb * _COMFORTABLE)
    try:
        easy = estimate.lightest_fit(config, model, data, eased)
        if easy and (easy.data, easy.model) == (config.data, config.model):
            return easy
        return estimate.lightest_fit(config, model, data, facts.machine)
    except TargetModuleMissing:
        return config


def _peak_gb(config: TrainConfig, facts: Facts) -> float | None:
    """Return the peak of a run; None when its target modules are not the model's."""
    data = facts.data and as_drafted(facts.data, facts.config, config)
    if facts.model is None:
        return None
    try:
        return estimate.estimate(config, facts.model, data, facts.machine).peak_gb
    except TargetModuleMissing:
        return None


def _told(gigabytes: float | None) -> str:
    return (
        "?" if gigabytes is None else f"{gigabytes:.1f}" if gigabytes >= 1 else f"{gigabytes:.2f}"
    )


def _method(draft: Draft, found: TrainConfig, values: dict[str, Any]) -> None:
    method = found.model.method
    bits = found.memory.quantization_bits
    draft.put("model.method", method, f"method_{method}", **values, bits=bits)
    if method == "qlora":
        draft.put("memory.quantization_bits", bits, "quantized", **values, bits=bits)


def _lightest(config: TrainConfig, machine: Machine) -> TrainConfig:
    """Return the last rung of the ladder, without cutting rows: it may be that estimates err."""
    *_, last = ladder.rungs(config, machine.can_quantize)
    return last.changed(data__max_length=config.data.max_length)


def _take(draft: Draft, found: TrainConfig, values: dict[str, Any]) -> None:
    """Suggest what needs least, saying that it may not be enough."""
    paths = ["model.method", "schedule.batch_size", "schedule.gradient_accumulation",
             "memory.gradient_checkpointing", "memory.precision"]  # fmt: skip
    if found.model.method == "qlora":
        paths.append("memory.quantization_bits")
    for path in paths:
        section, _, name = path.partition(".")
        draft.put(path, getattr(getattr(found, section), name), "nothing_fits", **values)


def _steps(draft: Draft, wished: TrainConfig, found: TrainConfig, values: dict[str, Any]) -> None:
    schedule = found.schedule
    if schedule.batch_size == wished.schedule.batch_size:
        return
    draft.put("schedule.batch_size", schedule.batch_size, "batch_split", **values)
    draft.put("schedule.gradient_accumulation", schedule.gradient_accumulation, "accumulation",
              batch=schedule.batch_size, effective=values["effective"])  # fmt: skip


def _checkpointing(draft: Draft, found: TrainConfig, values: dict[str, Any]) -> None:
    path = "memory.gradient_checkpointing"
    if found.memory.gradient_checkpointing == "on":
        draft.put(path, "on", "checkpointing_on", **values)
    else:
        draft.put(path, "auto", "checkpointing_auto", **values)


def _precision(draft: Draft, found: TrainConfig) -> None:
    machine, model = draft.facts.machine, draft.facts.model
    is_small = model is not None and machine.device == "cpu" and model.parameters < 50e6
    uses_bf16 = machine.has_bf16 and not is_small
    code = "precision_small" if is_small else "precision_bf16" if uses_bf16 else "precision_fp32"
    named = found.memory.precision
    draft.put("memory.precision", named, code if named == "auto" else "precision_short",
              device=machine.name)  # fmt: skip
