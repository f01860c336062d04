"""Where things lie on this machine. The only module that reads the environment for folders."""

import os
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


def runs(home_folder: Path) -> Path:
    """Return the folder with one folder per run."""
    return home_folder / "runs"


def checks(home_folder: Path) -> Path:
    """Return the folder with one folder per launch check."""
    return home_folder / "checks"


def evaluations(home_folder: Path) -> Path:
    """Return the folder with one folder per evaluation."""
    return home_folder / "evaluations"


def models(home_folder: Path) -> Path:
    """Return the folder where people put base models of their own."""
    return home_folder / "models"


def exports(home_folder: Path) -> Path:
    """Return the folder with exported models."""
    return home_folder / "exports"


def tokens(home_folder: Path) -> Path:
    """Return the folder with datasets in tokens, kept so that they need not be made again."""
    return home_folder / "tokens"


def hosts(home_folder: Path) -> Path:
    """Return the folder with the logs of the processes that hold models."""
    return home_folder / "hosts"


def inspections(home_folder: Path) -> Path:
    """Return the folder with one folder per check of an import."""
    return home_folder / "inspections"


def imports(home_folder: Path) -> Path:
    """Return the folder with models and adapters that came from elsewhere."""
    return home_folder / "imports"


def trash(home_folder: Path) -> Path:
    """Return the folder with what was deleted and can still be put back."""
    return home_folder / "trash"


def deployments(home_folder: Path) -> Path:
    """Return the folder with one folder per server that was deployed."""
    return home_folder / "deployments"
