"""A home with runs whose worker is a stand-in, and ways to wait for what must happen."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from easytune import records
from easytune.config import TrainConfig
from easytune.job import JobFolder
from easytune.services.dispatch import Dispatcher
from easytune.services.runs import Runs
from easytune.services.story import Story
from tests.patience import eventually

STAND_IN = Path(__file__).parent / "stand_in.py"


@dataclass
class Lab:
    """One home, its runs, and the config every run here is submitted with."""

    home: Path
    runs: Runs
    config: TrainConfig

    def dispatcher(self, behaviour: str = "train") -> Dispatcher:
        return Dispatcher(self.home, [sys.executable, str(STAND_IN), behaviour, str(self.home)])

    def start(self, behaviour: str = "train") -> str:
        """Submit a run and give it its runner."""
        run_id = self.runs.submit(self.config)
        assert self.dispatcher(behaviour).tick() == run_id
        return run_id

    def wait(self, run_id: str, *states: str) -> Story:
        """Return the story once the run is in one of `states`."""
        return eventually(
            lambda: (story := self.runs.story(run_id)).state in states and story,
            lambda: f"wanted {states}, have {self.runs.story(run_id)}",
        )

    def running(self, behaviour: str) -> str:
        """Return a run whose loop has begun."""
        run_id = self.start(behaviour)
        self.wait(run_id, "running")
        return run_id

    def pids(self, run_id: str) -> tuple[int, int]:
        """Return the pids of a run's runner and worker."""
        content = records.read(self.runs.folder(run_id).process) or {}
        return content["runner"]["pid"], content["worker"]["pid"]


def tiny_config(folder: Path) -> TrainConfig:
    """Return a config whose model and data exist and are as small as can be."""
    model = folder / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"hidden_size": 8, "architectures": ["Tiny"]}))
    header = json.dumps({"w.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}})
    weights = len(header).to_bytes(8, "little") + header.encode() + bytes(16)
    (model / "model.safetensors").write_bytes(weights)
    (folder / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    return TrainConfig().changed(
        model__base_model=str(model), data__datasets=(str(folder / "rows.jsonl"),)
    )


def is_gone(pid: int) -> bool:
    """Tell whether no living process has this pid."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def write_events(folder: JobFolder, *events: dict[str, object]) -> None:
    """Append events as a job does."""
    with folder.events.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(event) + "\n" for event in events)
