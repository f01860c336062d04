"""A suggestion in the making: values with their reasons, the intent's fixed ones before all."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from easytune.config import TrainConfig
from easytune.intents import Intent
from easytune.presets.reasons import Reason
from easytune.shapes import DataShape, Machine, ModelShape

# Models below were not what the usual rules were found with.
SMALL_MODEL = 100e6


@dataclass(frozen=True)
class Facts:
    """What a suggestion goes by. `config` is what the person has; `data` was counted under it."""

    intent: Intent
    config: TrainConfig
    model: ModelShape | None
    data: DataShape | None
    machine: Machine

    @property
    def own_rows(self) -> int | None:
        """Return the rows of an epoch that are the person's own, not replayed ones."""
        return self.data and self.data.own_rows

    @property
    def own_tokens(self) -> int | None:
        """Return how many tokens of those rows are learned in an epoch."""
        return self.data and self.data.own_tokens

    @property
    def is_small(self) -> bool:
        """Tell whether the model is known to be far smaller than 100 million parameters."""
        return self.model is not None and self.model.parameters < SMALL_MODEL

    @property
    def is_full(self) -> bool:
        """Tell whether all weights are trained, because the person chose so."""
        return self.config.model.method == "full"

    @property
    def goes_on(self) -> bool:
        """Tell whether an adapter is trained further, whose shape is given."""
        return self.config.model.adapter is not None


class Draft:
    """Collects values by `section.option`; later rules read what earlier ones put."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.reasons: dict[str, Reason] = {}
        self._content = facts.config.model_dump()
        self._content["goal"]["intent"] = facts.intent.id
        fixed = TrainConfig.model_validate(facts.intent.config).model_dump()
        self._fixed = {
            f"{section}.{name}": fixed[section][name]
            for section, group in facts.intent.config.items()
            for name in group
        }

    def put(self, path: str, value: Any, code: str, **values: Any) -> None:
        """Suggest a value, unless the intent fixes another one."""
        intent = self.facts.intent
        if path in self._fixed:
            value, code = self._fixed[path], "fixed"
        self._set(path, value)
        known = {"value": value, "rows": self.facts.own_rows, "tokens": self.facts.own_tokens}
        facts = {name: fact for name, fact in known.items() if fact is not None}
        self.reasons[path] = Reason(code, facts | values, intent.because.get(path, {}))

    def value(self, path: str) -> Any:
        """Return what an option has so far."""
        section, _, name = path.partition(".")
        return self._content[section][name]

    @property
    def fixed(self) -> Mapping[str, Any]:
        """Return the values that the intent fixes, by `section.option`."""
        return self._fixed

    def put_what_is_fixed(self) -> None:
        """Suggest what the intent fixes and no rule derives."""
        for path, value in self._fixed.items():
            if path not in self.reasons:
                self.put(path, value, "fixed")

    def config(self) -> TrainConfig:
        """Return the config so far, validated."""
        return TrainConfig.model_validate(self._content)

    def _set(self, path: str, value: Any) -> None:
        section, _, name = path.partition(".")
        self._content[section][name] = value
