"""Compare estimated with measured peak memory: `python -m benchmarks.estimate`.

Every case is a real job of two optimizer steps in a process of its own. On a processor the peak is
that of the process (Linux and macOS), on a GPU that of torch's allocator.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shapes import FAMILIES, SHAPES, Shape, save, save_family
from easytune import demo, events, job, machine, model_shape, paths
from easytune.config import TrainConfig
from easytune.data.insight import row_lengths
from easytune.estimate import PARTS, Estimate, at_once, estimate
from easytune.estimate.load import Load
from easytune.events import Failed, Finished
from easytune.job import Job

MODELS = SHAPES | {
    # Much to keep for little to compute: what counts are activations.
    "narrow": Shape(320, 896, 8, 8, 4, 32_000),
    # The other way round: what counts are weights.
    "wide": Shape(1024, 2816, 6, 16, 4, 32_000),
    "vocabulary": Shape(256, 704, 4, 4, 4, 152_000),
}
ROWS, SEED = 200, 1
_MEAN_WORDS, _SPREAD = 90, 0.5


@dataclass(frozen=True)
class Case:
    """A run to estimate and to measure: a shape, and what differs from `_USUAL`."""

    shape: str
    options: dict[str, Any] = field(default_factory=dict)


_USUAL: dict[str, Any] = {
    "schedule.max_steps": 2, "data.held_out_share": 0.0, "monitor.sample_tokens": 0,
    "monitor.forgetting": False, "memory.gradient_checkpointing": "off", "lora.rank": 8,
}  # fmt: skip
_ON = {"memory.gradient_checkpointing": "on"}
_FEW = {"schedule.batch_size": 2}
_SOME = {"schedule.batch_size": 12}
_MANY = {"schedule.batch_size": 32}
CASES = {
    "narrow": Case("narrow", _MANY),
    "narrow, checkpointing": Case("narrow", _MANY | _ON),
    "narrow, padded": Case("narrow", _MANY | {"data.packing": False}),
    "narrow, dropout": Case("narrow", _MANY | {"lora.dropout": 0.05}),
    "narrow, attention, rank 64": Case(
        "narrow", _MANY | {"lora.target_modules": ("attention",), "lora.rank": 64}
    ),
    "narrow, full": Case("narrow", _MANY | {"model.method": "full"}),
    "narrow, bf16": Case("narrow", {"schedule.batch_size": 16, "memory.precision": "bf16"}),
    "wide": Case("wide", _FEW),
    "wide, bf16": Case("wide", _FEW | {"memory.precision": "bf16"}),
    "wide, full": Case("wide", _FEW | {"model.method": "full"}),
    "wide, full, adafactor": Case(
        "wide", _FEW | {"model.method": "full", "optim.optimizer": "adafactor"}
    ),
    "wide, 8-bit": Case("wide", _FEW | {"model.method": "qlora", "memory.quantization_bits": 8}),
    "wide, 4-bit": Case("wide", _FEW | {"model.method": "qlora", "memory.quantization_bits": 4}),
    "narrow, 4-bit, checkpointing": Case("narrow", _MANY | _ON | {"model.method": "qlora"}),
    "vocabulary": Case("vocabulary", _MANY),
    "vocabulary, checkpointing": Case("vocabulary", _MANY | _ON),
    "100m": Case("100m", {"schedule.batch_size": 4}),
    **{name: Case(name, _SOME) for name in FAMILIES},
    **{f"{name}, dropout": Case(name, _SOME | {"lora.dropout": 0.05}) for name in FAMILIES},
}


def main() -> None:
    """Measure the chosen cases and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as home:
        print("| case | tokens at once | estimated GB | measured GB | difference |")
        print("|---|---|---|---|---|")
        for name in options.cases or CASES:
            _compare(name, CASES[name], Path(home), options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", nargs="+", choices=CASES, help="default: all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--parts", action="store_true", help="print the estimate by part")
    return parser.parse_args()


def _compare(name: str, case: Case, home: Path, options: argparse.Namespace) -> None:
    config = _config(case, home)
    found, tokens = _estimated(config, home)
    measured = _measured(config, home, options.threads)
    if isinstance(measured, str):
        print(f"| {name} | {tokens} | {found.peak_gb:.2f} | {measured} | |", flush=True)
        return
    off = found.peak_gb / measured - 1
    line = f"| {name} | {tokens} | {found.peak_gb:.2f} | {measured:.2f} | {off:+.0%} |"
    parts = {part: round(found.parts[part], 3) for part in PARTS} if options.parts else ""
    print(line, parts, flush=True)


def _config(case: Case, home: Path) -> TrainConfig:
    chosen = _USUAL | case.options
    chosen["model.base_model"] = str(_model(case.shape, home))
    chosen["data.datasets"] = (str(_rows(home)),)
    return TrainConfig().changed(**{k.replace(".", "__"): v for k, v in chosen.items()})


def _model(shape: str, home: Path) -> Path:
    folder = home / "shapes" / shape
    if not folder.exists():
        if shape in FAMILIES:
            save_family(shape, folder)
        else:
            save(MODELS[shape], folder)
        for file in demo.MODEL.glob("*token*"):
            shutil.copy(file, folder)
    return folder


def _rows(home: Path) -> Path:
    path = home / "rows.jsonl"
    if not path.exists():
        path.write_text("\n".join(map(json.dumps, _made_up())), encoding="utf-8")
    return path


def _made_up() -> Iterator[dict[str, str]]:
    """Yield questions and answers whose lengths vary as those of Alpaca do."""
    chance = np.random.default_rng(SEED)
    words = ["the", "colour", "of", "a", "river", "is", "blue", "and", "runs", "down"]
    for _ in range(ROWS):
        count = int(chance.lognormal(np.log(_MEAN_WORDS), _SPREAD))
        text = [str(word) for word in chance.choice(words, count + 4)]
        yield {
            "instruction": " ".join(text[: count // 3 + 2]),
            "output": " ".join(text[count // 3 :]),
        }


def _estimated(config: TrainConfig, home: Path) -> tuple[Estimate, int]:
    folder = Path(config.model.base_model)
    data = row_lengths.shape_of(row_lengths.count(config, folder, home), config)
    here, shape = machine.look(config.memory.device, home), model_shape.read(folder)
    tokens = at_once.load(config, shape, here, Load.of(config, data)).tokens
    return estimate(config, shape, data, here), tokens


def _measured(config: TrainConfig, home: Path, threads: int) -> float | str:
    """Return the peak in GB of a job that does this, or why it failed."""
    folder = job.create(paths.runs(home), Job(config=config))
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "easytune.engine.worker", str(folder.path)]
    with folder.log.open("wb") as log:
        subprocess.run(command, env=environment, stdout=log, stderr=log, check=False)
    end = events.read(folder.events)[0][-1]
    shutil.rmtree(folder.out, ignore_errors=True)
    if isinstance(end, Failed):
        return f"{end.code} {end.values}"
    assert isinstance(end, Finished)
    return end.metrics["peak_memory_gb"]


if __name__ == "__main__":
    main()
