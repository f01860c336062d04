"""Compare our engine with a plain transformers Trainer: `python -m benchmarks.train`.

Same model, same rows, same LoRA; one child process at a time, in turn. On a processor speed is
useful tokens (padding does not count) per CPU-second, on a GPU per second.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.shapes import SHAPES, Shape, flops_per_token, rows, save

RANK, BATCH, WARM_STEPS = 8, 8, 1
WAYS = ("plain fp32", "plain bf16", "ours fp32", "ours bf16", "ours auto")


def main() -> None:
    """Run every way in a child of its own and print the table."""
    options = _options()
    if options.child:
        print(json.dumps(_measure(options.child, options)))
        return
    with tempfile.TemporaryDirectory() as folder:
        save(SHAPES[options.shape], Path(folder))
        results = {way: _child(way, options, folder) for way in options.ways}
    _print(results, options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="100m")
    parser.add_argument("--steps", type=int, default=4, help="measured optimizer steps of 8 rows")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--model", help=argparse.SUPPRESS)
    return parser.parse_args()


def _child(way: str, options: argparse.Namespace, folder: str) -> dict[str, Any]:
    command = [
        sys.executable, "-m", "benchmarks.train", "--child", way, "--model", folder,
        "--shape", options.shape, "--steps", str(options.steps), "--threads", str(options.threads),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{way}: {found['speed']:.0f} tokens/s", file=sys.stderr, flush=True)
    return found


def _measure(way: str, options: argparse.Namespace) -> dict[str, Any]:
    import torch

    torch.set_num_threads(options.threads)
    shape = SHAPES[options.shape]
    examples = rows(BATCH * (options.steps + WARM_STEPS), shape.vocabulary)
    clock = _Clock()
    with tempfile.TemporaryDirectory() as output:
        run = _train_plain if way.startswith("plain") else _train_ours
        dtype = run(way.split()[1], Path(options.model), output, examples, clock)
    speed = clock.tokens / clock.seconds
    mean = sum(len(e.input_ids) for e in examples) / len(examples)
    from easytune.engine import hardware

    return {
        "speed": speed,
        "dtype": str(dtype).removeprefix("torch."),
        "memory_gb": hardware.peak_memory_gb(hardware.device("auto")),
        "gflops": speed * flops_per_token(shape, RANK, mean) / 1e9,
        "limit": _matmul_gflops(dtype),
        "loss": clock.loss,
    }


class _Clock:
    """Counts useful tokens and time after the warm-up steps."""

    def __init__(self) -> None:
        self.tokens, self.seconds, self.loss, self._step, self._last = 0, 0.0, 0.0, 0, _now()

    def step(self, tokens: int) -> None:
        """End a step that had so many useful tokens."""
        now = _now()
        if self._step >= WARM_STEPS:
            self.tokens += tokens
            self.seconds += now - self._last
        self._step, self._last = self._step + 1, now


def _now() -> float:
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def _matmul_gflops(dtype: Any) -> float:
    """Return the speed of large square products, the limit of everything here."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 8192 if device == "cuda" else 2048
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    torch.mm(a, b)
    began, rounds = _now(), 6
    for _ in range(rounds):
        torch.mm(a, b)
    return rounds * 2 * size**3 / (_now() - began) / 1e9


