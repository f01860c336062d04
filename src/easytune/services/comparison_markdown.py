"""A comparison as Markdown. What people and models wrote is quoted, so that it stays text."""

from easytune.i18n import t
from easytune.services.comparison_sheet import Sheet, SheetAnswer, SheetPrompt
from easytune.services.report_markdown import fenced, inline, table


def markdown(sheet: Sheet, lang: str) -> str:
    """Return the sheet as Markdown with GitHub's tables."""
    parts = [f"# {inline(sheet.title)}", inline(sheet.subtitle)]
    parts += [table(one) for one in sheet.tables]
    if sheet.prompts:
        parts.append(f"## {t('report_comparison.prompts', lang)}")
    parts += [_prompt(prompt, lang) for prompt in sheet.prompts]
    return "\n\n".join(parts) + "\n"


def _prompt(prompt: SheetPrompt, lang: str) -> str:
    parts = [f"### {prompt.title}"]
    parts += [f"{role}\n\n{fenced(content)}" for role, content in prompt.turns]
    if prompt.reference:
        parts.append(f"{t('report_comparison.reference', lang)}\n\n{fenced(prompt.reference)}")
    parts += [_answer(answer, lang) for answer in prompt.answers]
    return "\n\n".join(parts)


def _answer(answer: SheetAnswer, lang: str) -> str:
    parts = [f"#### {inline(answer.label)}"]
    if answer.problem:
        parts.append(f"**{inline(answer.problem)}**")
    if answer.thinking:
        parts.append(f"{t('report_comparison.thinking', lang)}\n\n{fenced(answer.thinking)}")
    if answer.text:
        parts.append(fenced(answer.text))
    if answer.facts:
        parts.append(inline(" · ".join(answer.facts)))
    return "\n\n".join(parts)
