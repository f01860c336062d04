"""The options of an adapter, `adapter_config.json`: types, amounts, what PEFT would do by them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from easytune.inspecting import patterns
from easytune.inspecting.findings import Findings
from easytune.inspecting.pinned import Base

FILE = "adapter_config.json"
RARE = {
    "ADALORA": "lora_", "LOHA": "hada_", "LOKR": "lokr_", "IA3": "ia3_", "OFT": "oft_",
    "BOFT": "boft_", "VERA": "vera_", "HRA": "hra_", "FOURIERFT": "fourierft_",
    "LN_TUNING": "ln_tuning_",
}  # fmt: skip
"""Kinds of adapters other than LoRA, and how the names of their tensors begin."""
KNOWN = frozenset({
    "task_type", "peft_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision",
    "inference_mode", "r", "target_modules", "exclude_modules", "lora_alpha", "lora_dropout",
    "fan_in_fan_out", "bias", "use_rslora", "modules_to_save", "init_lora_weights",
    "layers_to_transform", "layers_pattern", "rank_pattern", "alpha_pattern", "megatron_config",
    "megatron_core", "trainable_token_indices", "loftq_config", "eva_config", "corda_config",
    "lora_ga_config", "use_dora", "velora_config", "alora_invocation_tokens", "use_qalora",
    "qalora_group_size", "monteclora_config", "layer_replication", "runtime_config", "lora_bias",
    "target_parameters", "use_bdlora", "arrow_config", "kasa_config", "ensure_weight_tying",
})  # fmt: skip
"""The options of a LoRA of the PEFT that EasyTune is made for."""
# They run code of others, or change the model beyond its layers.
_REFUSED = (
    "auto_mapping", "auto_map", "trust_remote_code", "layer_replication", "arrow_config",
    "megatron_config", "use_bdlora",
)  # fmt: skip
_UNUSUAL = (
    "loftq_config", "eva_config", "corda_config", "lora_ga_config", "velora_config",
    "monteclora_config", "kasa_config", "runtime_config", "use_qalora", "target_parameters",
    "ensure_weight_tying", "lora_bias",
)  # fmt: skip
_SWITCHES = (
    "inference_mode", "fan_in_fan_out", "use_rslora", "use_dora", "use_qalora", "lora_bias",
)  # fmt: skip
_STARTS = ("gaussian", "eva", "orthogonal", "true", "false", "mini_lora", "lora_only")
_CHANGED_BASE = ("pissa", "olora", "corda", "lora_ga", "loftq")
_USUAL_WHOLE = ("lm_head", "embed_tokens", "wte", "embed_in", "embed_out", "output_layer", "norm",
                "input_layernorm", "post_attention_layernorm", "ln_f")  # fmt: skip
_LARGEST_RANK = 8_192
_UNUSUAL_SCALE, _ABSURD_SCALE = 64.0, 1024.0
_MOST_NEW_TOKENS = 20_000
_MOST_SHOWN = 8


@dataclass(frozen=True)
class Options:
    """What the keys are compared with."""

    peft_type: str
    rank: int
    alpha: float
    rslora: bool
    dora: bool
    bias: bool
    targets: str | tuple[str, ...]
    whole: tuple[str, ...]
    ranks: dict[str, int] = field(default_factory=dict)
    alphas: dict[str, float] = field(default_factory=dict)
    tokens: dict[str, int] = field(default_factory=dict)
    """How many single tokens were trained, by the name of their module."""

    def scale(self, rank: int, alpha: float) -> float:
        """Return what the product is multiplied with."""
        return alpha / (math.sqrt(rank) if self.rslora else rank)


def read(content: dict[str, Any], base: Base | None, findings: Findings) -> Options | None:
    """Return an adapter's options; None, with the reasons noted, when they cannot be trusted."""
    _note_dangerous(content, findings)
    kind = content.get("peft_type")
    if kind != "LORA" and kind not in RARE:
        findings.add("kind_unknown", "critical", file=FILE, kind=str(kind))
        return None
    if kind in RARE:
        findings.add("kind_rare", "medium", file=FILE, kind=str(kind))
    if content.get("task_type") not in ("CAUSAL_LM", None):
        findings.add("task_other", "critical", file=FILE, task=str(content["task_type"]))
    wrong = [name for name, fits in _TYPES.items() if name in content and not fits(content[name])]
    for name in wrong:
        findings.add("option_type", "critical", file=FILE, option=name, value=str(content[name]))
    if wrong:
        return None
    options = _options(content)
    _note_amounts(options, content, findings)
    _note_patterns(content, findings)
    _note_whole(options, findings)
    _note_tokens(content, base, findings)
    return options


