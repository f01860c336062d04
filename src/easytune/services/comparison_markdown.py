"""A comparison as Markdown. What people and models wrote is quoted, so that it stays text."""

import re

from easytune.i18n import t
from easytune.services.comparison_sheet import Sheet, SheetAnswer, SheetPrompt, Table

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def markdown(sheet: Sheet, lang: str) -> str:
    """Return the sheet as Markdown with GitHub's tables."""
    parts = [f"# {_inline(sheet.title)}", _inline(sheet.subtitle)]
    parts += [_table(table) for table in sheet.tables]
    if sheet.prompts:
        parts.append(f"## {t('report_comparison.prompts', lang)}")
    parts += [_prompt(prompt, lang) for prompt in sheet.prompts]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    rows = [_row(table.head), f"|{' --- |' * len(table.head)}", *map(_row, table.rows)]
    return f"## {table.title}\n\n" + "\n".join(rows)


def _row(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(_inline(cell) for cell in cells)} |"


def _prompt(prompt: SheetPrompt, lang: str) -> str:
    parts = [f"### {prompt.title}"]
    parts += [f"{role}\n\n{_fenced(content)}" for role, content in prompt.turns]
    if prompt.reference:
        parts.append(f"{t('report_comparison.reference', lang)}\n\n{_fenced(prompt.reference)}")
    parts += [_answer(answer, lang) for answer in prompt.answers]
    return "\n\n".join(parts)


def _answer(answer: SheetAnswer, lang: str) -> str:
    parts = [f"#### {_inline(answer.label)}"]
    if answer.problem:
        parts.append(f"**{_inline(answer.problem)}**")
    if answer.thinking:
        parts.append(f"{t('report_comparison.thinking', lang)}\n\n{_fenced(answer.thinking)}")
    if answer.text:
        parts.append(_fenced(answer.text))
    if answer.facts:
        parts.append(_inline(" · ".join(answer.facts)))
    return "\n\n".join(parts)


def _inline(text: str) -> str:
    """Return a text for one line, nothing in it read as markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _fenced(text: str) -> str:
    """Return a text in a fence that is longer than any in it."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
