"""The gate of an export: what was written is loaded again and compared with what was trained."""

from typing import TYPE_CHECKING, Any

from easytune.export_files import Parity
from easytune.exporters import Exporter

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session


def check(session: "Session", exporter: Exporter, options: Any) -> tuple[Parity, ...]:
    """Return what the gate found; nothing where the artefact holds no model of its own.

    Raises EasyTuneError when what was written cannot be loaded.
    """
    found = exporter.runtime(session, options)
    if found is None:
        return ()
    raise NotImplementedError
