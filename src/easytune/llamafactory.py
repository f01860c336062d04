"""Opening training files of LLaMA-Factory: what has a counterpart is mapped, the rest is named.

Options the file leaves out get LLaMA-Factory's defaults where those differ from ours, so that the
run means the same. A dataset name becomes `<dataset_dir>/dataset_info.json#<name>`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Notice = tuple[str, dict[str, Any]]


class _Untranslatable(Exception):
    """The value has no counterpart here."""


@dataclass(frozen=True)
class _Rule:
    """Where a key of theirs goes, and how its value is translated."""

    option: str
    translate: Callable[[Any], Any] = lambda value: value


def recognise(content: dict[str, Any]) -> bool:
    """Tell whether top-level keys are those of a LLaMA-Factory training file."""
    return any(key in RULES or key in _TOGETHER for key in content)


def convert(content: dict[str, Any], source: Path | None) -> tuple[dict[str, Any], list[Notice]]:
    """Return the options as our sections, and notices of what was mapped, assumed and left.

    `source` is the file the content came from; a relative `dataset_dir` is also looked for there.
    """
    state = _Conversion({}, [], [], source)
    given = {key: value for key, value in content.items() if value is not None}
    for key, value in given.items():
        state.take(key, value)
    _combine(given, state)
    assumed = _assume_defaults(given, state)
    notices: list[Notice] = []
    if state.mapped:
        notices.append(("llamafactory_mapped", {"keys": ", ".join(state.mapped)}))
    if assumed:
        notices.append(("llamafactory_defaults", {"keys": ", ".join(assumed)}))
    if state.unmapped:
        notices.append(("llamafactory_unmapped", {"keys": ", ".join(state.unmapped)}))
    if "interleave_probs" in given:
        notices.append(("llamafactory_probabilities", {}))
    return state.sections, notices


@dataclass
class _Conversion:
    sections: dict[str, Any]
    mapped: list[str]
    unmapped: list[str]
    source: Path | None

    def take(self, key: str, value: Any) -> None:
        """Place one key by its rule."""
        if key in _TOGETHER:
            return
        if (rule := RULES.get(key)) is None:
            self.leave(key, value)
            return
        try:
            self.place(key, rule.option, rule.translate(value))
        except (_Untranslatable, ValueError, TypeError):
            self.leave(key, value)

    def place(self, key: str, option: str, value: Any) -> None:
        """Set an option and remember which key it came from."""
        self.put(option, value)
        self.mapped.append(f"{key} → {option}")

    def put(self, option: str, value: Any) -> None:
        """Set an option."""
        section, _, name = option.partition(".")
        if section == "output" and name.startswith("training_args."):
            extra = self.sections.setdefault("output", {}).setdefault("training_args", {})
            extra[name.removeprefix("training_args.")] = value
        else:
            self.sections.setdefault(section, {})[name] = value

    def leave(self, key: str, value: Any) -> None:
        """Remember a key that has no counterpart."""
        self.unmapped.append(f"{key}: {value}")


def _one_of(**choices: Any) -> Callable[[Any], Any]:
    def translate(value: Any) -> Any:
        try:
            return choices[str(value).lower()]
        except KeyError as error:
            raise _Untranslatable from error

    return translate


def _names(value: Any) -> list[str]:
    items = value if isinstance(value, list) else str(value).split(",")
    return [str(item).strip() for item in items if str(item).strip()]


def _only(value: Any) -> str:
    names = _names(value)
    if len(names) != 1:
        raise _Untranslatable
    return names[0]


def _share(value: Any) -> float:
    # From 1 up it is a number of rows there.
    if not 0 <= float(value) < 1:
        raise _Untranslatable
    return float(value)


def _steps(value: Any) -> int:
    # Below 1 it is a share of the run there.
    if float(value) < 1:
        raise _Untranslatable
    return int(float(value))


def _max_steps(value: Any) -> int | None:
    return int(value) if int(value) > 0 else None


def _targets(value: Any) -> list[str]:
    return ["all-linear" if name == "all" else name for name in _names(value)]


def _tracker(value: Any) -> str:
    return "none" if value == [] else _only(value)


def _equal_chances(value: Any) -> list[float]:
    """Return draw chances as weights around 1."""
    chances = [float(chance) for chance in _names(value)]
    return [round(chance * len(chances), 4) for chance in chances]


_ON_OFF = _one_of(true="on", false="off")

RULES: dict[str, _Rule] = {
    "model_name_or_path": _Rule("model.base_model", str),
    "model_revision": _Rule("model.revision", str),
    "adapter_name_or_path": _Rule("model.adapter", _only),
    "trust_remote_code": _Rule("model.trust_remote_code"),
    "stage": _Rule("data.stage", _one_of(sft="sft", pt="pretrain")),
    "lora_rank": _Rule("lora.rank"),
    "lora_alpha": _Rule("lora.alpha"),
    "lora_dropout": _Rule("lora.dropout"),
    "lora_target": _Rule("lora.target_modules", _targets),
    "additional_target": _Rule("lora.modules_to_save", _names),
    "use_rslora": _Rule("lora.use_rslora"),
    "use_dora": _Rule("lora.use_dora"),
    "pissa_init": _Rule("lora.init", _one_of(true="pissa", false="default")),
    "loraplus_lr_ratio": _Rule("lora.lora_plus_ratio"),
    "interleave_probs": _Rule("data.weights", _equal_chances),
    "cutoff_len": _Rule("data.max_length"),
    "max_samples": _Rule("data.max_rows"),
    "val_size": _Rule("data.held_out_share", _share),
    "train_on_prompt": _Rule("data.train_on", _one_of(true="all", false="response")),
    "mask_history": _Rule("data.mask_history"),
    "enable_thinking": _Rule("data.thinking", _ON_OFF),
    "per_device_train_batch_size": _Rule("schedule.batch_size"),
    "gradient_accumulation_steps": _Rule("schedule.gradient_accumulation"),
    "num_train_epochs": _Rule("schedule.epochs"),
    "max_steps": _Rule("schedule.max_steps", _max_steps),
    "lr_scheduler_type": _Rule("schedule.scheduler"),
    "seed": _Rule("schedule.seed"),
    "learning_rate": _Rule("optim.learning_rate"),
    "optim": _Rule("optim.optimizer"),
    "optim_args": _Rule("optim.optimizer_args", str),
    "weight_decay": _Rule("optim.weight_decay"),
    "adam_beta1": _Rule("optim.adam_beta1"),
    "adam_beta2": _Rule("optim.adam_beta2"),
    "max_grad_norm": _Rule("optim.max_grad_norm"),
    "neftune_noise_alpha": _Rule("optim.neftune_alpha"),
    "flash_attn": _Rule(
        "memory.attention",
        _one_of(auto="auto", sdpa="sdpa", fa2="flash_attention_2", disabled="eager"),
    ),
    "enable_liger_kernel": _Rule("memory.liger_kernel"),
    "torch_compile": _Rule("memory.torch_compile"),
    "gradient_checkpointing": _Rule("memory.gradient_checkpointing", _ON_OFF),
    "disable_gradient_checkpointing": _Rule(
        "memory.gradient_checkpointing", _one_of(true="off", false="auto")
    ),
    "logging_steps": _Rule("monitor.logging_steps", _steps),
    "eval_steps": _Rule("monitor.eval_steps", _steps),
    "save_steps": _Rule("monitor.save_steps", _steps),
    "save_total_limit": _Rule("monitor.save_limit"),
    "load_best_model_at_end": _Rule("monitor.keep_best"),
    "early_stopping_steps": _Rule("monitor.early_stopping"),
    "report_to": _Rule("monitor.report_to", _tracker),
    "run_name": _Rule("output.name", str),
    "output_dir": _Rule("output.folder", str),
    "adam_epsilon": _Rule("output.training_args.adam_epsilon", float),
    "lr_scheduler_kwargs": _Rule("output.training_args.lr_scheduler_kwargs"),
    "dataloader_num_workers": _Rule("output.training_args.dataloader_num_workers", int),
    "ddp_timeout": _Rule("output.training_args.ddp_timeout", int),
}
"""Keys of theirs that say one thing each."""

_TOGETHER = (
    "finetuning_type", "quantization_bit", "dataset", "dataset_dir", "eval_dataset",
    "bf16", "pure_bf16", "fp16", "warmup_ratio", "warmup_steps", "packing", "neat_packing",
)  # fmt: skip
"""Keys whose meaning depends on another one."""

_DEFAULTS: dict[str, tuple[str, Any]] = {
    "lora_rank": ("lora.rank", 8),
    "learning_rate": ("optim.learning_rate", 5e-5),
    "weight_decay": ("optim.weight_decay", 0.0),
    "lr_scheduler_type": ("schedule.scheduler", "linear"),
    "cutoff_len": ("data.max_length", 2048),
    "val_size": ("data.held_out_share", 0.0),
}
"""Defaults of theirs that differ from ours and change the result."""


def _combine(given: dict[str, Any], state: _Conversion) -> None:
    _method(given, state)
    _datasets(given, state)
    _precision(given, state)
    _warmup(given, state)
    _packing(given, state)


def _method(given: dict[str, Any], state: _Conversion) -> None:
    kind = str(given.get("finetuning_type", "lora")).lower()
    bits = given.get("quantization_bit")
    if bits is not None and str(bits) not in ("4", "8"):
        state.leave("quantization_bit", bits)
        bits = None
    if kind not in ("lora", "full"):
        state.leave("finetuning_type", kind)
        return
    if bits is not None and kind == "lora":
        state.place("quantization_bit", "memory.quantization_bits", int(bits))
        kind = "qlora"
    state.place("finetuning_type", "model.method", kind)


def _datasets(given: dict[str, Any], state: _Conversion) -> None:
    folder = _dataset_folder(str(given.get("dataset_dir", "data")), state.source)
    if "dataset" in given:
        names = [_dataset(name, folder) for name in _names(given["dataset"])]
        state.place("dataset", "data.datasets", names)
    if "eval_dataset" in given:
        held_out = _names(given["eval_dataset"])
        if len(held_out) == 1:
            state.place("eval_dataset", "data.held_out_file", _dataset(held_out[0], folder))
        else:
            state.leave("eval_dataset", given["eval_dataset"])
    if "dataset_dir" in given:
        state.mapped.append("dataset_dir → data.datasets")


def _dataset_folder(named: str, source: Path | None) -> Path:
    """Return the folder of dataset_info.json: from here, from the file, or from above the file.

    LLaMA-Factory is started at the top of its checkout, its examples lie two folders below.
    """
    folder = Path(named).expanduser()
    starts = [Path.cwd(), *(source.resolve().parents[:4] if source else ())]
    found = (start / folder for start in starts if (start / folder / "dataset_info.json").is_file())
    return next(found, folder)


def _dataset(name: str, folder: Path) -> str:
    return f"{folder / 'dataset_info.json'}#{name}"


def _precision(given: dict[str, Any], state: _Conversion) -> None:
    named = [key for key in ("bf16", "pure_bf16", "fp16") if key in given]
    wanted = [key for key in named if str(given[key]).lower() == "true"]
    if named:
        value = wanted[0].removeprefix("pure_") if wanted else "fp32"
        state.place((wanted or named)[0], "memory.precision", value)


def _warmup(given: dict[str, Any], state: _Conversion) -> None:
    steps, share = given.get("warmup_steps"), given.get("warmup_ratio")
    if steps:
        state.place("warmup_steps", "schedule.warmup", steps)
        if share:
            state.leave("warmup_ratio", share)
    elif share is not None:
        state.place("warmup_ratio", "schedule.warmup", share)
    else:
        state.put("schedule.warmup", 0)


def _packing(given: dict[str, Any], state: _Conversion) -> None:
    named = [key for key in ("packing", "neat_packing") if key in given]
    if named:
        wanted = [key for key in named if str(given[key]).lower() == "true"]
        state.place((wanted or named)[0], "data.packing", bool(wanted))


def _assume_defaults(given: dict[str, Any], state: _Conversion) -> list[str]:
    """Fill in what the file leaves out; return `option = value` for each."""
    assumed = {option: value for key, (option, value) in _DEFAULTS.items() if key not in given}
    if "lora_alpha" not in given:
        rank = str(given.get("lora_rank", 8))
        assumed["lora.alpha"] = 2 * int(rank) if rank.isdigit() else 16
    for option, value in assumed.items():
        state.put(option, value)
    return [f"{option} = {value}" for option, value in assumed.items()]
