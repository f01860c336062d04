"""An evaluation as Markdown. What people and models wrote is quoted, so that it stays text."""

from easytune.i18n import t
from easytune.services import evaluation_report_sheet
from easytune.services.evaluation_report_flips import FlipRow, FlipSheet
from easytune.services.evaluation_report_material import Material
from easytune.services.evaluation_report_sheet import Verdicts
from easytune.services.report_markdown import fenced, inline, table


def markdown(material: Material, lang: str) -> str:
    """Return the report as Markdown with GitHub's tables."""
    sheet = evaluation_report_sheet.write(material, lang)
    parts = [f"# {inline(sheet.title)}", inline(sheet.subtitle)]
    parts += [_verdicts(one) for one in sheet.verdicts]
    if sheet.remarks:
        title = t("evaluation_report.remarks", lang)
        parts.append(f"## {title}\n\n" + _list(sheet.remarks))
    parts += [table(one) for one in sheet.results]
    parts += [_flips(one, lang) for one in sheet.flips]
    parts += [table(one) for one in sheet.facts]
    parts += [f"## {t('evaluation_report.again', lang)}", fenced(sheet.config, "yaml")]
    return "\n\n".join(parts) + "\n"


def _verdicts(found: Verdicts) -> str:
    return f"## {inline(found.title)}\n\n" + _list(found.lines)


def _list(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {inline(line)}" for line in lines)


def _flips(found: FlipSheet, lang: str) -> str:
    parts = [f"## {inline(found.title)}", inline(found.note)]
    parts += [_row(row, found, lang) for row in found.rows]
    return "\n\n".join(parts)


def _row(row: FlipRow, sheet: FlipSheet, lang: str) -> str:
    parts = [f"### {inline(row.title)}", inline(row.scores)]
    parts += [f"{role}\n\n{fenced(content)}" for role, content in row.turns]
    if row.reference:
        parts.append(f"{t('report_comparison.reference', lang)}\n\n{fenced(row.reference)}")
    for label, text in ((sheet.first, row.before), (sheet.model, row.after)):
        parts.append(f"**{inline(label)}**\n\n{fenced(text)}")
    return "\n\n".join(parts)
