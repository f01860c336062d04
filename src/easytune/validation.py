"""What is wrong with a configuration, in plain sentences: one per broken rule."""

import difflib
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from easytune.i18n import has, t


def explain(error: ValidationError, lang: str = "en") -> list[tuple[str, str]]:
    """Return `(section.option, sentence)` for every broken rule, in the order of the options.

    Texts are `config.invalid.<pydantic error type>`; rules of our own raise PydanticCustomError
    and have their texts in the same place.
    """
    return [(_path(details), sentence(details, lang)) for details in error.errors()]


def lines(error: ValidationError, lang: str = "en") -> str:
    """Return all of `explain` as lines `section.option: sentence`."""
    return "\n".join(f"{path}: {text}" for path, text in explain(error, lang))


def sentence(details: ErrorDetails, lang: str = "en") -> str:
    """Return what is wrong with one value."""
    key = f"config.invalid.{details['type']}"
    text = t(key, lang, **_values(details)) if has(key) else details["msg"]
    item = next((part for part in details["loc"][2:] if isinstance(part, int)), None)
    return text if item is None else t("config.invalid.item", lang, n=item + 1, text=text)


def closest(name: str, known: list[str]) -> str | None:
    """Return the known name that `name` was probably meant to be."""
    exact = [path for path in known if path.rpartition(".")[2] == name.rpartition(".")[2]]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return exact[0] if len(exact) == 1 else (near or [None])[0]


def _path(details: ErrorDetails) -> str:
    return ".".join(str(part) for part in details["loc"][:2])


def _values(details: ErrorDetails) -> dict[str, Any]:
    context = {name: _short(value, 900) for name, value in details.get("ctx", {}).items()}
    if "expected" in context:
        context["expected"] = context["expected"].replace(" or ", ", ").replace("'", "")
    return {"given": _short(details["input"], 60)} | context


def _short(value: Any, limit: int) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
