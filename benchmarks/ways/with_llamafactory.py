"""LLaMA-Factory on rows that are tokens already.

"default" has its defaults for LoRA with rows padded; "web" what its web page starts: batches of 2
with accumulation, and everything recomputed; "best" packs without letting rows see each other and
recomputes nothing, the fastest that it offers.
"""

import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from datasets import Dataset, DatasetDict

from benchmarks.ways import measuring
from benchmarks.ways.measuring import Clock, Spec, Watch

# Imported for sound, which there is none of here; its builds fit only some builds of torch.
_SOUND = ModuleType("torchaudio")
_SOUND.__spec__ = ModuleSpec("torchaudio", None)

_FAST: dict[str, Any] = {"disable_gradient_checkpointing": True}
_VARIANTS: dict[str, dict[str, Any]] = {
    "default": _FAST,
    "web": {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4},
    "best": _FAST | {"neat_packing": True, "packing": True, "flash_attn": "sdpa"},
}


def train(spec: Spec, clock: Clock) -> None:
    """Train the rows in their order."""
    sys.modules.setdefault("torchaudio", _SOUND)
    from llamafactory.train.tuner import run_exp  # pyright: ignore[reportMissingImports]

    rows = spec.read_rows()
    packs = spec.variant == "best"
    laid_out = _packed(rows, spec.length) if packs else [_plain(row) for row in rows]
    folder = Path(spec.output) / "tokens"
    DatasetDict({"train": Dataset.from_list(laid_out)}).save_to_disk(str(folder))
    # A pack has about four rows, so that a step has about as many as elsewhere.
    per_step = max(1, spec.batch // 4) if packs else spec.batch
    lengths = [sum(mark > 0 for mark in row["attention_mask"]) for row in laid_out]
    watch = Watch(clock, measuring.per_step(lengths, per_step))
    arguments = _arguments(spec, folder) | {"per_device_train_batch_size": per_step}
    run_exp(arguments | _VARIANTS[spec.variant], callbacks=[watch])


def _arguments(spec: Spec, tokens: Path) -> dict[str, Any]:
    return {
        "model_name_or_path": spec.model,
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "lora",
        "lora_target": "all",
        "lora_rank": spec.rank,
        "lora_alpha": spec.alpha,
        "template": "default",
        # Named though it is not looked at, for a name is asked for.
        "dataset": "rows",
        "tokenized_path": str(tokens),
        "cutoff_len": spec.length,
        "output_dir": str(Path(spec.output) / "out"),
        "num_train_epochs": 1,
        "learning_rate": 1e-4,
        "lr_scheduler_type": "linear",
        "disable_shuffling": True,
        "bf16": spec.precision == "bf16",
        "use_cpu": not torch.cuda.is_available(),
        "save_strategy": "no",
        "logging_steps": 1,
        "report_to": "none",
        "disable_tqdm": True,
        "overwrite_output_dir": True,
        "seed": 1,
    }


def _plain(row: dict[str, list[int]]) -> dict[str, list[int]]:
    return row | {"attention_mask": [1] * len(row["input_ids"])}


def _packed(rows: list[dict[str, list[int]]], length: int) -> list[dict[str, list[int]]]:
    """Lay rows end to end as its own packing does: in the mask each row has a number of its own."""
    packs: list[dict[str, list[int]]] = []
    room = 0
    for row in rows:
        size = len(row["input_ids"])
        if size > room:
            packs.append({"input_ids": [], "labels": [], "attention_mask": [], "position_ids": []})
            room = length
        pack, room = packs[-1], room - size
        number = max(pack["attention_mask"], default=0) + 1
        pack["input_ids"] += row["input_ids"]
        # The first token of a row is nothing that the row before it should foretell.
        pack["labels"] += [-100, *row["labels"][1:]]
        pack["attention_mask"] += [number] * size
        pack["position_ids"] += range(size)
    for pack in packs:
        missing = length - len(pack["input_ids"])
        for name, filler in (("input_ids", 0), ("labels", -100), ("attention_mask", 0)):
            pack[name] += [filler] * missing
        pack["position_ids"] += [0] * missing
    return packs


if __name__ == "__main__":
    measuring.run(train)
