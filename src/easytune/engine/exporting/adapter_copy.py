"""The adapter alone: its files copied, so that PEFT loads them anywhere."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from easytune.engine import adapter_files
from easytune.engine.exporting.copying import copy
from easytune.export_errors import ExportInvalid, NoAdapter

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime

# What belongs to a checkpoint: nobody who uses the adapter needs it, and some of it is pickled.
_LEFT_OUT = ("*.pt", "*.pth", "*.bin", "manifest.json", "trainer_state.json", "easytune.yaml")


def write(session: "Session") -> str:
    """Copy the adapter, with its tokenizer and card; return its number format.

    Raises what `adapter_files.read` raises: what cannot be read is not passed on.
    """
    folder = session.adapter()
    if folder is None:
        raise NoAdapter(model=session.order.sources[0].title)
    if session.strength != 1:
        raise ExportInvalid("what.strength", "@export.invalid.strength")
    adapter = adapter_files.read(folder)
    files = [path for path in sorted(folder.iterdir()) if path.is_file() and _belongs(path)]
    copy(session, [(path, path.name) for path in files])
    if (start := folder / adapter_files.PISSA_START).is_dir():
        shutil.copytree(start, session.work / start.name)
    formats = {str(part.a.dtype).removeprefix("torch.") for part in adapter.parts.values()}
    return ", ".join(sorted(_SHORT.get(name, name) for name in formats)) or "fp32"


def runtime(session: "Session") -> "Runtime":
    """Load the copy upon the base as PEFT does."""
    from easytune.engine.exporting import trained
    from easytune.engine.parity import transformers_runtime

    return transformers_runtime.of_trained(trained.load(session.order, session.work))


_SHORT = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}


def _belongs(path: Path) -> bool:
    return not path.name.startswith(".") and not any(path.match(name) for name in _LEFT_OUT)
