"""What an export makes of a model: its options, and the file that repeats it.

Named like a training run: `what.models` takes what the pickers offer, a YAML holds only what
differs from the defaults. Each target brings a section of options of its own: see `exporters`.
"""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from easytune import exporters
from easytune.options import Knob, Option, Section, declared

Target = Literal[
    "adapter", "merged", "gguf", "onnx", "quantized", "ollama", "deployment", "hub"
]  # fmt: skip
Strength = Annotated[float, Field(ge=0, le=1.5)]
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5)
"""Strengths that a curve has when nobody chooses others."""
Merge = Literal["linear", "svd", "ties", "dare_linear", "dare_ties"]


class WhatSection(Section):
    """Which model is exported, and in which form."""

    target: Annotated[Target, Knob(level="bar")] = "adapter"
    """The form that the model leaves in."""

    models: Annotated[tuple[str, ...], Knob(level="bar")] = Field(
        default=("demo",), min_length=1, max_length=16
    )
    """A run, checkpoint, adapter or whole model. Several adapters of one base are merged."""

    strength: Annotated[float, Knob(level="essential", step=0.05)] = Field(
        default=1.0, ge=0, le=1.5
    )
    """How much of what was learned counts. One: as trained."""

    merge: Annotated[Merge, Knob()] = "linear"
    """How several adapters become one. Linear adds them up."""

    weights: Annotated[tuple[float, ...], Knob()] = ()
    """Weight of each adapter, in their order. Empty: one each."""

    density: Annotated[float, Knob(step=0.05)] = Field(default=0.5, gt=0, le=1)
    """Share of each adapter's numbers that TIES and DARE keep."""

    seed: Annotated[int, Knob(level="expert")] = Field(default=42, ge=0)
    """The same seed drops the same numbers in DARE."""

    strengths: Annotated[tuple[Strength, ...], Knob(level="expert")] = Field(
        default=(), max_length=32
    )
    """Measures learning and forgetting at these strengths, and exports nothing. Empty: exports."""

    rows: Annotated[str, Knob(level="expert")] = Field(default="", title="Rows to measure on")
    """What learning is measured on: a dataset. Empty: rows that the run kept back."""


class GateSection(Section):
    """How the export is compared with the trained model before it counts."""

    prompts: Annotated[int, Knob(step=8)] = Field(default=32, ge=1, le=1000)
    """How many fixed prompts both models answer."""

    new_tokens: Annotated[int, Knob(step=8)] = Field(default=32, ge=1, le=512)
    """Length of the answers that are compared token by token."""

    kl: Annotated[float | None, Knob(level="expert")] = Field(default=None, ge=0)
    """Largest mean KL divergence, in nats per token. Empty: as the format allows."""

    greedy: Annotated[float | None, Knob(level="expert")] = Field(default=None, ge=0, le=1)
    """Least share of answer tokens that agree. Empty: as the format allows."""

    logit: Annotated[float | None, Knob(level="expert")] = Field(default=None, ge=0)
    """Largest difference of a logit. Empty: as the format allows."""

    perplexity: Annotated[float | None, Knob(level="expert")] = Field(default=None, ge=0)
    """Largest relative difference of perplexity. Empty: as the format allows."""


class ResultSection(Section):
    """What the export is called."""

    name: Annotated[str, Knob(level="essential")] = Field(default="", max_length=80)
    """What this export is called. Empty: from its model and target."""


class ExportConfig(BaseModel):
    """All that can be chosen about an export. Only the section of its target has any effect."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: WhatSection = WhatSection()
    adapter: exporters.adapter.Options = exporters.adapter.Options()
    merged: exporters.merged.Options = exporters.merged.Options()
    onnx: exporters.onnx.Options = exporters.onnx.Options()
    quantized: exporters.quantized.Options = exporters.quantized.Options()
    gguf: exporters.gguf.Options = exporters.gguf.Options()
    ollama: exporters.ollama.Options = exporters.ollama.Options()
    deployment: exporters.deployment.Options = exporters.deployment.Options()
    hub: exporters.hub.Options = exporters.hub.Options()
    gate: GateSection = GateSection()
    result: ResultSection = ResultSection()

    @property
    def options(self) -> Section:
        """Return the options of the chosen target."""
        return getattr(self, self.what.target)

    def changed(self, **options: Any) -> "ExportConfig":
        """Return a copy with options given as `section__name=value`, validated."""
        content = self.model_dump()
        for path, value in options.items():
            section, _, name = path.partition("__")
            content[section][name] = value
        return ExportConfig.model_validate(content)


def options() -> Iterator[Option]:
    """Yield every option of an export, in the order of declaration."""
    return declared(ExportConfig)
