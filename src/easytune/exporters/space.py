"""How large a model is, and whether its export fits on the disk. No torch."""

import math
import shutil
from pathlib import Path

from easytune import model_files
from easytune.export_errors import NotEnoughSpace
from easytune.export_files import ExportOrder
from easytune.exporters import EXPORTERS, Sizes

_GIGA = 1e9
# The rest of the machine needs some room, too.
MARGIN_BYTES = 200_000_000


def sizes(order: ExportOrder) -> Sizes:
    """Return how large the models of an order are, told from their files."""
    base = Path(order.sources[0].base_folder)
    adapters = {source.folder for source in order.sources if source.is_adapter}
    return Sizes(
        base_bytes=_weights(base),
        adapter_bytes=sum(_all(Path(folder)) for folder in adapters),
        parameters=model_files.describe(base).parameters or 0,
    )


def needs_bytes(order: ExportOrder) -> int:
    """Return the bytes on the disk that an export takes while it is made."""
    config = order.config
    return EXPORTERS[config.what.target].needs_bytes(config.options, sizes(order))


def require(order: ExportOrder, folder: Path) -> None:
    """Raise NotEnoughSpace when an export that is written into `folder` does not fit there."""
    need, have = needs_bytes(order) + MARGIN_BYTES, free_bytes(folder)
    if have < need:
        # Rounded so that what is shown never looks like enough.
        raise NotEnoughSpace(
            have_gb=math.floor(have / _GIGA * 100) / 100,
            need_gb=math.ceil(need / _GIGA * 100) / 100,
            folder=str(folder),
        )


def free_bytes(folder: Path) -> int:
    """Return the free space where `folder` is or will be."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _weights(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))


def _all(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
