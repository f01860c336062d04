"""Our engine against the trainers people would pick instead: `python -m benchmarks.train`.

The same model, rows and LoRA for all, in one child process at a time, taking turns. On a processor
speed is useful tokens (padding does not count) per CPU-second, on a GPU per second. Losses of the
first step are compared first: who does not compute the same is not faster.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import peers, train_report
from benchmarks.peers import PEERS
from benchmarks.shapes import SHAPES, SUPERVISED, flops_per_token, full_rows, save, save_tokenizer
from benchmarks.shapes import token_rows as alpaca_rows
from benchmarks.ways.measuring import Spec, write

WARM_STEPS = 1
_ENVIRONMENTS = Path("~/.cache/easytune-benchmarks").expanduser()


def main() -> None:
    """Measure every way in turn, and print, keep and draw what was found."""
    options = _options()
    ways = _ways(options)
    rounds: list[dict[str, dict[str, Any]]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        save(SHAPES[options.shape], folder / "model")
        save_tokenizer(folder / "model")
        mean, supervised = _write_rows(folder / "rows.jsonl", options)
        for _ in range(options.rounds):
            rounds.append({way: _child(way, python, folder, options) for way, python in ways})
    flops = flops_per_token(SHAPES[options.shape], options.rank, mean, supervised)
    found = train_report.summarised(rounds, flops)
    print(train_report.table(found, vars(options)))
    if options.json:
        record = {"options": _plain(options), "machine": train_report.machine(), "ways": found}
        options.json.write_text(json.dumps(record, indent=1) + "\n")
    if options.picture:
        train_report.draw(found, options.shape, options.picture)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", nargs="*", choices=PEERS, default=["trainer"])
    parser.add_argument("--shape", choices=SHAPES, default="100m")
    parser.add_argument("--precision", nargs="+", choices=("bf16", "fp32"), default=["bf16"])
    parser.add_argument("--lengths", choices=("alpaca", "full"), default="alpaca")
    parser.add_argument("--length", type=int, default=4096, help="tokens of a row that is full")
    parser.add_argument("--steps", type=int, default=4, help="measured optimizer steps")
    parser.add_argument("--rounds", type=int, default=2, help="turns of every way")
    parser.add_argument("--batch", type=int, default=8, help="rows of a step")
    parser.add_argument("--rank", type=int, default=8)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--compiled", action="store_true", help="also with torch.compile")
    parser.add_argument("--install", action="store_true", help="install peers that are missing")
    parser.add_argument("--environments", type=Path, default=_ENVIRONMENTS)
    parser.add_argument("--json", type=Path, help="keep the figures here")
    parser.add_argument("--picture", type=Path, help="draw them here, as SVG or PNG")
    return parser.parse_args()


def _ways(options: argparse.Namespace) -> list[tuple[str, str]]:
    """Return (trainer variant precision, the Python that runs it); ours first."""
    found = [("ours", "default", sys.executable)]
    if options.compiled:
        found.append(("ours", "compiled", sys.executable))
    for name in options.against:
        python = peers.python_of(name, options.environments, options.install)
        found += [(name, variant, python) for variant in PEERS[name].variants]
    return [
        (f"{name} {variant} {precision}", python)
        for precision in options.precision
        for name, variant, python in found
    ]


def _write_rows(path: Path, options: argparse.Namespace) -> tuple[float, float]:
    """Write the rows of all steps; return their mean length and the share that is learned."""
    count = options.batch * (options.steps + WARM_STEPS)
    vocabulary = SHAPES[options.shape].vocabulary
    is_full = options.lengths == "full"
    learned = 1.0 if is_full else SUPERVISED
    rows = (
        full_rows(count, vocabulary, options.length)
        if is_full
        else [*alpaca_rows(count, vocabulary)]
    )
    with path.open("w") as file:
        for ids in rows:
            labels = np.where(np.arange(len(ids)) >= len(ids) * (1 - learned), ids, -100)
            labels[0] = -100
            row = {"input_ids": ids.tolist(), "labels": labels.tolist()}
            file.write(json.dumps(row) + "\n")
    return statistics.fmean(map(len, rows)), learned


def _child(way: str, python: str, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    name, variant, precision = way.split()
    with tempfile.TemporaryDirectory(dir=folder) as output:
        spec = Spec(
            model=str(folder / "model"), rows=str(folder / "rows.jsonl"), output=output,
            variant=variant, precision=precision, batch=options.batch, rank=options.rank,
            alpha=2 * options.rank, warm=WARM_STEPS, threads=options.threads,
            length=options.length if options.lengths == "full" else 1024,
        )  # fmt: skip
        write(spec, Path(output) / "spec.json")
        command = [python, "-m", f"benchmarks.ways.with_{name}", str(Path(output) / "spec.json")]
        environment = os.environ | {
            "OMP_NUM_THREADS": str(options.threads), "HF_HUB_OFFLINE": "1",
            "WANDB_MODE": "disabled", "DISABLE_VERSION_CHECK": "1",
        }  # fmt: skip
        done = subprocess.run(
            command, env=environment, stdout=subprocess.PIPE, text=True, check=True
        )
    found = json.loads(done.stdout.splitlines()[-1])
    print(f"{way}: {found['speed']:.0f} tokens/s", file=sys.stderr, flush=True)
    return found


def _plain(options: argparse.Namespace) -> dict[str, Any]:
    """Return what was asked for, without the places of files."""
    return {name: value for name, value in vars(options).items() if not isinstance(value, Path)}


if __name__ == "__main__":
    main()
