"""What the chosen intent suggests for the form, and what of it is still as suggested.

Nothing is kept per visitor: the page holds the last suggested values and sends them along, so that
values nobody touched follow when the data, the model or the machine say something new.
"""

import json
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from easytune import intents, presets
from easytune.config import TrainConfig
from easytune.intents import EXPERT, Intent, Intents
from easytune.presets import Suggestion
from easytune.services.advice import Advice, Advised

Held = dict[str, Any]
"""What the page holds of the last suggestion: its intent, and each value by `section.option`."""
_ABOUT = ("goal", "model", "data")
# Free memory changes all the time; settings that nobody touched should not.
_STEADY_SECONDS = 300.0
_KEPT = 64


@dataclass(frozen=True)
class Suggested:
    """A config with the suggestion beside it."""

    config: TrainConfig
    """The form's, in which values that nobody touched follow the suggestion."""
    followed: tuple[str, ...]
    """Which options changed by that."""
    suggestion: Suggestion | None
    """None for experts, and for an intent that is not here."""
    changed: tuple[str, ...]
    """Options that differ from what is suggested."""
    held: Held | None
    intents: Intents
    advised: Advised

    @property
    def is_unknown(self) -> bool:
        """Tell whether the config names an intent that is not here."""
        return self.suggestion is None and self.config.goal.intent != EXPERT


class Suggestions:
    """The suggestions for one home. Threads may share one."""

    def __init__(self, home: Path, advice: Advice) -> None:
        """Suggest by the intents of `home` and by what `advice` knows."""
        self._home = home
        self._advice = advice
        self._made: OrderedDict[str, tuple[float, Suggestion]] = OrderedDict()
        self._derived: dict[str, frozenset[str]] = {}
        self._lock = Lock()

    def intents(self, lang: str = "en") -> Intents:
        """Return the intents to choose from; problems in their files are told in `lang`."""
        return intents.load(self._home, lang)

    def look(self, config: TrainConfig, held: Held | None, lang: str = "en") -> Suggested:
        """Return what is suggested, with a config whose untouched values follow it.

        While the data are being looked at nothing follows: a little later there is more to say.
        """
        known, advised = self.intents(lang), self._advice.about(config)
        suggestion = self._suggestion(config, known, advised, held)
        if suggestion is None:
            return Suggested(config, (), None, (), None, known, advised)
        followed = () if advised.is_measuring else _untouched(config, suggestion, held)
        config = _with(config, suggestion, followed)
        changed = tuple(presets.overridden(config, suggestion))
        holds = held if advised.is_measuring else _held(suggestion)
        return Suggested(config, followed, suggestion, changed, holds, known, advised)

    def chosen(self, config: TrainConfig, lang: str = "en") -> Suggested:
        """Return the config with everything as its intent suggests, whatever it held."""
        known, advised = self.intents(lang), self._advice.about(config)
        suggestion = self._suggestion(config, known, advised, None)
        if suggestion is None:
            return Suggested(config, (), None, (), None, known, advised)
        paths = tuple(suggestion.reasons)
        config = _with(config, suggestion, paths)
        return Suggested(config, paths, suggestion, (), _held(suggestion), known, advised)

    def is_measuring(self, config: TrainConfig) -> bool:
        """Tell whether the data of a config are still being looked at."""
        return self._advice.about(config).is_measuring

    def _suggestion(
        self, config: TrainConfig, known: Intents, advised: Advised, held: Held | None
    ) -> Suggestion | None:
        intent = known.found.get(config.goal.intent)
        if intent is None:
            return None
        with self._lock:
            if advised.is_measuring and (last := self._last(intent, held)):
                return last
            derived = self._derived.get(intent.id, frozenset())
            since, made = self._made.get(_about(config, intent, advised, derived), (0.0, None))
            if made is None or time.monotonic() - since > _STEADY_SECONDS:
                made = presets.suggest(intent, config, advised.model, advised.data, advised.machine)
                self._keep(config, made, advised)
            return made

    def _last(self, intent: Intent, held: Held | None) -> Suggestion | None:
        """Return the suggestion that the page holds, if it was made here."""
        found = (made for _, made in reversed(self._made.values()) if made.intent == intent)
        return next((made for made in found if _held(made) == held), None)

    def _keep(self, config: TrainConfig, made: Suggestion, advised: Advised) -> None:
        derived = self._derived[made.intent.id] = frozenset(made.reasons)
        about = _about(config, made.intent, advised, derived)
        self._made[about] = (time.monotonic(), made)
        self._made.move_to_end(about)
        while len(self._made) > _KEPT:
            self._made.popitem(last=False)


def value(config: TrainConfig, path: str) -> Any:
    """Return the value of the option at `section.option`."""
    section, _, name = path.partition(".")
    return getattr(getattr(config, section), name)


def _about(config: TrainConfig, intent: Intent, advised: Advised, derived: frozenset[str]) -> str:
    """Return what a suggestion depends on, without the values that it sets itself."""
    content = config.model_dump(mode="json")
    facts = {
        f"{section}.{name}": each
        for section in _ABOUT
        for name, each in content[section].items()
        if f"{section}.{name}" not in derived
    }
    data = advised.data
    counted = data and (data.rows, data.held_out, data.supervised_tokens)
    machine = (config.memory.device, advised.machine.device, advised.model is None, counted)
    return json.dumps([intent.model_dump(mode="json"), facts, machine], sort_keys=True)


def _held(suggestion: Suggestion) -> Held:
    content = suggestion.config.model_dump(mode="json")
    values = {}
    for path in suggestion.reasons:
        section, _, name = path.partition(".")
        values[path] = content[section][name]
    return {"intent": suggestion.intent.id, "values": values}


def _untouched(config: TrainConfig, suggestion: Suggestion, held: Held | None) -> tuple[str, ...]:
    """Return the options that still have the value suggested last, and are now suggested others."""
    if not held or held.get("intent") != suggestion.intent.id:
        return ()
    before = held.get("values", {})
    content = config.model_dump(mode="json")
    found = []
    for path in suggestion.reasons:
        section, _, name = path.partition(".")
        is_untouched = path in before and content[section][name] == before[path]
        if is_untouched and value(config, path) != value(suggestion.config, path):
            found.append(path)
    return tuple(found)


def _with(config: TrainConfig, suggestion: Suggestion, paths: tuple[str, ...]) -> TrainConfig:
    """Return the config with these options as suggested."""
    new = {path.replace(".", "__", 1): value(suggestion.config, path) for path in paths}
    return config.changed(**new) if new else config
