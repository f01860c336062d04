"""Folders of runs, exports and imports as their jobs leave them: small, real, untrained."""

import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from easytune import checkpoints, job, paths, records
from easytune.config import TrainConfig
from easytune.events import Checkpoint, Evaluated, Finished, Started, Step
from easytune.export import ExportConfig
from easytune.export_files import (
    Certificate,
    ExportFolder,
    ExportOrder,
    Limits,
    Parity,
    Source,
)
from easytune.job import Job, JobFolder
from easytune.services.catalogue import Catalogue
from easytune.services.evaluations import Evaluations
from easytune.services.registry import Registry
from easytune.services.runs import Runs
from easytune.services.store import Store

BEGAN = datetime(2026, 11, 1, 12, tzinfo=UTC)
_HIDDEN, _RANK = 256, 2
_LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
_LIMITS = Limits(kl=1e-4, greedy=0.99, logit=None, perplexity=0.01)


def registry(home: Path) -> Registry:
    """Return the registry of a home, with services of its own: as in another process."""
    runs = Runs(home)
    catalogue = Catalogue(home, runs)
    return Registry(home, Store(home), runs, catalogue, Evaluations(home, runs, catalogue))


def run(
    home: Path, name: str = "house-style", number: int = 1, ended: bool = True, **changes: Any
) -> JobFolder:
    """Put a run into a home: `number` sets when it began, how far it came, and its figures."""
    config = TrainConfig().changed(
        **{"output__name": name, "lora__rank": _RANK, "data__datasets": ("demo/style",)} | changes
    )
    order = Job(config=config, created=BEGAN + timedelta(minutes=number))
    folder = job.create(paths.runs(home), order)
    adapter(folder.adapter, fill=number)
    loss = 1.0 + 1 / number
    _metrics(folder.adapter, number, loss)
    events = [
        Started(pid=1, total_steps=4, device="cpu", versions={}),
        Step(step=2, epoch=0.5, loss=2.0, learning_rate=1e-4),
        Evaluated(step=2, epoch=0.5, loss=loss + 0.5),
        Checkpoint(step=2, path=str(folder.checkpoints / "checkpoint-2")),
        Evaluated(step=4, epoch=1.0, loss=loss),
        Finished(step=4, metrics={"held_out_loss": loss, "best_step": 4}),
    ]
    text = "".join(event.model_dump_json() + "\n" for event in events[: None if ended else -1])
    folder.events.write_text(text, encoding="utf-8")
    if ended:
        records.write(folder.process, {"boot_id": "gone", "at": order.created.isoformat()})
        records.write(folder.exit, {"returncode": 0, "ended": order.created.isoformat()})
    return folder


def adapter(folder: Path, fill: int = 1) -> None:
    """Write a real adapter of one layer; `fill` makes its bytes its own."""
    folder.mkdir(parents=True)
    told = {
        "peft_type": "LORA", "base_model_name_or_path": "demo", "r": _RANK, "lora_alpha": 4,
        "target_modules": ["q_proj"], "task_type": "CAUSAL_LM",
    }  # fmt: skip
    (folder / "adapter_config.json").write_text(json.dumps(told))
    shapes = {"lora_A": (_RANK, _HIDDEN), "lora_B": (_HIDDEN, _RANK)}
    header, start = {}, 0
    for half, (rows, columns) in shapes.items():
        end = start + 4 * rows * columns
        header[f"{_LAYER}.{half}.weight"] = {
            "dtype": "F32", "shape": [rows, columns], "data_offsets": [start, end],
        }  # fmt: skip
        start = end
    text = json.dumps(header).encode()
    body = struct.pack("<f", fill / 1000) * (start // 4)
    (folder / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + body)


def checkpoint(folder: JobFolder, step: int = 2) -> Path:
    """Add a whole, sealed checkpoint to a run."""
    place = folder.checkpoints / f"checkpoint-{step}"
    adapter(place, fill=100 + step)
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json"):
        (place / name).write_text("{}")
    checkpoints.seal(place, step)
    return place


def export(home: Path, source: JobFolder, name: str = "", passed: bool = True) -> ExportFolder:
    """Put an export of a run into a home, with its certificate."""
    model = Source(
        id=source.id, title="house-style", kind="adapter", folder=str(source.adapter), base="demo",
        base_folder="/nowhere/demo", is_adapter=True, fingerprint="ab12", run=source.id,
        base_fingerprint="cd34",
    )  # fmt: skip
    order = ExportOrder(
        config=ExportConfig().changed(result__name=name), sources=(model,),
        created=BEGAN + timedelta(days=1),
    )  # fmt: skip
    created = job.create_named(paths.exports(home), order, name or "export", order.created)
    folder = ExportFolder(created)
    parity = Parity(
        runtime="transformers", version="5", prompts=8, tokens=128, top1=1.0,
        greedy_agreement=1.0, kl=2e-6, largest_logit_difference=1e-4, perplexity_trained=9.0,
        perplexity_exported=9.0, limits=_LIMITS, passed=passed,
    )  # fmt: skip
    certificate = Certificate(
        created=order.created, target="adapter", name=name or "export", sources=(model,),
        number_format="f32", parity=(parity,), passed=passed,
    )  # fmt: skip
    folder.out.mkdir()
    records.write(folder.result, certificate.model_dump(mode="json"))
    if passed:
        adapter(folder.artefact, fill=500)
    records.write(folder.exit, {"returncode": 0})
    return folder


def _metrics(folder: Path, number: int, loss: float) -> None:
    score = number / 100
    told = {
        "step": 4, "kept_step": 4, "metrics": {"held_out_loss": loss, "best_step": 4},
        "dataset_versions": [], "history": [],
        "forgetting": {"score": score, "low": score - 0.01, "high": score + 0.01},
    }  # fmt: skip
    (folder / "metrics.json").write_text(json.dumps(told))
