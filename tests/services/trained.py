"""A real run of the demo model, made once and copied into the home of each test that wants it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, environment_for


def train(home: Path, *flags: str) -> Path:
    """Train the demo model for four steps, with a checkpoint after two; return the home."""
    home.mkdir(parents=True, exist_ok=True)
    command = [
        sys.executable, "-m", "easytune.cli", "train", "configs/train/demo.yaml",
        "--home", str(home), "--schedule.max_steps", "4", "--monitor.save_steps", "2",
        "--monitor.sample_tokens", "0", "--monitor.eval_steps", "100", "--lora.rank", "4", *flags,
    ]  # fmt: skip
    environment = os.environ | environment_for(home)
    subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, timeout=240)
    return home


def copy_runs(source: Path, home: Path) -> str:
    """Put the runs of one home into another; return the id of the newest."""
    shutil.copytree(source / "runs", home / "runs", dirs_exist_ok=True)
    return sorted(path.name for path in (home / "runs").iterdir())[-1]
