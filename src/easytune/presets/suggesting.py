"""The config that an intent suggests: rules one after another, each reading what came before."""

from dataclasses import dataclass

from easytune.config import TrainConfig
from easytune.intents import Intent
from easytune.presets import adapter, fitting, learning
from easytune.presets.draft import Draft, Facts
from easytune.presets.reasons import Reason
from easytune.shapes import DataShape, Machine, ModelShape


@dataclass(frozen=True)
class Suggestion:
    """A whole config, and why: one reason per `section.option` that was derived."""

    config: TrainConfig
    reasons: dict[str, Reason]
    intent: Intent


def suggest(
    intent: Intent,
    config: TrainConfig,
    model: ModelShape | None,
    data: DataShape | None,
    machine: Machine,
) -> Suggestion:
    """Return what `intent` suggests over `config`, which names the model, the data and the output.

    `data` is the shape of the data under `config`. What is unknown keeps its default, and the
    reason says so. Never raises for an unknown model or unknown data.
    """
    draft = Draft(Facts(intent, config, model, data, machine))
    adapter.derive(draft)
    learning.derive(draft)
    fitting.derive(draft)
    draft.put_what_is_fixed()
    return Suggestion(draft.config(), draft.reasons, intent)


def overridden(config: TrainConfig, suggestion: Suggestion) -> list[str]:
    """Return the `section.option` of every suggested value that `config` has otherwise."""
    return [
        path for path in suggestion.reasons if _at(config, path) != _at(suggestion.config, path)
    ]


def _at(config: TrainConfig, path: str) -> object:
    section, _, name = path.partition(".")
    return getattr(getattr(config, section), name)
