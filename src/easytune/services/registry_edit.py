"""What people may change of a version."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

from easytune.registry_errors import EntryNameInvalid
from easytune.services.registry_entry import LONGEST_NOTES, Stage, clean_name, clean_tags


@dataclass(frozen=True)
class Edit:
    """What shall be changed of a version; None leaves as it is."""

    stage: Stage | None = None
    tags: Sequence[str] | None = None
    notes: str | None = None
    name: str | None = None


def changes_of(edit: Edit) -> dict[str, Any]:
    """Return field -> value of what is to be changed. Raises EntryNameInvalid."""
    changes: dict[str, Any] = {}
    if edit.stage in get_args(Stage):
        changes["stage"] = edit.stage
    if edit.tags is not None:
        changes["tags"] = list(clean_tags(tuple(edit.tags)))
    if edit.notes is not None:
        changes["notes"] = edit.notes.strip()[:LONGEST_NOTES]
    if edit.name is not None:
        changes["name"] = valid_name(edit.name)
    return changes


def valid_name(name: str) -> str:
    """Return a name as models are called by it. Raises EntryNameInvalid."""
    cleaned = clean_name(name)
    if not cleaned:
        raise EntryNameInvalid(name)
    return cleaned
