"""The adapter alone, as PEFT loads it: small, and useless without its base model."""

from typing import TYPE_CHECKING

from easytune.export_errors import NoAdapter
from easytune.options import Section

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime
    from easytune.export_files import ExportOrder
    from easytune.exporters import Sizes


class Options(Section):
    """Nothing can be chosen about it."""


def needs_bytes(options: Options, sizes: "Sizes") -> int:
    """Return the size of the adapters: those are copied."""
    return sizes.adapter_bytes


def refuse(options: Options, order: "ExportOrder") -> None:
    """Raise NoAdapter for whole models."""
    for source in order.sources:
        if not source.is_adapter:
            raise NoAdapter(model=source.title)


def export(session: "Session", options: Options) -> str:
    """Copy the adapter, its tokenizer and its chat template; return the number format."""
    from easytune.engine.exporting import adapter_copy

    return adapter_copy.write(session)


def runtime(session: "Session", options: Options) -> "Runtime | None":
    """Load the copy upon its base model with PEFT."""
    from easytune.engine.exporting import adapter_copy

    return adapter_copy.runtime(session)
