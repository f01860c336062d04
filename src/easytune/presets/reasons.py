"""Why a value is suggested: a code and the numbers in it, and the sentence made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from easytune.i18n import t
from easytune.intents import spoken


@dataclass(frozen=True)
class Reason:
    """Why a value is suggested: texts are `intent.reason.<code>`, filled with `values`.

    `own` are the words of an intent's file instead, by language.
    """

    code: str
    values: Mapping[str, Any] = field(default_factory=dict)
    own: Mapping[str, str] = field(default_factory=dict)


def sentence(reason: Reason, lang: str = "en") -> str:
    """Return a reason in one sentence."""
    values = {name: _written(value) for name, value in reason.values.items()}
    if reason.own:
        return spoken(dict(reason.own), lang).format_map(_Lenient(values))
    return t(f"intent.reason.{reason.code}", lang, **values)


class _Lenient(dict[str, str]):
    """Leaves a placeholder visible that has no value here."""

    def __missing__(self, name: str) -> str:
        return "{" + name + "}"


def _written(value: Any) -> str:
    """Return a value as people write it: `180,000`, `0.0002`, `1.4`."""
    match value:
        case bool():
            return str(value).lower()
        case int():
            return f"{value:,}"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
        case tuple() | list():
            return ", ".join(map(str, value))
    return str(value)
