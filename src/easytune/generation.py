"""How a model answers and how it is held in memory: the options of Chat, Compare and the API."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from easytune.options import Knob, Option, Section, declared


class SamplingSection(Section):
    """How the next token is chosen, and when an answer ends."""

    temperature: Annotated[float, Knob(level="essential", step=0.05)] = Field(
        default=0.7, ge=0, le=2
    )
    """Higher varies more. Zero always takes the likeliest token."""

    max_new_tokens: Annotated[int, Knob(level="essential", step=16)] = Field(
        default=512, ge=1, le=131_072, title="Longest answer"
    )
    """Most tokens in one answer; a cut answer can be continued."""

    top_p: Annotated[float, Knob(step=0.05)] = Field(default=0.95, gt=0, le=1, title="Top-p")
    """Keeps the likeliest tokens that together have this probability. One: off."""

    top_k: Annotated[int, Knob(step=1)] = Field(default=0, ge=0, le=100_000, title="Top-k")
    """Keeps only so many of the likeliest tokens. Zero: off."""

    min_p: Annotated[float, Knob(step=0.01)] = Field(default=0.0, ge=0, le=1, title="Min-p")
    """Drops tokens less likely than this share of the likeliest. Zero: off."""

    repetition_penalty: Annotated[float, Knob(step=0.05)] = Field(default=1.0, gt=0, le=5)
    """Above one makes tokens that were used before less likely."""

    seed: Annotated[int | None, Knob()] = Field(default=None, ge=0, le=2**32 - 1)
    """The same seed gives the same answer. Empty: a new one each time."""

    thinking: Annotated[Literal["auto", "on", "off"], Knob()] = "auto"
    """Thinking before the answer, for models that can. Auto: the model's default."""

    stop: Annotated[tuple[str, ...], Knob(level="expert")] = Field(
        default=(), title="Stop texts", max_length=16
    )
    """The answer ends before the first of these texts."""


class LoadingSection(Section):
    """How a base model is held in memory."""

    precision: Annotated[Literal["auto", "bf16", "fp16", "fp32"], Knob()] = "auto"
    """Number format of the weights. Auto takes the fastest the device knows."""

    quantization: Annotated[Literal["auto", "none", "8-bit", "4-bit"], Knob()] = "auto"
    """Smaller weights, slightly worse answers. Auto: only when it would not fit."""

    device: Annotated[Literal["auto", "cuda", "mps", "cpu"], Knob()] = "auto"
    """Where the model computes. Auto: the GPU where there is one."""


class GenerationConfig(BaseModel):
    """All that can be chosen about answering."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sampling: SamplingSection = SamplingSection()
    loading: LoadingSection = LoadingSection()


def options() -> Iterator[Option]:
    """Yield every option of answering, in the order of declaration."""
    return declared(GenerationConfig)


def defaults(folder: Path) -> SamplingSection:
    """Return the sampling that a model's `generation_config.json` asks for, over our defaults.

    Values out of our bounds and damaged files count as not given.
    """
    try:
        content = json.loads((folder / "generation_config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return SamplingSection()
    if not isinstance(content, dict):
        return SamplingSection()
    found = SamplingSection()
    for name, value in _asked(content).items():
        try:
            found = SamplingSection.model_validate(found.model_dump() | {name: value})
        except ValidationError:
            continue
    return found


def _asked(content: dict[str, Any]) -> dict[str, Any]:
    names = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty", "max_new_tokens")
    asked = {name: content[name] for name in names if content.get(name) is not None}
    if content.get("do_sample") is False:
        asked["temperature"] = 0
    return asked