def declared(content: dict[str, Any]) -> dict[str, Any]:
    """Return what an adapter says of itself, for people; nothing of it is followed."""
    names = (
        "base_model_name_or_path", "revision", "peft_type", "peft_version", "r", "lora_alpha",
        "use_rslora", "use_dora", "target_modules", "modules_to_save",
    )  # fmt: skip
    return {name: content[name] for name in names if content.get(name) not in (None, [], {})}


def _options(content: dict[str, Any]) -> Options:
    targets = content.get("target_modules") or ()
    indices = content.get("trainable_token_indices") or {}
    tokens = indices if isinstance(indices, dict) else {"": indices}
    return Options(
        peft_type=content["peft_type"],
        rank=content.get("r", 8),
        alpha=content.get("lora_alpha", 8),
        rslora=bool(content.get("use_rslora")),
        dora=bool(content.get("use_dora")),
        bias=bool(content.get("lora_bias")),
        targets=targets if isinstance(targets, str) else tuple(targets),
        whole=tuple(content.get("modules_to_save") or ()),
        ranks=dict(content.get("rank_pattern") or {}),
        alphas=dict(content.get("alpha_pattern") or {}),
        tokens={name: len(ids) for name, ids in tokens.items()},
    )


def _note_dangerous(content: dict[str, Any], findings: Findings) -> None:
    for name in _REFUSED:
        if content.get(name):
            findings.add(
                "option_refused", "critical", file=FILE, option=name, value=str(content[name])
            )
    if content.get("megatron_core") not in (None, "megatron.core"):
        # PEFT imports the module of that name.
        value = str(content["megatron_core"])
        findings.add("option_refused", "critical", file=FILE, option="megatron_core", value=value)
    if content.get("bias", "none") != "none":
        findings.add("bias_trained", "critical", file=FILE, value=str(content["bias"]))
    if content.get("alora_invocation_tokens"):
        findings.add("invocation", "high", file=FILE)
    for name in _UNUSUAL:
        if content.get(name):
            findings.add("option_unusual", "medium", file=FILE, option=name)
    if content.get("peft_type") == "LORA":
        for name in sorted(set(content) - KNOWN - set(_REFUSED)):
            findings.add("option_unknown", "medium", file=FILE, option=name)
    _note_start(content.get("init_lora_weights"), findings)
    named = str(content.get("base_model_name_or_path") or "")
    if "://" in named or ".." in named or "\\\\" in named:
        findings.add("base_by_address", "medium", file=FILE, name=named)


def _note_start(start: Any, findings: Findings) -> None:
    if start is None or isinstance(start, bool):
        return
    if not isinstance(start, str) or not start.lower().startswith((*_STARTS, *_CHANGED_BASE)):
        findings.add("option_unusual", "medium", file=FILE, option="init_lora_weights")
    elif start.lower().startswith("loftq"):
        findings.add("base_quantized", "high", file=FILE, start=start)
    elif start.lower().startswith(_CHANGED_BASE):
        findings.add("base_was_changed", "critical", file=FILE, start=start)


