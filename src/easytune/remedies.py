"""The one-click fix for a named failure: the same run with the settings that should mend it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from easytune.config import TrainConfig, options
from easytune.options import Option

SHORTEST_LENGTH = 128
LONGEST_LENGTH = 4096
LOWEST_RATE = 1e-6


def remedy(
    code: str, config: TrainConfig, values: dict[str, Any] | None = None
) -> TrainConfig | None:
    """Return the config to try next after the failure `error.<code>`; None without a sure fix.

    `values` are the facts of the failure.
    """
    fix = REMEDIES.get(code)
    mended = fix(config, values or {}) if fix else None
    return mended if mended != config else None


def changes(old: TrainConfig, new: TrainConfig) -> list[tuple[str, Any, Any]]:
    """Return `(section.option, old value, new value)` for every option that differs."""
    pairs = [(option.path, _value(old, option), _value(new, option)) for option in options()]
    return [pair for pair in pairs if pair[1] != pair[2]]


def free_folder(folder: str) -> str:
    """Return the first of `folder-2`, `folder-3`, … that does not exist."""
    number = 2
    while Path(f"{folder}-{number}").exists():
        number += 1
    return f"{folder}-{number}"


def _lighter(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    """Need less memory: halve the batch at the same effective size, else shorten the rows."""
    batch = config.schedule.batch_size
    lighter = config.changed(memory__gradient_checkpointing="on")
    if batch > 1:
        accumulation = round(config.effective_batch_size / (batch // 2))
        return lighter.changed(
            schedule__batch_size=batch // 2, schedule__gradient_accumulation=accumulation
        )
    if lighter != config:
        return lighter
    return config.changed(data__max_length=_shorter(config.data.max_length))


def _shorter(length: int) -> int:
    return max(SHORTEST_LENGTH, length // 2) if length > SHORTEST_LENGTH else length


def _calmer(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    rate, precision = config.optim.learning_rate, config.memory.precision
    return config.changed(
        # Half precision overflows first; "auto" avoids it wherever the hardware can.
        memory__precision="auto" if precision == "fp16" else precision,
        optim__learning_rate=float(f"{rate / 5:.2g}") if rate > LOWEST_RATE else rate,
        optim__max_grad_norm=config.optim.max_grad_norm or 1.0,
    )


def _fewer_checkpoints(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    return config.changed(monitor__save_limit=1)


def _another_folder(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    folder = config.output.folder
    return config.changed(output__folder=free_folder(folder)) if folder else config


def _all_modules(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    return config.changed(lora__target_modules=("all-linear",))


def _more_to_learn(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    """Let the answers back in: they may lie beyond the longest length, or be masked."""
    if config.data.max_length < LONGEST_LENGTH:
        longer = min(LONGEST_LENGTH, max(1024, 2 * config.data.max_length))
        return config.changed(data__max_length=longer)
    return config.changed(data__train_on="all")


def _all_rows(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    return config.changed(data__held_out_share=0.0, data__max_rows=None)


def _default_option(config: TrainConfig, values: dict[str, Any]) -> TrainConfig:
    """Put the option that cannot work here back to its default."""
    for option in options():
        if option.path == values.get("option"):
            default = _value(TrainConfig(), option)
            return config.changed(**{f"{option.section}__{option.name}": default})
    return config


def _own_template(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    return config.changed(data__chat_template=None)


def _value(config: TrainConfig, option: Option) -> Any:
    return getattr(getattr(config, option.section), option.name)


REMEDIES: dict[str, Callable[[TrainConfig, dict[str, Any]], TrainConfig]] = {
    "out_of_memory": _lighter,
    "killed_by_system": _lighter,
    "diverged": _calmer,
    "disk_full": _fewer_checkpoints,
    "output_not_empty": _another_folder,
    "target_module_missing": _all_modules,
    "nothing_to_train": _more_to_learn,
    "too_few_rows": _all_rows,
    "dependency_missing": _default_option,
    "option_unsupported": _default_option,
    "template_failed": _own_template,
    "template_invalid": _own_template,
}
