"""Texts in the user's language, read from `locales/<lang>.yaml`.

Keys are dotted paths into the file: `error.too_few_rows`. English labels and tooltips of options
come from `config.py`, where each option is declared; see `easytune.webui.form`.
"""

from functools import cache
from typing import Any

import yaml

from easytune import paths

DEFAULT_LANGUAGE = "en"


@cache
def languages() -> tuple[str, ...]:
    """Return the languages there are texts for, English first."""
    found = sorted(file.stem for file in paths.LOCALES.glob("*.yaml"))
    return tuple(sorted(found, key=lambda lang: lang != DEFAULT_LANGUAGE))


@cache
def texts(lang: str) -> dict[str, str]:
    """Return all texts of a language, by dotted key."""
    content = yaml.safe_load((paths.LOCALES / f"{lang}.yaml").read_text(encoding="utf-8"))
    return dict(_flatten(content, ""))


def t(key: str, lang: str = DEFAULT_LANGUAGE, /, **values: Any) -> str:
    """Return the text for `key` with `values` filled in.

    A language that lacks the key falls back to English, an unknown key to the key itself, so
    that a message from a newer job still says something.
    """
    known = texts(lang) if lang in languages() else {}
    template = known.get(key) or texts(DEFAULT_LANGUAGE).get(key)
    if template is None:
        return f"{key} {values}" if values else key
    return template.format_map(_Lenient(values))


def has(key: str, lang: str = DEFAULT_LANGUAGE) -> bool:
    """Tell whether a language has its own text for `key`."""
    return key in texts(lang)


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
