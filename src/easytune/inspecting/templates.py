"""The chat templates that came along, wherever they lie, beside the base's own."""

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from easytune.inspecting import settings_text, template_audit, template_trial
from easytune.inspecting.findings import Findings
from easytune.inspecting.listing import Listed
from easytune.inspecting.pinned import Base
from easytune.inspection_files import ComparedTemplate

_IN_JSON = (
    "tokenizer_config.json", "chat_template.json", "processor_config.json",
    "preprocessor_config.json",
)  # fmt: skip
_LARGEST = 200_000
_LONGEST_DIFF = 400
_MOST = 32


def check(listed: Listed, base: Base | None, findings: Findings) -> tuple[ComparedTemplate, ...]:
    """Return the templates beside the base's own, noting what is in them."""
    theirs = base.template() if base else ""
    found = dict(_all(listed, findings))
    if len(found) > _MOST:
        # Each is rendered once, and a hostile one takes the seconds that it gets.
        findings.add("templates_many", "critical", count=len(found))
        return ()
    for place, text in found.items():
        if text.strip() != theirs.strip():
            _check_one(place, text, theirs, findings)
    defaults = {text.strip() for place, text in found.items() if _is_default(place)}
    if len(defaults) > 1:
        findings.add("templates_disagree", "high", count=len(defaults))
    return tuple(_compared(place, text, theirs) for place, text in found.items())


def _all(listed: Listed, findings: Findings) -> Iterator[tuple[str, str]]:
    for name in listed.sizes:
        if name.endswith((".jinja", ".jinja2", ".j2")):
            yield name, _read(listed.root / name)
    for name in _IN_JSON:
        if listed.has(name):
            content = settings_text.read(listed.root, name, findings)
            yield from _in(content.get("chat_template"), name, findings)


def _read(path: Path) -> str:
    # Decoded leniently: what cannot be read shows as such, and is no valid template either.
    return path.read_bytes()[: _LARGEST + 1].decode("utf-8", "replace")


def _in(said: Any, name: str, findings: Findings) -> Iterator[tuple[str, str]]:
    """Yield the one template, or the named ones, that a settings file holds."""
    match said:
        case None:
            return
        case str():
            yield name, said
        case dict() if all(isinstance(one, str) for one in said.values()):
            yield from ((f"{name}#{key}", one) for key, one in said.items())
        case list():
            for place, one in enumerate(said):
                text = one.get("template") if isinstance(one, dict) else None
                if isinstance(text, str):
                    yield f"{name}#{one.get('name', place)}", text
                else:
                    findings.add("template_invalid", "critical", file=name, reason=str(one))
        case _:
            findings.add("template_invalid", "critical", file=name, reason=str(said))


def _is_default(place: str) -> bool:
    return "/" not in place and ("#" not in place or place.endswith("#default"))


def _check_one(place: str, text: str, theirs: str, findings: Findings) -> None:
    if len(text) > _LARGEST:
        findings.add("template_large", "critical", file=place, letters=len(text))
        return
    audited = template_audit.audit(text, theirs)
    for one in audited:
        findings.add(one.code, one.severity, file=place, **one.values)
    if not any(one.severity == "critical" for one in audited):
        template_trial.check(place, text, findings)


def _compared(place: str, text: str, theirs: str) -> ComparedTemplate:
    if text.strip() == theirs.strip():
        return ComparedTemplate(place=place, text=text[:_LARGEST], same=True)
    lines = difflib.unified_diff(
        theirs[:_LARGEST].splitlines(), text[:_LARGEST].splitlines(), "base", place, lineterm=""
    )
    diff = [line[:500] for _, line in zip(range(_LONGEST_DIFF), lines, strict=False)]
    return ComparedTemplate(place=place, text=text[:_LARGEST], diff=tuple(diff))
