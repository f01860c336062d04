"""A tiny model folder, its rows, and jobs run in this process."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from easytune.config import TrainConfig
from easytune.engine import worker
from easytune.job import Job, create
from tests.engine import tiny
from tests.engine.ran import Ran


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_folder(tmp_path_factory.mktemp("model"))


@pytest.fixture
def config(model_folder: Path, tmp_path: Path) -> TrainConfig:
    rows = tiny.save_rows(tmp_path / "rows.jsonl")
    return TrainConfig().changed(
        model__base_model=str(model_folder),
        data__datasets=(str(rows),),
        lora__rank=4,
        schedule__batch_size=4,
        schedule__epochs=1,
        monitor__sample_tokens=4,
    )


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., Ran]:
    """Run a job to its end: `train(config, resume_from=folder)`."""

    def run(config: TrainConfig, **more: Any) -> Ran:
        folder = create(tmp_path / "home" / "runs", Job(config=config, **more))
        return Ran(folder, worker.run(folder.path))

    return run
