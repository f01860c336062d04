"""Which base model a whole tuned model names, where that is on this machine."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from easytune import model_files, paths, records
from easytune.config import ModelSection, TrainConfig
from easytune.errors import ModelMissing
from easytune.found_model import FoundModel
from easytune.job import JobFolder

_RUN_CARD = "easytune.yaml"


def folder_of(candidate: FoundModel, home: Path) -> Path | None:
    """Return the folder of the base that a candidate was tuned from; None when it is not here.

    An adapter has it with it. A whole model names it in the order of its run, else in its run card,
    else in its `config.json`; one that names itself is a base.
    """
    if candidate.is_adapter:
        return Path(candidate.base_folder)
    section = _named(candidate, home)
    try:
        found = model_files.resolve(section, home) if section else None
    except ModelMissing:
        return None
    return found if found != Path(candidate.folder).resolve() else None


def _named(candidate: FoundModel, home: Path) -> ModelSection | None:
    folder = Path(candidate.folder)
    if candidate.run is not None:
        return _of_run(JobFolder(paths.runs(home) / candidate.run))
    if (card := folder / _RUN_CARD).is_file():
        return _of_card(card)
    name = (records.read(folder / "config.json") or {}).get("_name_or_path")
    return ModelSection(base_model=name) if isinstance(name, str) and name.strip() else None


def _of_run(folder: JobFolder) -> ModelSection | None:
    try:
        return folder.read().config.model
    except (OSError, yaml.YAMLError, ValidationError):
        return None


def _of_card(card: Path) -> ModelSection | None:
    try:
        content = yaml.safe_load(card.read_text(encoding="utf-8"))
        return TrainConfig.model_validate(content or {}).model
    except (OSError, yaml.YAMLError, ValidationError):
        return None