def _train_plain(
    precision: str, folder: Path, output: str, examples: list[Any], clock: _Clock
) -> Any:
    """What most people run: Trainer, PEFT, padded rows, labels."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainingArguments

    from easytune.engine import batching

    def collate(chosen: list[Any]) -> dict[str, Any]:
        batch = batching.padded(chosen, pad_id=0)
        labels = torch.full_like(batch["input_ids"], -100)
        for i, example in enumerate(chosen):
            learned = torch.from_numpy(example.trained.nonzero()[0])
            labels[i, learned] = batch["input_ids"][i, learned]
        return {name: batch[name] for name in ("input_ids", "attention_mask")} | {"labels": labels}

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    adapter = LoraConfig(r=RANK, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = Trainer(
        model=get_peft_model(model, adapter),
        args=TrainingArguments(
            output,
            per_device_train_batch_size=BATCH,
            num_train_epochs=1,
            learning_rate=1e-4,
            remove_unused_columns=False,
            save_strategy="no",
            report_to=[],
            disable_tqdm=True,
            seed=1,
        ),
        train_dataset=batching.Rows(examples),
        data_collator=collate,
    )
    trainer.remove_callback(PrinterCallback)
    trainer._get_train_sampler = lambda *_: torch.utils.data.SequentialSampler(examples)  # type: ignore[method-assign]
    _watch(trainer, clock, _tokens_per_step(examples))
    clock.loss = trainer.train().training_loss
    return dtype


def _train_ours(
    precision: str, folder: Path, output: str, examples: list[Any], clock: _Clock
) -> Any:
    """Our engine as a job uses it, minus reports and checkpoints."""
    from easytune.config import TrainConfig
    from easytune.engine import arguments, models
    from easytune.engine.rhythm import rhythm
    from easytune.engine.trainer import PackedTrainer, collator

    config = TrainConfig().changed(
        model__base_model=str(folder),
        lora__rank=RANK,
        lora__alpha=16,
        memory__precision=precision,
        schedule__batch_size=BATCH,
        schedule__epochs=1,
        optim__learning_rate=1e-4,
    )
    loaded = models.load(config, folder)
    batches = _InOrder([len(e.input_ids) for e in examples], BATCH, 1, 1, loaded.plan.packed)
    when = rhythm(config.schedule, config.monitor, batches.steps())
    trainer = PackedTrainer(
        loaded.model,
        arguments.build(config, loaded, when, Path(output), checkpointing=False),
        batches,
        examples,
        [],
        collator(loaded.plan.packed, pad_id=0),
    )
    _watch(trainer, clock, _tokens_per_step(examples))
    clock.loss = trainer.train().training_loss
    return loaded.dtype


def _InOrder(*arguments: Any) -> Any:  # noqa: N802 - stands for a class that must be made late
    """Return our batches, drawn in the order of the rows, as the plain Trainer here does."""
    from easytune.engine.batching import StepBatches

    class InOrder(StepBatches):
        def __iter__(self) -> Any:
            start = 0
            for count in self._rows_per_step():
                yield from self._share_out(list(range(start, start + count)))
                start += count

    return InOrder(*arguments)


def _tokens_per_step(examples: list[Any]) -> list[int]:
    lengths = [len(example.input_ids) for example in examples]
    return [sum(lengths[i : i + BATCH]) for i in range(0, len(lengths), BATCH)]


def _watch(trainer: Any, clock: _Clock, tokens: list[int]) -> None:
    from transformers import TrainerCallback

    class Watch(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            clock.step(tokens[state.global_step - 1])

    trainer.add_callback(Watch())


def _print(results: dict[str, dict[str, Any]], options: argparse.Namespace) -> None:
    shape: Shape = SHAPES[options.shape]
    print(
        f"\nshape {options.shape} {shape}, LoRA rank {RANK}, {options.steps} steps of {BATCH} rows"
    )
    print(
        "| way | tokens/s | x plain fp32 | x plain bf16 | share of matmul limit | peak GB | loss |"
    )
    print("|---|---|---|---|---|---|---|")
    for way, found in results.items():
        name = f"{way} ({found['dtype']})" if way.endswith("auto") else way
        ratios = [
            f"{found['speed'] / results[base]['speed']:.2f}" if base in results else "-"
            for base in ("plain fp32", "plain bf16")
        ]
        share = f"{100 * found['gflops'] / found['limit']:.0f}% of {found['limit']:.0f} GFLOP/s"
        cells = [name, f"{found['speed']:.0f}", *ratios, share, f"{found['memory_gb']:.1f}"]
        print(f"| {' | '.join(cells)} | {found['loss']:.4f} |")


if __name__ == "__main__":
    main()
