"""The findings of one check while they are gathered."""

from collections import Counter
from typing import Any

from easytune.inspection_files import Finding, Severity

# A file can be wrong in ten thousand places: who reads about twelve knows.
_MOST_OF_A_KIND = 12
_LONGEST_TEXT = 300


class Findings:
    """Findings in the order in which they were made."""

    def __init__(self) -> None:
        self._found: list[Finding] = []
        self._more: Counter[tuple[str, Severity]] = Counter()

    def add(self, code: str, severity: Severity, file: str = "", **values: Any) -> None:
        """Note something; the same thing about the same file is noted once."""
        one = Finding(code=code, severity=severity, file=file, values=_short(values))
        if one in self._found:
            return
        if sum(other.code == code for other in self._found) >= _MOST_OF_A_KIND:
            self._more[code, severity] += 1
            return
        self._found.append(one)

    def all(self) -> tuple[Finding, ...]:
        """Return what was found, and how much of a kind was left out."""
        more = [
            Finding(code="and_more", severity=severity, values={"count": count, "of": code})
            for (code, severity), count in self._more.items()
        ]
        return (*self._found, *more)

    def has(self, *severities: Severity) -> bool:
        """Tell whether anything of these severities was found."""
        return any(one.severity in severities for one in self._found)

    def codes(self) -> set[str]:
        """Return the codes there are."""
        return {one.code for one in self._found}


def _short(values: dict[str, Any]) -> dict[str, Any]:
    return {name: printable(v) if isinstance(v, str) else v for name, v in values.items()}


def printable(text: str) -> str:
    """Return a stranger's text without what cannot be seen, and not too long."""
    seen = "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text[: _LONGEST_TEXT + 1])
    return seen if len(seen) <= _LONGEST_TEXT else seen[:_LONGEST_TEXT] + "…"
