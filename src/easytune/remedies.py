"""The one-click fix for a named failure: the same run with the settings that should mend it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from easytune.config import TrainConfig, options
from easytune.ladder import next_rung
from easytune.options import Option

LONGEST_LENGTH = 4096
LOWEST_RATE = 1e-6
REPLAY_SHARES = (0.25, 0.5)


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


def against_forgetting(config: TrainConfig) -> dict[str, TrainConfig]:
    """Return the configs to try when a run forgets too much, by what they change.

    `replay`, `rate` and `strength`, the most effective first; one that would change nothing is
    left out.
    """
    tried = {name: change(config) for name, change in AGAINST_FORGETTING.items()}
    return {name: changed for name, changed in tried.items() if changed != config}


def free_folder(folder: str) -> str:
    """Return the first of `folder-2`, `folder-3`, … that does not exist."""
    number = 2
    while Path(f"{folder}-{number}").exists():
        number += 1
    return f"{folder}-{number}"


def _lighter(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    """Need less memory: go down the ladder, recomputing activations from the first rung on."""
    recomputing = config.changed(memory__gradient_checkpointing="on")
    if config.schedule.batch_size == 1 and recomputing != config:
        return recomputing
    return next_rung(recomputing) or config


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
    """Put the option that cannot work here back to its default; its path or its value is told."""
    for option in options():
        if values.get("option") in (option.path, str(_value(config, option))):
            default = _value(TrainConfig(), option)
            return config.changed(**{f"{option.section}__{option.name}": default})
    return config


def _own_template(config: TrainConfig, _: dict[str, Any]) -> TrainConfig:
    return config.changed(data__chat_template=None)


def _with_replay(config: TrainConfig) -> TrainConfig:
    """Mix in a quarter of general rows; half where a quarter was not enough."""
    share = next((s for s in REPLAY_SHARES if s > config.data.replay_share), None)
    return config.changed(data__replay_share=share) if share else config


def _gentler(config: TrainConfig) -> TrainConfig:
    """Learn at a third of the rate: beyond a point, more of it buys only forgetting."""
    rate = config.optim.learning_rate
    lower = float(f"{rate / 3:.2g}")
    return config.changed(optim__learning_rate=lower) if rate > LOWEST_RATE else config


def _weaker(config: TrainConfig) -> TrainConfig:
    """Let the adapter speak half as loud; one that goes on learning keeps its own strength."""
    if config.model.method == "full" or config.model.adapter:
        return config
    return config.changed(lora__alpha=max(1, config.lora.alpha // 2))


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
AGAINST_FORGETTING: dict[str, Callable[[TrainConfig], TrainConfig]] = {
    "replay": _with_replay,
    "rate": _gentler,
    "strength": _weaker,
}
