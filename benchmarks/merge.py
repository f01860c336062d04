"""Merge an adapter into a base model on the disk: `python -m benchmarks.merge`.

The time beside that of copying the same files and of the adapter's products alone, in the same
process and in turns, all three brought to the disk; and the peak memory of a process that does
nothing but merge, above what its imports take. Random weights in bf16, rank 16 on all linear
layers. Goal: 1.3 times, and at most the model plus one shard.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

GIGA = 1e9
RANK, SHARD_GB = 16, 0.5
SHAPES = {
    "tiny": {"hidden_size": 256, "intermediate_size": 704, "num_hidden_layers": 4},
    "2gb": {"hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 22},
}
_Times = tuple[list[float], list[float], list[float]]
_COMMON = {"vocab_size": 32_000, "num_attention_heads": 32, "num_key_value_heads": 4}


def main() -> None:
    """Make the model, measure, and print."""
    options = _options()
    if options.child:
        print(json.dumps(_memory(Path(options.child))))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        base, adapter = save(Path(folder), SHAPES[options.shape])
        size = sum(path.stat().st_size for path in base.glob("*.safetensors"))
        wall, busy = _times(base, adapter, Path(folder), options.rounds)
        print(f"base {size / GIGA:.2f} GB in files of {SHARD_GB} GB, rank {RANK}")
        _tell("on the clock", wall)
        # Hashing, which copying does not, is in it; beside the writing where a core is free.
        _tell("of the processor", busy)
        print(f"peak memory of merging: {_child(Path(folder)):.2f} GB (model {size / GIGA:.2f} GB)")


def save(folder: Path, shape: dict[str, int]) -> tuple[Path, Path]:
    """Write a base in shards and an adapter, without ever holding the model."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoConfig, AutoModelForCausalLM

    from easytune.engine.exporting import shards
    from easytune.engine.exporting.shards import Planned

    base, target = folder / "base", folder / "adapter"
    base.mkdir()
    config = AutoConfig.for_model("llama", **_COMMON, **shape, dtype="bfloat16")
    config.save_pretrained(str(base))
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)
    planned = [Planned(n, "BF16", tuple(t.shape)) for n, t in model.state_dict().items()]
    noise = (torch.randn(4 << 20) * 0.02).to(torch.bfloat16)

    def pieces(one: Planned) -> Any:
        left = one.bytes // 2
        while left:
            part = noise[: min(left, len(noise))]
            numbers: Any = part.view(torch.uint8).numpy()
            yield memoryview(numbers), _nothing
            left -= len(part)

    shards.write(base, planned, pieces, round(SHARD_GB * GIGA), "", lambda done, total: None)
    lora = LoraConfig(task_type="CAUSAL_LM", r=RANK, target_modules="all-linear")
    adapted: Any = get_peft_model(model, lora).to_empty(device="cpu")
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_" in name:
                parameter.normal_(0, 0.02)
    adapted.save_pretrained(str(target))
    return base, target


def _tell(what: str, times: _Times) -> None:
    copied, products, merged = (median(each) for each in times)
    print(f"{what}: copy {copied:.2f} s, products {products:.2f} s, merge {merged:.2f} s")
    print(f"{what}: merge / (copy + products): {merged / (copied + products):.2f} (goal 1.3)")


def _times(base: Path, adapter: Path, folder: Path, rounds: int) -> tuple[_Times, _Times]:
    """Return seconds of copying, of the products and of merging, taken in turns.

    First on the clock, then those that the processor was busy.
    """
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    wall: _Times = ([], [], [])
    busy: _Times = ([], [], [])
    for _ in range(rounds):
        for place, work in enumerate((_copy, _products, _merge)):
            target = folder / "target"
            target.mkdir()
            began, busy_before = time.perf_counter(), time.process_time()
            work(base, adapter, target)
            wall[place].append(time.perf_counter() - began)
            busy[place].append(time.process_time() - busy_before)
            shutil.rmtree(target)
            for notes in folder.glob(".*.shards.json"):
                notes.unlink()
    return wall, busy


def _copy(base: Path, adapter: Path, target: Path) -> None:
    for path in base.glob("*.safetensors"):
        with open(shutil.copy(path, target), "r+b") as file:
            os.fsync(file.fileno())


def _products(base: Path, adapter: Path, target: Path) -> None:
    import torch

    from easytune.engine import adapter_files

    for part in adapter_files.read(adapter).parts.values():
        torch.mm(part.b, part.a)


def _merge(base: Path, adapter: Path, target: Path) -> None:
    from easytune.engine import adapter_files
    from easytune.engine.exporting import merging

    weights = merging.MergedWeights(base, adapter_files.read(adapter))
    merging.write(weights, target, round(SHARD_GB * GIGA), "", lambda done, total: None)


def _memory(folder: Path) -> float:
    """Return by how many GB this process grows when it merges."""
    import psutil

    from easytune import process_memory
    from easytune.engine.exporting import merging

    assert merging
    before = psutil.Process().memory_info().rss
    target = folder / "target"
    target.mkdir()
    _merge(folder / "base", folder / "adapter", target)
    return (process_memory.peak_bytes() - before) / GIGA


def _child(folder: Path) -> float:
    command = [sys.executable, "-m", "benchmarks.merge", "--child", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout.splitlines()[-1])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="2gb")
    parser.add_argument("--rounds", type=int, default=3, help="the median counts")
    parser.add_argument("--folder", help="where files are written; default: the temporary folder")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    return parser.parse_args()


def _nothing() -> None:
    """Numbers of our own need not be given back."""


if __name__ == "__main__":
    main()
