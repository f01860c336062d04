"""Every form that a model can be exported in: one module each, one line in `EXPORTERS`.

A module here declares its `Options`, and says without torch what it needs and what it refuses.
Whatever needs torch lies in `engine` and is imported inside `export` and `runtime`.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from easytune.exporters import adapter, deployment, gguf, hub, merged, ollama, onnx, quantized

if TYPE_CHECKING:
    from easytune.engine.exporting.session import Session
    from easytune.engine.parity.runtime import Runtime
    from easytune.export_files import Certificate, ExportOrder, Parity, Published
    from easytune.options import Section


@dataclass(frozen=True)
class Sizes:
    """How large the model is that is going to be exported."""

    base_bytes: int
    """Weights of the base model as they lie on the disk; of a whole model its own."""
    adapter_bytes: int
    """All adapters together; 0 for a whole model."""
    parameters: int
    """Numbers of the base model, without adapters."""


class Exporter(Protocol):
    """What a module of this package has."""

    Options: "type[Section]"

    def needs_bytes(self, options: Any, sizes: Sizes) -> int:
        """Return the bytes on the disk that the artefact and its temporary files take."""
        ...

    def refuse(self, options: Any, order: "ExportOrder") -> None:
        """Raise EasyTuneError for what cannot be exported so. Cheap, before it is queued."""
        ...

    def export(self, session: "Session", options: Any) -> str:
        """Write the artefact into `session.work`; return its number format: "bf16", "q8_0", …"""
        ...

    def runtime(self, session: "Session", options: Any) -> "Runtime | None":
        """Load `session.work` again in its own runtime; None where there is nothing to load."""
        ...


@runtime_checkable
class Publisher(Protocol):
    """What an exporter has besides, whose artefact leaves this machine once it is proved."""

    def describe(
        self, session: "Session", options: Any, number_format: str, parity: "tuple[Parity, ...]"
    ) -> None:
        """Write into `session.work` what tells of the gate's figures."""
        ...

    def publish(self, session: "Session", options: Any, certificate: "Certificate") -> "Published":
        """Send the artefact away and make sure that it arrived."""
        ...


EXPORTERS: dict[str, Exporter] = {
    "adapter": cast("Exporter", adapter),
    "merged": cast("Exporter", merged),
    "onnx": cast("Exporter", onnx),
    "quantized": cast("Exporter", quantized),
    "gguf": cast("Exporter", gguf),
    "ollama": cast("Exporter", ollama),
    "deployment": cast("Exporter", deployment),
    "hub": cast("Exporter", hub),
}
"""By target; each is a section of `export.ExportConfig`, too."""
