"""A comparison as an HTML page that needs nothing else: no script, no font, no picture."""

from collections.abc import Iterator
from html import escape

from easytune.i18n import t
from easytune.services.comparison_sheet import Sheet, SheetAnswer, SheetPrompt, Table
from easytune.services.differences import differences

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
.prompt { border-top: 1px solid var(--line); }
.text { white-space: pre-wrap; overflow-wrap: anywhere; margin: 0 0 8px; }
.said { border-left: 3px solid var(--line); padding-left: 10px; }
.answers { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); }
.answer { background: var(--card); border-radius: 8px; padding: 12px; min-width: 0; }
.problem { color: var(--bad); margin: 0 0 8px; }
mark { background: var(--mark); color: inherit; border-radius: 2px; }
details { margin-bottom: 8px; color: var(--soft); }
@media print { .answer { break-inside: avoid; } }
"""
# Nothing may be loaded, whatever an answer says.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def page(sheet: Sheet, lang: str) -> str:
    """Return the page, with the words marked in which an answer differs from the first column's."""
    return "\n".join(
        [
            "<!doctype html>",
            f'<html lang="{escape(lang)}">',
            '<head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(sheet.title)}</title>",
            f"<style>{_STYLE}</style></head>",
            "<body>",
            f"<h1>{escape(sheet.title)}</h1>",
            f'<p class="soft">{escape(sheet.subtitle)}</p>',
            *(_table(table) for table in sheet.tables),
            *_prompts(sheet, lang),
            "</body></html>",
            "",
        ]
    )


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.head)
    rows = "\n".join(
        f'<tr><th scope="row">{escape(first)}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        + "</tr>"
        for first, *rest in table.rows
    )
    return (
        f'<h2>{escape(table.title)}</h2>\n<div class="scroll"><table>'
        f"<thead><tr>{head}</tr></thead>\n<tbody>{rows}</tbody></table></div>"
    )


def _prompts(sheet: Sheet, lang: str) -> Iterator[str]:
    if not sheet.prompts:
        return
    yield f"<h2>{escape(t('report_comparison.prompts', lang))}</h2>"
    label = sheet.prompts[0].answers[0].label
    note = t("report_comparison.marked", lang, label=label)
    yield f'<p class="soft">{escape(note)}</p>'
    for prompt in sheet.prompts:
        yield _prompt(prompt, lang)


def _prompt(prompt: SheetPrompt, lang: str) -> str:
    parts = [f'<section class="prompt"><h2>{escape(prompt.title)}</h2>']
    for role, content in prompt.turns:
        parts.append(f'<div class="soft">{escape(role)}</div>{_said(content)}')
    if prompt.reference:
        title = t("report_comparison.reference", lang)
        parts.append(f'<div class="soft">{escape(title)}</div>{_said(prompt.reference)}')
    first = prompt.answers[0].text
    answers = "\n".join(
        _answer(answer, first if place else None, lang)
        for place, answer in enumerate(prompt.answers)
    )
    return "\n".join([*parts, f'<div class="answers">{answers}</div></section>'])


def _said(text: str) -> str:
    return f'<div class="text said">{escape(text)}</div>'


def _answer(answer: SheetAnswer, first: str | None, lang: str) -> str:
    parts = [f'<article class="answer"><h3>{escape(answer.label)}</h3>']
    if answer.problem:
        parts.append(f'<p class="problem">{escape(answer.problem)}</p>')
    if answer.thinking:
        title = escape(t("report_comparison.thinking", lang))
        thought = f'<div class="text">{escape(answer.thinking)}</div>'
        parts.append(f"<details><summary>{title}</summary>{thought}</details>")
    parts.append(f'<div class="text">{_marked(first, answer.text)}</div>')
    parts.append(f'<div class="facts">{escape(" · ".join(answer.facts))}</div></article>')
    return "".join(parts)


def _marked(first: str | None, text: str) -> str:
    """Return a text escaped, marked where it differs from the first column's, if that has one."""
    if not first:
        return escape(text)
    return "".join(
        f"<mark>{escape(part)}</mark>" if is_changed else escape(part)
        for part, is_changed in differences(first, text)
    )
