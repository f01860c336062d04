"""The model of an export as merged weights: what other formats begin with, or the export itself."""

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from easytune.engine import adapter_files
from easytune.engine.exporting import companions, merging, shards
from easytune.engine.exporting.copying import copy
from easytune.engine.exporting.merging import MergedWeights, NumberFormat

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session

SHARD_BYTES = 5_000_000_000


def weights(session: "Session", number_format: NumberFormat = "as-base") -> MergedWeights:
    """Return the tensors of the model as `config.what` wants it, each computed when asked for.

    Raises what `MergedWeights` and `Session.adapter` raise.
    """
    folder = session.adapter()
    return MergedWeights(
        base_folder(session),
        adapter_files.read(folder) if folder else None,
        session.strength,
        number_format,
        session.order.allow_remote_code,
    )


def write(
    session: "Session",
    target: Path,
    number_format: NumberFormat = "as-base",
    shard_bytes: int = SHARD_BYTES,
) -> str:
    """Write the model as a folder that transformers loads; return its number format.

    Bytes are reported to the session, and of `session.work` the hashes, too. What an interrupted
    export has left there is taken over. Raises as `weights`, MergeNotFinite, and StopAsked.
    """
    target.mkdir(parents=True, exist_ok=True)
    found = weights(session, number_format)
    is_artefact = target == session.work
    before = session.before if is_artefact else None
    written = merging.write(found, target, shard_bytes, mark(session), session.bytes_done, before)
    if is_artefact:
        session.written(written)
    write_companions(session, target, found)
    return found.number_format


def write_companions(session: "Session", target: Path, found: MergedWeights) -> None:
    """Write what lies beside the weights: configuration, tokenizer, chat template."""
    adapter, own_code = session.adapter(), session.order.allow_remote_code
    base = base_folder(session)
    companions.write(base, adapter, target, found.number_format, found.is_untied, own_code)


def copy_companions(session: "Session", merged: Path) -> None:
    """Copy what lies beside the weights of a merged model into the artefact."""
    files = [path for path in sorted(merged.iterdir()) if path.is_file()]
    weights = (".safetensors", shards.INDEX)
    beside = [path for path in files if not path.name.startswith(".")]
    copy(session, [(path, path.name) for path in beside if not path.name.endswith(weights)])


def base_folder(session: "Session") -> Path:
    """Return the folder of the base model; of a whole model its own."""
    return Path(session.order.sources[0].base_folder)


def mark(session: "Session") -> str:
    """Return what changes whenever other numbers would be written."""
    parts = [one.fingerprint + one.base_fingerprint for one in session.order.sources]
    what = session.order.config.what.model_dump_json()
    return hashlib.sha256("\n".join([*parts, what]).encode()).hexdigest()[:16]
