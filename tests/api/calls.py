"""What tests of the API share."""

import json
import shutil
import time
from pathlib import Path

import httpx

from easytune import demo, paths

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
    found = httpx.get(f"{api}/api/status", timeout=20).json()["answering"]
    return [one["id"] for one in found]


def wait_until_idle(api: str, seconds: float = 20) -> float:
    """Return how long it took until nothing is being answered."""
    began = time.monotonic()
    while answering(api):
        assert time.monotonic() - began < seconds, "an answer went on without its client"
        time.sleep(0.02)
    return time.monotonic() - began
