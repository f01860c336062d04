"""A model that a job refers to: which one it is, and where it lay when the job was asked for."""

from typing import Literal

from easytune.job import Record


class FoundModel(Record):
    """One model, as it was found on this machine when a job was asked for."""

    id: str
    """Its id in the pickers: a base model, a run, `<run>@<step>`, or a folder."""
    title: str
    kind: Literal["base", "adapter", "checkpoint", "merged"]
    folder: str
    """Absolute folder of its weights, or of its adapter."""
    base: str
    """Id of the base model; its own for whole models."""
    base_folder: str
    """Absolute folder of the base model; the same as `folder` for whole models."""
    is_adapter: bool
    fingerprint: str
    """Short hash of its weights."""
    run: str | None = None
    step: int | None = None
