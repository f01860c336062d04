"""The bundled demo: a tiny language model and three datasets that teach it something visible."""

from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).parent / "model"
"""Folder of the demo model, in the usual Hugging Face layout."""

DATA = Path(__file__).parent / "data"
"""Folder of the demo datasets."""


@dataclass(frozen=True)
class DemoDataset:
    """Where one demo dataset lies: the rows to train on, and the rows kept back to judge by."""

    train: Path
    held_out: Path


def _dataset(name: str) -> DemoDataset:
    return DemoDataset(DATA / f"{name}.jsonl", DATA / f"{name}.held_out.jsonl")


DATASETS = {name: _dataset(name) for name in ("style", "knowledge", "instruction")}
"""The demo datasets by name."""

GENERAL = {name: DATA / f"{name}.jsonl" for name in ("replay", "probe")}
"""General rows, in English and Chinese: those mixed into training so that less is forgotten, and
those that forgetting is measured on."""
