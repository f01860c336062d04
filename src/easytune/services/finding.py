"""Finds the models that somebody names for a job, and writes down which ones they are."""

from pathlib import Path

from easytune.errors import ModelMissing
from easytune.found_model import FoundModel
from easytune.inference_errors import ModelUnknown
from easytune.services.catalogue import Catalogue


def found(name: str, catalogue: Catalogue) -> FoundModel:
    """Return a model as it is found here.

    Raises ModelUnknown, ModelMissing, BaseMissing or AdapterMismatch.
    """
    if not name.strip():
        raise ModelUnknown(model=name)
    model = catalogue.find(name)
    if not model.is_here:
        raise ModelMissing(model=name)
    base = catalogue.base_of(model)
    # A whole model is loaded from where its tokenizer is, too.
    folder = model.folder if model.is_adapter else base.folder
    return FoundModel(
        id=model.id,
        title=model.title,
        kind=model.kind,
        folder=str(folder.resolve()),
        base=base.id,
        base_folder=str(base.folder.resolve()),
        is_adapter=model.is_adapter,
        fingerprint=catalogue.fingerprint(model.id),
        run=model.run,
        step=model.step,
    )


def absolute(name: str) -> str:
    """Return a model's name, absolute where it is a folder of that name seen from here."""
    path = Path(name).expanduser()
    return str(path.resolve()) if "/" in name and path.is_dir() else name
