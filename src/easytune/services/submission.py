"""Looks at a run before it is queued: what can be known to fail in advance fails at once."""

import json
import shutil
from pathlib import Path

from easytune import model_files
from easytune.config import TrainConfig
from easytune.data import sources, stored
from easytune.errors import DiskFull, FileMissing, OutputNotEmpty
from easytune.services import data_links

MARGIN_GB = 0.25
_BUNDLED = "demo/"
_WEIGHT_BYTES = 4
_OPTIMIZER_BYTES = 8
_USUAL_WIDTH = 1024


def with_absolute_paths(config: TrainConfig) -> TrainConfig:
    """Return the config with every path absolute: the job runs in another folder than its user."""
    model, data, output = config.model, config.data, config.output
    held_out = data.held_out_file
    is_folder = model.base_model != "demo" and Path(model.base_model).expanduser().is_dir()
    return config.changed(
        model__base_model=_absolute(model.base_model) if is_folder else model.base_model,
        model__adapter=model.adapter and _absolute(model.adapter),
        data__datasets=tuple(map(_absolute_dataset, data.datasets)),
        data__held_out_file=held_out and _absolute_dataset(held_out),
        data__replay=_absolute_dataset(data.replay),
        monitor__probe=_absolute_dataset(config.monitor.probe),
        data__chat_template=data.chat_template and _absolute(data.chat_template),
        output__folder=output.folder and _absolute(output.folder),
    )


def check(config: TrainConfig, home: Path) -> None:
    """Make sure that the run can begin and its result has somewhere to go. Takes milliseconds.

    Expects absolute paths. Raises FileMissing, FileEmpty, DatasetEntryUnusable, ModelMissing,
    ModelIncomplete, ModelPickled, OutputNotEmpty or DiskFull; DatasetUnknown, VersionUnknown or
    VersionDamaged.
    """
    data = config.data
    for name in filter(None, (*data.datasets, data.held_out_file, *data_links.general(config))):
        sources.resolve(name, home)
    for path in filter(None, (data.chat_template, config.model.adapter)):
        if not Path(path).exists():
            raise FileMissing(path)
    model = model_files.resolve(config.model, home)
    if model is not None:
        model_files.check(model, config.model.allow_pickle)
    if config.output.folder and not is_free(Path(config.output.folder)):
        raise OutputNotEmpty(config.output.folder)
    need_gb = needed_gb(config, model)
    _check_space(home, need_gb)


def is_free(folder: Path) -> bool:
    """Tell whether a result may be written there: the folder is empty, or not there yet."""
    return not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))


def needed_gb(config: TrainConfig, model: Path | None) -> float:
    """Return the space a run takes at its fullest; only a margin while the model is unknown.

    One checkpoint more than the limit, since the new one is whole before the oldest goes, and
    the result twice where it is also copied to an output folder.
    """
    parameters = _trained_parameters(config, model) if model else 0
    weights = parameters * _WEIGHT_BYTES / 1e9
    checkpoint = parameters * (_WEIGHT_BYTES + _OPTIMIZER_BYTES) / 1e9
    results = 2 if config.output.folder else 1
    return (config.monitor.save_limit + 1) * checkpoint + results * weights + MARGIN_GB


def _trained_parameters(config: TrainConfig, model: Path) -> float:
    """Return about how many numbers are trained.

    A matrix of in x out numbers gets rank x (in + out): about 2 rank / width of what it has.
    """
    total = model_files.describe(model).parameters or 0
    if config.model.method == "full":
        return total
    return min(1.0, 2 * config.lora.rank / _width(model)) * total


def _width(model: Path) -> int:
    content = json.loads((model / "config.json").read_text(encoding="utf-8"))
    inner = content.get("text_config") or content
    return inner.get("hidden_size") or inner.get("n_embd") or _USUAL_WIDTH


def _check_space(home: Path, need_gb: float) -> None:
    folder = next(path for path in (home, *home.parents) if path.exists())
    free_gb = shutil.disk_usage(folder).free / 1e9
    if free_gb < need_gb:
        raise DiskFull(round(free_gb, 1), round(need_gb, 1), str(home))


def _absolute_dataset(name: str) -> str:
    return name if name.startswith((_BUNDLED, stored.PREFIX)) else _absolute(name)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().resolve())
