"""What is pushed to a hub: written, then sent whole, then compared with what arrived."""

import importlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easytune import hubs, model_card, records
from easytune.engine import adapter_files
from easytune.engine.exporting import adapter_copy, merged_model
from easytune.engine.exporting.hub_files import Sent, git_blob
from easytune.export_files import CERTIFICATE, Certificate, Published
from easytune.hub_errors import HubDiffers

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.exporters.hub import Options

# They tell which datasets were used, and what their rows were called.
_PRIVATE = ("metrics.json", "loss.png")


def write(session: "Session", options: "Options") -> str:
    """Write the adapter or the merged model; return its number format.

    Asks the hub first whether it would take it. Raises errors of `hub_errors`.
    """
    _module(options).look(options, hubs.HUBS[options.hub])
    if options.content == "merged":
        return merged_model.write(session, session.work)
    number_format = adapter_copy.write(session)
    for name in _PRIVATE:
        (session.work / name).unlink(missing_ok=True)
        session.hashes.pop(name, None)
    _name_base(session)
    return number_format


def publish(session: "Session", options: "Options", certificate: Certificate) -> Published:
    """Send every file and make sure that the hub has exactly these.

    Raises StopAsked, and errors of `hub_errors`.
    """
    hub = hubs.HUBS[options.hub]
    session.phase("uploading")
    with _public_certificate(session, certificate) as public:
        files = [*_artefact(session.work, certificate), public]
        done = _module(options).push(session, options, hub, files)
    compare(hub.title, options.repository, files, done.found)
    return Published(
        hub=hub.title,
        repository=options.repository,
        url=done.url,
        revision=done.revision,
        commit=done.commit,
        private=done.private,
        files=len(files),
    )


def compare(hub: str, repository: str, files: list[Sent], found: dict[str, str]) -> None:
    """Raise HubDiffers for the first file that is not there as it was sent.

    `found` holds SHA-256 of large files, and of others the hash that git gives them.
    """
    for one in files:
        if found.get(one.name) not in (one.sha256, git_blob(one.path)):
            raise HubDiffers(hub, repository, one.name)


def _module(options: "Options") -> Any:
    name = "hub_modelscope" if options.hub == "modelscope" else "hub_upload"
    return importlib.import_module(f"easytune.engine.exporting.{name}")


def _artefact(folder: Path, certificate: Certificate) -> list[Sent]:
    return [Sent(one.path, folder / one.path, one.bytes, one.sha256) for one in certificate.files]


@contextmanager
def _public_certificate(session: "Session", certificate: Certificate) -> Iterator[Sent]:
    """Have the certificate as anybody may read it: without folders of this machine."""
    content = certificate.model_dump(mode="json")
    for one, source in zip(content["sources"], certificate.sources, strict=True):
        one |= {"folder": "", "base_folder": "", "base": model_card.base_id(source)}
        one["id"] = one["id"] if hubs.is_repository(one["id"]) else Path(one["id"]).name
    models = content["options"].get("what", {}).get("models", [])
    content["options"].get("what", {})["models"] = [Path(name).name for name in models]
    path = session.scratch / CERTIFICATE
    records.write_text(path, json.dumps(content, indent=1))
    yield Sent.of(CERTIFICATE, path)


def _name_base(session: "Session") -> None:
    """Say in the adapter's configuration which base it needs, not where it lies on this machine."""
    path = session.work / adapter_files.CONFIG
    config = records.read(path) or {}
    config["base_model_name_or_path"] = model_card.base_id(session.order.sources[0])
    records.write_text(path, json.dumps(config, indent=2) + "\n")
    session.hashes.pop(path.name, None)
