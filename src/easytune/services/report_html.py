"""Pieces of reports as HTML: a page that needs nothing else, tables, and marked differences."""

from collections.abc import Iterable
from html import escape

from easytune.services.differences import differences
from easytune.services.report_table import Table

_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6573; --line: #d9dee5;
  --page: #ffffff; --card: #f6f7f9; --mark: #ffe9a8; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa4b2; --line: #343b47;
  --page: #14171c; --card: #1d2128; --mark: #5c4a12; --bad: #ff9c94; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1400px; padding: 24px 16px 64px; background: var(--page);
  color: var(--ink); font: 15px/1.5 system-ui, "Noto Sans CJK SC", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 32px 0 8px; }
h3 { font-size: .95rem; margin: 0 0 6px; overflow-wrap: anywhere; }
.soft, .facts { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { border-bottom: 1px solid var(--line); padding: 4px 16px 4px 0; text-align: left;
  vertical-align: top; white-space: pre-wrap; overflow-wrap: anywhere; }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 8px; }
.said { border-left: 3px solid var(--line); padding-left: 10px; }
.problem { color: var(--bad); margin: 0 0 8px; }
mark { background: var(--mark); color: inherit; border-radius: 2px; }
"""
# Nothing may be loaded, whatever an answer says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def document(title: str, subtitle: str, parts: Iterable[str], lang: str, style: str = "") -> str:
    """Return a page of its own: no script, no font, no picture. `parts` are HTML, the rest text."""
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{escape(lang)}">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}{style}</style></head>",
            "<body>",
            f"<h1>{escape(title)}</h1>",
            f'<p class="soft">{escape(subtitle)}</p>',
            *parts,
            "</body></html>",
            "",
        ]
    )


def table(found: Table) -> str:
    """Return a heading and a table, which scrolls by itself where the page is narrow."""
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in found.head)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in found.rows
    )
    return (
        f'<h2>{escape(found.title)}</h2>\n<div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
    )


def said(text: str) -> str:
    """Return what somebody wrote, set off from the rest."""
    return f'<div class="text said">{escape(text)}</div>'


def marked(first: str | None, text: str) -> str:
    """Return a text escaped, marked where it differs from the first column's, if that has one."""
    if not first:
        return escape(text)
    return "".join(
        f"<mark>{escape(part)}</mark>" if is_changed else escape(part)
        for part, is_changed in differences(first, text)
    )
