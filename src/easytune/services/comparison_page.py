"""A comparison as an HTML page that needs nothing else: no script, no font, no picture."""

from collections.abc import Iterator
from html import escape

from easytune.i18n import t
from easytune.services.comparison_sheet import Sheet, SheetAnswer, SheetPrompt
from easytune.services.report_html import document, marked, said, table

_STYLE = """
.prompt { border-top: 1px solid var(--line); }
.answers { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); }
.answer { background: var(--card); border-radius: 8px; padding: 12px; min-width: 0; }
details { margin-bottom: 8px; color: var(--soft); }
@media print { .answer { break-inside: avoid; } }
"""


def page(sheet: Sheet, lang: str) -> str:
    """Return the page, with the words marked in which an answer differs from the first column's."""
    parts = [*(table(one) for one in sheet.tables), *_prompts(sheet, lang)]
    return document(sheet.title, sheet.subtitle, parts, lang, _STYLE)


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
        parts.append(f'<div class="soft">{escape(role)}</div>{said(content)}')
    if prompt.reference:
        title = t("report_comparison.reference", lang)
        parts.append(f'<div class="soft">{escape(title)}</div>{said(prompt.reference)}')
    first = prompt.answers[0].text
    answers = "\n".join(
        _answer(answer, first if place else None, lang)
        for place, answer in enumerate(prompt.answers)
    )
    return "\n".join([*parts, f'<div class="answers">{answers}</div></section>'])


def _answer(answer: SheetAnswer, first: str | None, lang: str) -> str:
    parts = [f'<article class="answer"><h3>{escape(answer.label)}</h3>']
    if answer.problem:
        parts.append(f'<p class="problem">{escape(answer.problem)}</p>')
    if answer.thinking:
        title = escape(t("report_comparison.thinking", lang))
        thought = f'<div class="text">{escape(answer.thinking)}</div>'
        parts.append(f"<details><summary>{title}</summary>{thought}</details>")
    parts.append(f'<div class="text">{marked(first, answer.text)}</div>')
    parts.append(f'<div class="facts">{escape(" · ".join(answer.facts))}</div></article>')
    return "".join(parts)
