"""How fast the registry of models opens: `python -m benchmarks.registry`.

Puts runs with a small real adapter each into a home of its own, reads them once, and then measures
in a process that has just begun what a person waits for: opening the list (service and drawing),
a search, another order, and the sheet of one version. All in CPU milliseconds, the best of
several, and as a ratio to listing the folder of the runs and asking for the state of each.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from easytune import job, paths, records
from easytune.config import TrainConfig
from easytune.events import Finished
from easytune.job import Job
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.registry import Registry
from easytune.services.registry_entry import Listing, Query
from easytune.services.runs import Runs
from easytune.services.store import Store
from easytune.webui import models_list_view

ENTRIES, REPEATS = 1000, 5
_NAMES = 40
_GOAL_MS = 200


def main() -> None:
    """Make the home, read it, and measure in another process."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=ENTRIES)
    parser.add_argument("--home", type=Path, help="measure this home, made before")
    args = parser.parse_args()
    if args.home is not None:
        _measure(args.home)
        return
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        _make(home, args.entries)
        cold = _cpu_ms(lambda: _registry(home).list())
        print(f"{args.entries} entries, read for the first time: {cold:.0f} CPU ms")
        command = [sys.executable, "-m", "benchmarks.registry", "--home", str(home)]
        subprocess.run(command, check=True)


def _measure(home: Path) -> None:
    registry = _registry(home)
    imports = _cpu_ms(lambda: registry.resolve("nothing:v1"))
    registry = _registry(home)
    first = _cpu_ms(lambda: _draw(registry.list()))
    listing = _best(lambda: _stat_all(home))
    ways: dict[str, Callable[[], object]] = {
        "open": lambda: _draw(registry.list()),
        "search": lambda: _draw(registry.list(Query(search="model-7"))),
        "sort": lambda: _draw(registry.list(Query(sort="loss"))),
        "filter": lambda: _draw(registry.list(Query(stage="approved"))),
        "one version": lambda: registry.get("model-7:v3"),
    }
    print(f"listing the folders only: {listing:.1f} CPU ms")
    print(f"libraries of the database, which the app loads when it has begun: {imports:.0f} CPU ms")
    print(
        f"open, for the first time: {first:.1f} CPU ms ({first / listing:.1f} x), goal {_GOAL_MS}"
    )
    for name, way in ways.items():
        took = _best(way)
        print(f"{name}: {took:.1f} CPU ms ({took / listing:.1f} x)")


def _draw(found: Listing) -> str:
    return models_list_view.filters(found, {}, "en") + models_list_view.table(
        found, 0, "", [], "en"
    )


def _registry(home: Path) -> Registry:
    runs = Runs(home)
    catalogue = Catalogue(home, runs)
    return Registry(home, Store(home), runs, catalogue, Evaluations(home, runs, catalogue))


def _make(home: Path, entries: int) -> None:
    """Write one run with a real adapter, and copies of it under other names."""
    began = datetime(2026, 11, 1, tzinfo=UTC)
    weights = _adapter(home / "adapter")
    for number in range(entries):
        config = TrainConfig().changed(output__name=f"model-{number % _NAMES}")
        order = Job(config=config, created=began + timedelta(minutes=number))
        folder = job.create(paths.runs(home), order)
        shutil.copytree(weights, folder.adapter)
        folder.events.write_text(Finished(step=4).model_dump_json() + "\n")
        records.write(folder.exit, {"returncode": 0})
    shutil.rmtree(weights)


def _adapter(folder: Path) -> Path:
    """Write an adapter of one layer of the demo model, as PEFT does."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True)
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    halves = {f"{layer}.lora_A.weight": (2, 64), f"{layer}.lora_B.weight": (64, 2)}
    tensors = {name: torch.zeros(shape) for name, shape in halves.items()}
    save_file(tensors, folder / "adapter_model.safetensors")
    told = {"peft_type": "LORA", "base_model_name_or_path": "demo", "r": 2}
    records.write(folder / "adapter_config.json", told)
    score = {"score": 0.1, "low": 0.05, "high": 0.15}
    measured = {"metrics": {"held_out_loss": 1.5}, "forgetting": score}
    records.write(folder / "metrics.json", measured)
    return folder


def _stat_all(home: Path) -> None:
    for name in os.listdir(paths.runs(home)):
        os.stat(os.path.join(paths.runs(home), name, "exit.json"))


def _best(way: Callable[[], object]) -> float:
    return min(_cpu_ms(way) for _ in range(REPEATS))


def _cpu_ms(way: Callable[[], object]) -> float:
    began = time.process_time()
    way()
    return 1000 * (time.process_time() - began)


if __name__ == "__main__":
    main()
