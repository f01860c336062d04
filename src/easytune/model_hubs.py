"""Models on Hugging Face and ModelScope: what is in the local cache, and fetching the rest."""

import importlib
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from easytune.config import ModelSection
from easytune.errors import (
    DependencyMissing,
    DiskFull,
    ModelGated,
    ModelMissing,
    ModelPickled,
    NoNetwork,
)

_OTHER_FORMATS = [
    "*.h5", "*.msgpack", "*.ot", "*.onnx", "*.onnx_data", "*.gguf", "*.mlmodel", "*.tflite",
    "*.pth", "*.pt", "*.ckpt", "consolidated*", "original/*", "onnx/*", "openvino/*", "coreml/*",
]  # fmt: skip
_PICKLES = ["*.bin"]
_SPARE_GB = 1.0


def is_hub_id(name: str) -> bool:
    """Tell whether a name can be a hub id (`owner/model` or `model`) rather than a path."""
    return re.fullmatch(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?", name) is not None


def cached(model: ModelSection) -> Path | None:
    """Return the folder of a hub model in the local cache, if it is there. Asks no server."""
    if model.hub == "modelscope":
        return _modelscope_cached(model)
    from huggingface_hub import errors, snapshot_download

    try:
        folder = snapshot_download(
            model.base_model, revision=model.revision, local_files_only=True,
            ignore_patterns=_unwanted(model),
        )  # fmt: skip
    except (errors.LocalEntryNotFoundError, errors.HFValidationError):
        return None
    return Path(folder)


def download(model: ModelSection) -> Path:
    """Fetch a hub model into the local cache and return its folder.

    Raises ModelMissing, ModelGated, ModelPickled, NoNetwork, DiskFull or DependencyMissing.
    """
    return _modelscope(model) if model.hub == "modelscope" else _huggingface(model)


def _unwanted(model: ModelSection) -> list[str]:
    return _OTHER_FORMATS if model.allow_pickle else [*_OTHER_FORMATS, *_PICKLES]


def _huggingface(model: ModelSection) -> Path:
    from huggingface_hub import snapshot_download

    with _hub_errors(model):
        _check_plan(model)
        folder = snapshot_download(
            model.base_model, revision=model.revision, ignore_patterns=_unwanted(model)
        )
    return Path(folder)


def _check_plan(model: ModelSection) -> None:
    """Find out before gigabytes move whether the weights are acceptable and fit on the disk."""
    from huggingface_hub import constants, snapshot_download

    files = snapshot_download(
        model.base_model, revision=model.revision, dry_run=True, ignore_patterns=_OTHER_FORMATS
    )
    safe = any(file.filename.endswith(".safetensors") for file in files)
    pickled = any(file.filename.endswith(".bin") for file in files)
    if pickled and not safe and not model.allow_pickle:
        raise ModelPickled(model=model.base_model)
    wanted = [f for f in files if model.allow_pickle or not f.filename.endswith(".bin")]
    size = sum(file.file_size or 0 for file in wanted if file.will_download)
    _check_space(Path(constants.HF_HUB_CACHE), size / 1e9 + _SPARE_GB)


def _check_space(folder: Path, need_gb: float) -> None:
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    free_gb = shutil.disk_usage(existing).free / 1e9
    if free_gb < need_gb:
        raise DiskFull(free_gb=round(free_gb, 1), need_gb=round(need_gb, 1), folder=str(folder))


@contextmanager
def _hub_errors(model: ModelSection) -> Iterator[None]:
    """Say what a failed request means for the user."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except (
        errors.HfHubHTTPError,
        errors.HFValidationError,
        errors.LocalEntryNotFoundError,
        errors.OfflineModeIsEnabled,
        errors.DryRunError,
        errors.RevisionResolutionError,
        httpx2.HTTPError,
    ) as error:
        raise _meaning(error)(model=model.base_model) from error


def _meaning(error: Exception) -> type[ModelGated] | type[ModelMissing] | type[NoNetwork]:
    from huggingface_hub import errors

    missing = (
        errors.RepositoryNotFoundError,
        errors.RevisionNotFoundError,
        errors.DisabledRepoError,
        errors.HFValidationError,
    )
    # Planning a download wraps the answer that tells.
    cause = error.__cause__ if isinstance(error, errors.DryRunError) else error
    status = cause.response.status_code if isinstance(cause, errors.HfHubHTTPError) else 0
    if isinstance(cause, errors.GatedRepoError):
        return ModelGated
    if isinstance(cause, missing):
        return ModelMissing
    return ModelGated if status in (401, 403) else NoNetwork


def _modelscope(model: ModelSection) -> Path:
    if find_spec("modelscope") is None:
        raise DependencyMissing(option="model.hub", package="modelscope")
    hub: Any = importlib.import_module("modelscope.hub.snapshot_download")
    errors: Any = importlib.import_module("modelscope.hub.errors")
    try:
        folder = hub.snapshot_download(
            model.base_model, revision=model.revision, ignore_patterns=_unwanted(model)
        )
    except (errors.AuthenticationError, errors.PermissionDeniedError) as error:
        raise ModelGated(model=model.base_model) from error
    except (errors.NotExistError, errors.InvalidParameter) as error:
        raise ModelMissing(model=model.base_model) from error
    except (errors.HubError, OSError) as error:
        raise NoNetwork(model=model.base_model) from error
    return Path(folder)


def _modelscope_cached(model: ModelSection) -> Path | None:
    if find_spec("modelscope") is None:
        return None
    hub: Any = importlib.import_module("modelscope.hub.snapshot_download")
    errors: Any = importlib.import_module("modelscope.hub.errors")
    try:
        folder = hub.snapshot_download(
            model.base_model, revision=model.revision, local_files_only=True
        )
    except (errors.HubError, OSError, ValueError):
        return None
    return Path(folder)
