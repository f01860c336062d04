"""Pieces of reports in Markdown. What people and models wrote stays text, whatever is in it."""

import re

from easytune.services.report_table import Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def table(found: Table) -> str:
    """Return a heading and a table as GitHub draws it."""
    rows = [_row(found.head), f"|{' --- |' * len(found.head)}", *map(_row, found.rows)]
    return f"## {found.title}\n\n" + "\n".join(rows)


def inline(text: str) -> str:
    """Return a text for one line, nothing in it read as markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def fenced(text: str, language: str = "text") -> str:
    """Return a text in a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(inline(cell) for cell in cells)} |"
