"""transformers' TrainingArguments from our configuration, and what they need installed."""

import dataclasses
import difflib
import importlib.util
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from easytune.config import TrainConfig
from easytune.engine.models import Loaded
from easytune.engine.rhythm import Rhythm
from easytune.errors import ConfigInvalid, DependencyMissing, OptionUnsupported

_PACKAGES = (
    (("adamw_torch_4bit", "adamw_torch_8bit"), "torchao"),
    (("adamw_torch_xla",), "torch_xla"),
    (("adamw_torch_npu_fused",), "torch_npu"),
    (("adamw_anyprecision",), "torchdistx"),
    (("galore_",), "galore_torch"),
    (("apollo_",), "apollo_torch"),
    (("lomo", "adalomo"), "lomo_optim"),
    (("grokadamw",), "grokadamw"),
    (("schedule_free_",), "schedulefree"),
    (("stable_adamw",), "optimi"),
    (("adamw_bnb", "adamw_8bit", "ademamix", "lion_", "paged_", "rmsprop_bnb"), "bitsandbytes"),
)
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
    "logging_steps": "monitor.logging_steps",
    "eval_steps": "monitor.eval_steps",
    "save_steps": "monitor.save_steps",
    "save_total_limit": "monitor.save_limit",
    "load_best_model_at_end": "monitor.keep_best",
    "report_to": "monitor.report_to",
    "run_name": "output.name",
    "resume_from_checkpoint": "resume",
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
    if config.monitor.report_to != "none":
        _need(config.monitor.report_to, "monitor.report_to")
    if config.memory.liger_kernel:
        if device.type == "cpu":
            raise OptionUnsupported(option="memory.liger_kernel", reason="needs a GPU")
        _need("liger_kernel", "memory.liger_kernel", "liger-kernel")


def build(
    config: TrainConfig, loaded: Loaded, rhythm: Rhythm, checkpoints: Path, checkpointing: bool
) -> TrainingArguments:
    """Return the arguments of a run. Logging, evaluation and saving follow `rhythm`, not these."""
    optim, schedule = config.optim, config.schedule
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        per_device_train_batch_size=schedule.batch_size,
        gradient_accumulation_steps=schedule.gradient_accumulation,
        max_steps=rhythm.total,
        learning_rate=optim.learning_rate,
        lr_scheduler_type=schedule.scheduler,
        # transformers reads a number below 1 as a share of all steps.
        warmup_steps=schedule.warmup if schedule.warmup < 1 else int(schedule.warmup),
        optim=optim.optimizer,
        optim_args=optim.optimizer_args,
        optim_target_modules="all-linear" if _is_low_rank(optim.optimizer) else None,
        weight_decay=optim.weight_decay,
        adam_beta1=optim.adam_beta1,
        adam_beta2=optim.adam_beta2,
        max_grad_norm=optim.max_grad_norm,
        neftune_noise_alpha=optim.neftune_alpha,
        seed=schedule.seed,
        bf16=loaded.autocast and loaded.dtype == torch.bfloat16,
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
        **config.output.training_args,
    )
    # Several GPUs in one process would go through DataParallel, which splits our packs.
    if arguments.device.type == "cuda":
        arguments._n_gpu = 1
    return arguments


_LIGER = {"cross_entropy": False, "fused_linear_cross_entropy": False}


def _check_extra(extra: dict[str, Any]) -> None:
    known = [field.name for field in dataclasses.fields(TrainingArguments)]
    problems = [problem for name in extra if (problem := _problem(name, known))]
    if problems:
        raise ConfigInvalid(
            problems="\n".join(f"output.training_args: {problem}" for problem in problems)
        )


def _problem(name: str, known: list[str]) -> str | None:
    if name in _OWN:
        return f"{name} → {_OWN[name]}"
    if name in _WITHOUT_EFFECT:
        return f"{name}: ✗"
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        return f"{name}: ?" + (f" → {near[0]}" if near else "")
    return None


def _check_optimizer(config: TrainConfig) -> None:
    name = config.optim.optimizer
    for prefixes, package in _PACKAGES:
        if name.startswith(prefixes):
            _need(package, "optim.optimizer")
            break
    if _is_low_rank(name) and config.model.method != "full":
        raise OptionUnsupported(option="optim.optimizer", reason=f"{name}: model.method = full")
    if (
        _is_low_rank(name)
        and name.endswith("layerwise")
        and config.schedule.gradient_accumulation > 1
    ):
        reason = f"{name}: schedule.gradient_accumulation = 1"
        raise OptionUnsupported(option="optim.optimizer", reason=reason)


def _is_low_rank(optimizer: str) -> bool:
    return optimizer.startswith(("galore", "apollo"))


def _need(module: str, option: str, package: str | None = None) -> None:
    if importlib.util.find_spec(module) is None:
        raise DependencyMissing(option=option, package=package or module.replace("_", "-"))
