"""transformers' TrainingArguments from our configuration, and what they need installed."""

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any, get_args, get_type_hints

import torch
from pydantic import TypeAdapter, ValidationError
from transformers import TrainingArguments

from easytune import requirements
from easytune.config import TrainConfig
from easytune.engine.models import Loaded
from easytune.engine.rhythm import Rhythm
from easytune.errors import ConfigInvalid, DependencyMissing, OptionUnsupported

# The optimizers that transformers reads extra settings for; the others would ignore them.
_READ_SETTINGS = (
    "sgd", "adagrad", "rmsprop", "ademamix", "paged_ademamix", "adamw_anyprecision", "galore",
    "apollo", "grokadamw", "stable_adamw", "adamw_torch_4bit", "adamw_torch_8bit", "schedule_free",
)  # fmt: skip
# Arguments that have an option of their own here, and which.
_OWN = {
    "output_dir": "output.folder",
    "per_device_train_batch_size": "schedule.batch_size",
    "gradient_accumulation_steps": "schedule.gradient_accumulation",
    "num_train_epochs": "schedule.epochs",
    "max_steps": "schedule.max_steps",
    "lr_scheduler_type": "schedule.scheduler",
    "warmup_steps": "schedule.warmup",
    "seed": "schedule.seed",
    "learning_rate": "optim.learning_rate",
    "optim": "optim.optimizer",
    "optim_args": "optim.optimizer_args",
    "weight_decay": "optim.weight_decay",
    "adam_beta1": "optim.adam_beta1",
    "adam_beta2": "optim.adam_beta2",
    "max_grad_norm": "optim.max_grad_norm",
    "neftune_noise_alpha": "optim.neftune_alpha",
    "bf16": "memory.precision",
    "fp16": "memory.precision",
    "use_cpu": "memory.device",
    "gradient_checkpointing": "memory.gradient_checkpointing",
    "activation_checkpointing": "memory.gradient_checkpointing",
    "use_liger_kernel": "memory.liger_kernel",
    "torch_compile": "memory.torch_compile",
    "fsdp": "memory.sharding",
    "fsdp_config": "memory.sharding",
    "deepspeed": "memory.sharding",
    "logging_steps": "monitor.logging_steps",
    "eval_steps": "monitor.eval_steps",
    "save_steps": "monitor.save_steps",
    "save_total_limit": "monitor.save_limit",
    "load_best_model_at_end": "monitor.keep_best",
    "report_to": "monitor.report_to",
    "run_name": "output.name",
    "resume_from_checkpoint": "easytune resume",
}
# Arguments that our own data order, loss, evaluation or saving would ignore.
_WITHOUT_EFFECT = {
    "logging_strategy", "logging_first_step", "logging_nan_inf_filter", "eval_strategy",
    "eval_delay", "eval_on_start", "per_device_eval_batch_size", "prediction_loss_only",
    "eval_do_concat_batches", "eval_use_gather_object", "eval_accumulation_steps",
    "include_for_metrics", "batch_eval_metrics", "bf16_full_eval", "fp16_full_eval",
    "save_strategy", "save_only_model", "save_on_each_node", "enable_jit_checkpoint",
    "metric_for_best_model", "greater_is_better", "label_smoothing_factor", "label_names",
    "remove_unused_columns", "train_sampling_strategy", "length_column_name", "data_seed",
    "dataloader_drop_last", "auto_find_batch_size", "ignore_data_skip", "disable_tqdm",
    "do_train", "do_eval", "do_predict", "local_rank", "use_cache", "gradient_checkpointing_kwargs",
    "torch_compile_backend", "torch_compile_mode", "average_tokens_across_devices",
    "restore_callback_states_from_checkpoint", "include_num_input_tokens_seen",
    "skip_memory_metrics", "log_on_each_node",
    # Uploading and tokens are not part of a run's file.
    "push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy",
    "hub_always_push", "hub_revision",
}  # fmt: skip


def check(config: TrainConfig, device: torch.device) -> None:
    """Make sure that every option can be honoured here.

    Raises ConfigInvalid, DependencyMissing or OptionUnsupported before anything is loaded.
    """
    _check_extra(config.output.training_args)
    _check_optimizer(config)
    _check_processes(config, device)
    _need("monitor.report_to", config.monitor.report_to)
    if config.monitor.forgetting_limit and not config.monitor.forgetting:
        raise OptionUnsupported("monitor.forgetting_limit", "@engine.reason.meter_off")
    if config.memory.liger_kernel:
        if device.type == "cpu":
            raise OptionUnsupported("memory.liger_kernel", "@engine.reason.no_gpu")
        _need("memory.liger_kernel", True)


