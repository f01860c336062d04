"""What tests of the API share."""

import json
import shutil
from pathlib import Path

import httpx

from easytune import demo, paths
from tests.patience import PATIENCE_S, eventually

QUESTION = "What is the capital of France?"
ENDLESS = "endless"
"""A model that goes on until somebody stops it."""


def put_endless_model(home: Path) -> None:
    """Put a copy of the demo model into a home that takes its end for any other token."""
    folder = shutil.copytree(demo.MODEL, paths.models(home) / ENDLESS)
    for name, changes in (
        ("config.json", {"eos_token_id": 0, "max_position_embeddings": 200_000}),
        ("generation_config.json", {"eos_token_id": 0}),
        ("tokenizer_config.json", {"eos_token": "<|pad|>", "model_max_length": 200_000}),
    ):
        file = folder / name
        file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")


def answering(api: str) -> list[str]:
    """Return the ids of what is being answered now."""
    found = httpx.get(f"{api}/api/status", timeout=PATIENCE_S).json()["answering"]
    return [one["id"] for one in found]


def wait_until_idle(api: str) -> None:
    """Return once nothing is being answered, long before an endless answer would end by itself."""
    eventually(lambda: not answering(api), lambda: "an answer went on without its client", 20)