def _note_amounts(options: Options, content: dict[str, Any], findings: Findings) -> None:
    ranks = [options.rank, *options.ranks.values()]
    if not all(1 <= rank <= _LARGEST_RANK for rank in ranks):
        findings.add("rank_absurd", "critical", file=FILE, rank=str(ranks))
        return
    for alpha in (options.alpha, *options.alphas.values()):
        scale = options.scale(options.rank, alpha)
        if not 0 < scale <= _ABSURD_SCALE:
            findings.add("scale_absurd", "critical", file=FILE, scale=f"{scale:g}")
        elif scale > _UNUSUAL_SCALE:
            findings.add("scale_unusual", "medium", file=FILE, scale=f"{scale:g}")
    dropout = content.get("lora_dropout") or 0
    if not 0 <= dropout < 1:
        findings.add(
            "option_type", "critical", file=FILE, option="lora_dropout", value=str(dropout)
        )


def _note_patterns(content: dict[str, Any], findings: Findings) -> None:
    for name, pattern in _patterns(content):
        if not patterns.is_safe(pattern):
            findings.add("pattern_unsafe", "critical", file=FILE, option=name, pattern=pattern)


def _patterns(content: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what PEFT takes for regular expressions."""
    for name in ("target_modules", "exclude_modules", "layers_pattern"):
        if isinstance(content.get(name), str):
            yield name, content[name]
    for name in ("rank_pattern", "alpha_pattern"):
        for pattern in content.get(name) or {}:
            yield name, pattern
    if isinstance(content.get("layers_pattern"), list):
        yield from (("layers_pattern", one) for one in content["layers_pattern"])


def _note_whole(options: Options, findings: Findings) -> None:
    for name in options.whole:
        last = name.rpartition(".")[2]
        if last in _USUAL_WHOLE:
            findings.add("whole_module", "medium", file=FILE, module=name)
        else:
            findings.add("whole_unusual", "high", file=FILE, module=name)


def _note_tokens(content: dict[str, Any], base: Base | None, findings: Findings) -> None:
    said = content.get("trainable_token_indices") or {}
    for indices in said.values() if isinstance(said, dict) else [said]:
        most = base.vocabulary if base else 0
        outside = [one for one in indices if one < 0 or (most and one >= most)]
        if outside or len(set(indices)) < len(indices) or len(indices) > _MOST_NEW_TOKENS:
            value = str((outside or indices)[:5])
            findings.add("tokens_outside", "critical", file=FILE, tokens=value, most=most)
        elif indices:
            shown = ", ".join(map(str, indices[:_MOST_SHOWN]))
            findings.add("tokens_trained", "medium", file=FILE, count=len(indices), tokens=shown)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    return fits and math.isfinite(value)


def _is_names(value: Any) -> bool:
    return value is None or (
        isinstance(value, list)
        and len(value) <= 10_000
        and all(isinstance(one, str) and one.isprintable() and 0 < len(one) <= 300 for one in value)
    )


def _is_names_or_pattern(value: Any) -> bool:
    return isinstance(value, str) or _is_names(value)


def _is_switch(value: Any) -> bool:
    return value is None or isinstance(value, bool)


def _is_indices(value: Any) -> bool:
    lists = list(value.values()) if isinstance(value, dict) else [value] if value else []
    return all(isinstance(one, list) and all(map(_is_whole, one)) for one in lists)


def _is_by_name(fits: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return value is None or (isinstance(value, dict) and all(map(fits, value.values())))

    return check


_TYPES: dict[str, Callable[[Any], bool]] = {
    "r": _is_whole,
    "lora_alpha": _is_number,
    "lora_dropout": _is_number,
    "target_modules": _is_names_or_pattern,
    "exclude_modules": _is_names_or_pattern,
    "modules_to_save": _is_names,
    "rank_pattern": _is_by_name(_is_whole),
    "alpha_pattern": _is_by_name(_is_number),
    "trainable_token_indices": _is_indices,
    "base_model_name_or_path": lambda value: value is None or isinstance(value, str),
    "bias": lambda value: value in ("none", "all", "lora_only"),
    **dict.fromkeys(_SWITCHES, _is_switch),
}