def build(
    config: TrainConfig,
    loaded: Loaded,
    rhythm: Rhythm,
    checkpoints: Path,
    checkpointing: bool,
    deepspeed: dict[str, Any] | None = None,
) -> TrainingArguments:
    """Return the arguments of a run. Logging, evaluation and saving follow `rhythm`, not these.

    With settings for `deepspeed` the casts to half precision are its own.
    """
    optim, schedule = config.optim, config.schedule
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=schedule.batch_size,
        gradient_accumulation_steps=schedule.gradient_accumulation,
        max_steps=rhythm.total,
        learning_rate=optim.learning_rate,
        lr_scheduler_type=schedule.scheduler,
        warmup_steps=warmup_steps(schedule.warmup, rhythm.total),
        optim=optim.optimizer,
        optim_args=optim.optimizer_args,
        optim_target_modules="all-linear" if _is_low_rank(optim.optimizer) else None,
        weight_decay=optim.weight_decay,
        adam_beta1=optim.adam_beta1,
        adam_beta2=optim.adam_beta2,
        max_grad_norm=optim.max_grad_norm,
        neftune_noise_alpha=optim.neftune_alpha,
        seed=schedule.seed,
        bf16=loaded.autocast and loaded.dtype == torch.bfloat16 and deepspeed is None,
        fp16=loaded.dtype == torch.float16,
        use_cpu=loaded.device.type == "cpu",
        activation_checkpointing=checkpointing,
        activation_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
        use_liger_kernel=config.memory.liger_kernel,
        liger_kernel_config=_LIGER if config.memory.liger_kernel else None,
        report_to=[] if config.monitor.report_to == "none" else [config.monitor.report_to],
        run_name=config.output.name,
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        # The default shows a loss of 0.0 while the weights are already NaN.
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        dataloader_pin_memory=loaded.device.type == "cuda",
        ddp_find_unused_parameters=False,
        deepspeed=deepspeed,
        **config.output.training_args,
    )
    # Several GPUs in one process would go through DataParallel, which splits our packs.
    if arguments.device.type == "cuda":
        arguments._n_gpu = 1
    return arguments


def warmup_steps(warmup: float, total: int) -> int:
    """Return the steps of the gentle start: a share of all steps below 1, else steps.

    Rounded down, unlike in transformers: the first step of a warmup has a learning rate of zero,
    so that a run of one step would learn nothing.
    """
    return int(warmup * total if warmup < 1 else warmup)


_LIGER = {"cross_entropy": False, "fused_linear_cross_entropy": False}


def _check_extra(extra: dict[str, Any]) -> None:
    hints = get_type_hints(TrainingArguments)
    known = {field.name: hints[field.name] for field in dataclasses.fields(TrainingArguments)}
    problems = [found for name, value in extra.items() if (found := _problem(name, value, known))]
    if problems:
        raise ConfigInvalid(
            problems="\n".join(f"output.training_args: {problem}" for problem in problems)
        )


def _problem(name: str, value: Any, known: dict[str, Any]) -> str | None:
    """Return why an argument is refused, in words that `i18n.t` translates; None when it is not."""
    if name in _OWN:
        return f"{name} @engine.argument.ours {_OWN[name]}"
    if name in _WITHOUT_EFFECT:
        return f"{name} @engine.argument.pointless"
    if name not in known:
        near = difflib.get_close_matches(name, list(known), n=1)
        meant = f" (@engine.argument.meant {near[0]})" if near else ""
        return f"{name} @engine.argument.unknown{meant}"
    return None if _fits(value, known[name]) else f"{name} @engine.argument.value"


def _fits(value: Any, hint: Any) -> bool:
    # transformers takes a JSON object, or the file that holds one, where it takes a dict.
    if isinstance(value, str) and dict in get_args(hint):
        return value.lstrip().startswith("{") or value.endswith(".json")
    try:
        TypeAdapter(hint).validate_json(json.dumps(value, default=str), strict=True)
    except ValidationError:
        return False
    return True


def _check_optimizer(config: TrainConfig) -> None:
    name = config.optim.optimizer
    _need("optim.optimizer", name)
    _check_settings(config)
    if _is_low_rank(name) and config.model.method != "full":
        raise OptionUnsupported(option="optim.optimizer", reason="@engine.reason.full_only")
    if (
        _is_low_rank(name)
        and name.endswith("layerwise")
        and config.schedule.gradient_accumulation > 1
    ):
        raise OptionUnsupported(option="optim.optimizer", reason="@engine.reason.no_accumulation")


def _check_processes(config: TrainConfig, device: torch.device) -> None:
    count = config.memory.processes
    if count > 1 and device.type == "mps":
        raise OptionUnsupported("memory.processes", "@engine.reason.one_device")
    if device.type == "cuda" and count > torch.cuda.device_count():
        raise OptionUnsupported("memory.processes", "@engine.reason.one_device")
    requirements.require(config, "memory.sharding")


def _check_settings(config: TrainConfig) -> None:
    """Make sure that the optimizer's extra settings can be read, and are."""
    settings = config.optim.optimizer_args
    if settings is None:
        return
    if not config.optim.optimizer.startswith(_READ_SETTINGS):
        raise OptionUnsupported("optim.optimizer_args", "@engine.reason.arguments_unread")
    if any(len(pair.split("=")) != 2 for pair in settings.split(",")):
        raise OptionUnsupported("optim.optimizer_args", "@engine.reason.not_pairs")


def _is_low_rank(optimizer: str) -> bool:
    return optimizer.startswith(("galore", "apollo"))


def _need(option: str, value: Any) -> None:
    if package := requirements.missing_package(option, value):
        raise DependencyMissing(option=option, package=package)
