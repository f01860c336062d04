"""A model pushed to a hub with its model card, after it has passed the gate here."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from easytune import hubs, model_card, records, requirements
from easytune.export_errors import BaseQuantized
from easytune.exporters import adapter, merged
from easytune.hub_errors import HubNameInvalid, HubTokenMissing
from easytune.options import Knob, Section, when

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime
    from easytune.export_files import Certificate, ExportOrder, Parity, Published
    from easytune.exporters import Sizes

_WHEN = when("what.target", "hub")


class Options(Section):
    """What is pushed, and where to. The hub's token is read from the environment only."""

    hub: Annotated[Literal["huggingface", "modelscope"], Knob(level="essential", when=_WHEN)] = (
        "huggingface"
    )
    """Where to. Its token stands in HF_TOKEN or MODELSCOPE_API_TOKEN, never in a file."""

    repository: Annotated[str, Knob(level="essential", when=_WHEN)] = Field(
        default="", max_length=96
    )
    """Owner and name, such as you/my-model."""

    content: Annotated[Literal["adapter", "merged"], Knob(level="essential", when=_WHEN)] = (
        "adapter"
    )
    """The small adapter alone, or one whole model with it merged in."""

    private: Annotated[bool, Knob(level="essential", when=_WHEN)] = True
    """Only you can see a new repository. Those that exist stay as they are."""

    revision: Annotated[str, Knob(when=_WHEN)] = Field(default="", max_length=100, title="Branch")
    """Branch that is written to; made where it is missing. Empty: the main one."""

    message: Annotated[str, Knob(when=_WHEN)] = Field(default="", max_length=200)
    """What the commit says. Empty: that EasyTune exported the model."""

    existing: Annotated[bool, Knob(when=_WHEN)] = Field(
        default=False, title="Into a repository that exists"
    )
    """Adds a new version where files lie already. Their history is kept."""

    name_datasets: Annotated[bool, Knob(when=_WHEN)] = False
    """The model card names the datasets. Off: nobody learns what you trained on."""

    license: Annotated[str, Knob(when=_WHEN)] = Field(default="", max_length=60)
    """Licence in the model card, such as apache-2.0. Empty: the base model's."""


def needs_bytes(options: Options, sizes: "Sizes") -> int:
    """Return the size of what is written here before it is sent."""
    if options.content == "adapter":
        return adapter.needs_bytes(adapter.Options(), sizes)
    return merged.needs_bytes(merged.Options(), sizes)


def refuse(options: Options, order: "ExportOrder") -> None:
    """Raise HubNameInvalid, HubTokenMissing, DependencyMissing, or what the content refuses."""
    hub = hubs.HUBS[options.hub]
    requirements.require(order.config, "hub.hub")
    if not hubs.token(hub):
        raise HubTokenMissing(hub.title, hub.token_variable)
    if not hubs.is_repository(options.repository):
        raise HubNameInvalid(hub.title, options.repository)
    if options.content == "adapter":
        adapter.refuse(adapter.Options(), order)
    else:
        merged.refuse(merged.Options(), order)
        _refuse_quantized(order)


def _refuse_quantized(order: "ExportOrder") -> None:
    """Raise BaseQuantized where nothing can be added to the weights of the base."""
    first = order.sources[0]
    config = records.read(Path(first.base_folder) / "config.json") or {}
    found = config.get("quantization_config")
    if first.is_adapter and isinstance(found, dict):
        method = str(found.get("quant_method", "?"))
        raise BaseQuantized(model=first.title, base=first.base, method=method)


def export(session: "Session", options: Options) -> str:
    """Write what will be sent; return its number format."""
    from easytune.engine.exporting import hub_export

    return hub_export.write(session, options)


def runtime(session: "Session", options: Options) -> "Runtime | None":
    """Load what will be sent as its own exporter does."""
    if options.content == "adapter":
        return adapter.runtime(session, adapter.Options())
    return merged.runtime(session, merged.Options())


def describe(
    session: "Session", options: Options, number_format: str, parity: "tuple[Parity, ...]"
) -> None:
    """Write the model card, with what the gate found."""
    text = model_card.card(session.order, number_format, parity)
    (session.work / "README.md").write_text(text, encoding="utf-8")


def publish(session: "Session", options: Options, certificate: "Certificate") -> "Published":
    """Send the artefact and compare what arrived. Raises errors of `hub_errors`."""
    from easytune.engine.exporting import hub_export

    return hub_export.publish(session, options, certificate)


def preview(order: "ExportOrder") -> str:
    """Return the model card as it will be, but for what the gate has yet to find."""
    return model_card.card(order, "", ())
