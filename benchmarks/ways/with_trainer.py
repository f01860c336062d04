"""What most people run: transformers' Trainer, PEFT, padded rows, labels."""

from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainingArguments

from benchmarks.ways import measuring
from benchmarks.ways.measuring import Clock, Spec, Watch


def train(spec: Spec, clock: Clock) -> None:
    """Train the rows in their order."""
    rows = spec.read_rows()
    model = AutoModelForCausalLM.from_pretrained(spec.model, dtype=spec.dtype)
    adapter = LoraConfig(
        r=spec.rank, lora_alpha=spec.alpha, target_modules="all-linear", task_type="CAUSAL_LM"
    )
    trainer = Trainer(
        model=get_peft_model(model, adapter),
        args=arguments(spec),
        train_dataset=rows,  # type: ignore[arg-type]
        data_collator=collate,
    )
    trainer.remove_callback(PrinterCallback)
    lengths = [len(row["input_ids"]) for row in rows]
    trainer.add_callback(Watch(clock, measuring.per_step(lengths, spec.batch)))
    trainer.train()


def arguments(spec: Spec) -> TrainingArguments:
    """Return the defaults of transformers, but for what makes the trainings the same."""
    return TrainingArguments(
        spec.output,
        per_device_train_batch_size=spec.batch,
        num_train_epochs=1,
        learning_rate=1e-4,
        train_sampling_strategy="sequential",
        remove_unused_columns=False,
        save_strategy="no",
        logging_steps=1,
        report_to=[],
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
        seed=1,
    )


def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Lay rows side by side, filled up on the right."""
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(name: str, filler: int) -> torch.Tensor:
        return torch.tensor([row[name] + [filler] * (longest - len(row[name])) for row in rows])

    tokens, labels = filled("input_ids", 0), filled("labels", -100)
    mask = torch.tensor([[i < len(row["labels"]) for i in range(longest)] for row in rows])
    return {"input_ids": tokens, "attention_mask": mask.long(), "labels": labels}


if __name__ == "__main__":
    measuring.run(train)
