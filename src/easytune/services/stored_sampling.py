"""Sampling options that were written down earlier, maybe by another version or by hand."""

from typing import Any

from pydantic import ValidationError

from easytune.generation import SamplingSection


def sampling_of(content: dict[str, Any]) -> tuple[SamplingSection, tuple[str, ...]]:
    """Return the options that still hold, over the defaults, and the names of the others."""
    found, ignored = SamplingSection(), []
    for name, value in content.items():
        try:
            found = SamplingSection.model_validate(found.model_dump() | {str(name): value})
        except ValidationError:
            ignored.append(str(name))
    return found, tuple(ignored)
