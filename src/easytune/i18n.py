"""Texts in the user's language, read from `locales/<lang>.yaml`.

Keys are dotted paths into the file: `error.too_few_rows`. English labels and tooltips of options
come from `config.py`, where each option is declared; see `easytune.webui.form`.
"""

import re
from functools import cache
from typing import Any

import yaml

from easytune import paths

DEFAULT_LANGUAGE = "en"
# The same safe YAML, ten times as fast where libyaml is there.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_KEY = re.compile(r"@(\w+(?:\.\w+)+)")


@cache
def languages() -> tuple[str, ...]:
    """Return the languages there are texts for, English first."""
    found = sorted(file.stem for file in paths.LOCALES.glob("*.yaml"))
    return tuple(sorted(found, key=lambda lang: lang != DEFAULT_LANGUAGE))


@cache
def texts(lang: str) -> dict[str, str]:
    """Return all texts of a language, by dotted key."""
    content = yaml.load((paths.LOCALES / f"{lang}.yaml").read_text(encoding="utf-8"), _LOADER)
    return dict(_flatten(content, ""))


def t(key: str, lang: str = DEFAULT_LANGUAGE, /, **values: Any) -> str:
    """Return the text for `key` with `values` filled in.

    A language that lacks the key falls back to English, an unknown key to the key itself, so
    that a message from a newer job still says something. A value may name texts in turn, which the
    other values fill in: "3 × @data.reason.null".
    """
    template = _text(key, lang)
    if template is None:
        return f"{key} {values}" if values else key
    filled = _Lenient({name: _in_words(value, lang, values) for name, value in values.items()})
    return template.format_map(filled)


def has(key: str, lang: str = DEFAULT_LANGUAGE) -> bool:
    """Tell whether a language has its own text for `key`."""
    return key in texts(lang)


def _text(key: str, lang: str) -> str | None:
    known = texts(lang) if lang in languages() else {}
    return known.get(key) or texts(DEFAULT_LANGUAGE).get(key)


def _in_words(value: Any, lang: str, values: dict[str, Any]) -> Any:
    """Replace each `@dotted.key` in a value by its text, filled in with `values`."""
    if not isinstance(value, str) or "@" not in value:
        return value
    # What a text names in turn is not looked up again, so that none can name itself for ever.
    plain = _Lenient({name: _without_keys(one, lang) for name, one in values.items()})

    def text(found: re.Match[str]) -> str:
        known = _text(found[1], lang)
        return found[0] if known is None else known.format_map(plain)

    return _KEY.sub(text, value)


def _without_keys(value: Any, lang: str) -> Any:
    """Replace each `@dotted.key` in a value by its text as it stands."""
    if not isinstance(value, str) or "@" not in value:
        return value
    return _KEY.sub(lambda found: _text(found[1], lang) or found[0], value)


class _Lenient(dict[str, Any]):
    """Leaves a placeholder without a value visible instead of raising."""

    def __missing__(self, name: str) -> str:
        return "{" + name + "}"


def _flatten(node: dict[str, Any], prefix: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in node.items():
        key = f"{prefix}{name}"
        pairs += _flatten(value, f"{key}.") if isinstance(value, dict) else [(key, str(value))]
    return pairs
