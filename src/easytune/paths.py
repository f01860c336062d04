"""Where things lie on this machine. The only module that reads the environment for folders."""

import os
from collections.abc import Callable
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _bundled(name: str) -> Path:
    """Return a folder that ships beside the package: in the wheel, or at the top of a checkout."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _PACKAGE.parent.parent / name


LOCALES = _bundled("locales")
CONFIGS = _bundled("configs")
TRAIN_CONFIGS = CONFIGS / "train"


def home() -> Path:
    """Return the folder that holds runs and settings: `EASYTUNE_HOME`, else `~/.easytune`."""
    chosen = os.environ.get("EASYTUNE_HOME")
    return Path(chosen).expanduser().resolve() if chosen else Path.home() / ".easytune"


def caches() -> Path:
    """Return the folder for what can be found again at any time, the same for every home."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    return (Path(chosen) if chosen else Path.home() / ".cache") / "easytune"


def _below(name: str) -> Callable[[Path], Path]:
    """Return what gives a folder below a home."""
    return lambda home_folder: home_folder / name


runs = _below("runs")
"""One folder per run."""
checks = _below("checks")
"""One folder per launch check."""
evaluations = _below("evaluations")
"""One folder per evaluation."""
models = _below("models")
"""Base models that people put there themselves."""
exports = _below("exports")
"""Exported models, a folder each."""
tokens = _below("tokens")
"""Datasets in tokens, kept so that they need not be made again."""
hosts = _below("hosts")
"""Logs of the processes that hold models."""
inspections = _below("inspections")
"""One folder per check of an import."""
imports = _below("imports")
"""Models and adapters that came from elsewhere."""
trash = _below("trash")
"""What was deleted and can still be put back."""
deployments = _below("deployments")
"""One folder per server that was deployed."""
