"""TRL's SFTTrainer on rows that are tokens already; "default", or "packed" best-fit."""

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl import SFTConfig, SFTTrainer  # pyright: ignore[reportMissingImports]

from benchmarks.ways import measuring
from benchmarks.ways.measuring import Clock, Spec, Watch


def train(spec: Spec, clock: Clock) -> None:
    """Train the rows in their order; packs are as long as TRL makes them."""
    packs = spec.variant == "packed"
    rows = Dataset.from_list(
        [
            {
                "input_ids": row["input_ids"],
                "completion_mask": [int(label >= 0) for label in row["labels"]],
            }
            for row in spec.read_rows()
        ]
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(spec.model, dtype=spec.dtype),
        args=_arguments(spec, packs),
        train_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(spec.model),
        peft_config=LoraConfig(
            r=spec.rank, lora_alpha=spec.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )
    trainer.remove_callback(PrinterCallback)
    lengths = [len(row["input_ids"]) for row in trainer.train_dataset]  # type: ignore[union-attr]
    per_step = trainer.args.per_device_train_batch_size
    trainer.add_callback(Watch(clock, measuring.per_step(lengths, per_step)))
    trainer.train()


def _arguments(spec: Spec, packs: bool) -> SFTConfig:
    # A pack has about four rows, so that a step has about as many as elsewhere.
    rows = max(1, spec.batch // 4) if packs else spec.batch
    return SFTConfig(
        spec.output,
        per_device_train_batch_size=rows,
        num_train_epochs=1,
        learning_rate=1e-4,
        max_length=spec.length,
        packing=packs,
        completion_only_loss=True,
        train_sampling_strategy="sequential",
        save_strategy="no",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        seed=1,
    )


if __name__ == "__main__":
    measuring.run(train)
