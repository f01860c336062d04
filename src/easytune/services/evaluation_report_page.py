"""An evaluation as an HTML page that needs nothing else: no script, no font, no picture."""

from collections.abc import Iterator
from html import escape

from easytune.i18n import t
from easytune.services import evaluation_report_sheet
from easytune.services.evaluation_report_charts import charts
from easytune.services.evaluation_report_flips import FlipRow, FlipSheet
from easytune.services.evaluation_report_material import Material
from easytune.services.evaluation_report_sheet import Sheet, Verdicts
from easytune.services.report_html import document, marked, said, table

_STYLE = """
:root { --c0: #8a94a3; --c1: #2f6fde; --c2: #c2571a; --c3: #2e8b57; --c4: #8e44ad; --c5: #b8860b; }
.verdict { background: var(--card); border-radius: 8px; padding: 10px 14px; margin: 12px 0; }
.verdict h3 { margin-bottom: 4px; }
.verdict ul { margin: 0; padding-left: 18px; }
.charts { display: flex; flex-wrap: wrap; gap: 20px; }
figure { margin: 0; min-width: 0; max-width: 100%; }
figcaption { color: var(--soft); font-size: .85rem; margin-bottom: 4px; }
svg { display: block; max-width: 100%; height: auto; font: 11px system-ui, sans-serif; }
svg text { fill: var(--soft); }
svg text.name { fill: var(--ink); }
details.flips { margin: 12px 0; }
details.flips > summary { cursor: pointer; font-size: 1.1rem; font-weight: 600; }
.row { border-top: 1px solid var(--line); padding-top: 10px; margin-top: 10px; }
.pair { display: grid; gap: 12px; grid-template-columns: repeat(auto-fit, minmax(260px, 1fr)); }
.pair > div { background: var(--card); border-radius: 8px; padding: 10px; min-width: 0; }
pre { background: var(--card); border-radius: 8px; padding: 12px; overflow-x: auto; }
@media print { .row, figure { break-inside: avoid; } }
"""


def page(material: Material, lang: str) -> str:
    """Return the page: verdicts, charts, figures, flips, and all it takes to repeat it."""
    sheet = evaluation_report_sheet.write(material, lang)
    parts = [*map(_verdicts, sheet.verdicts), *_remarks(sheet, lang), *_charts(material, lang)]
    parts += [table(one) for one in sheet.results]
    parts += [_flips(one, lang) for one in sheet.flips]
    parts += [table(one) for one in sheet.facts]
    parts.append(f"<h2>{escape(t('evaluation_report.again', lang))}</h2>")
    parts.append(f"<pre>{escape(sheet.config)}</pre>")
    return document(sheet.title, sheet.subtitle, parts, lang, _STYLE)


def _verdicts(found: Verdicts) -> str:
    lines = "".join(f"<li>{escape(line)}</li>" for line in found.lines)
    return f'<section class="verdict"><h3>{escape(found.title)}</h3><ul>{lines}</ul></section>'


def _remarks(sheet: Sheet, lang: str) -> Iterator[str]:
    if sheet.remarks:
        yield f"<h2>{escape(t('evaluation_report.remarks', lang))}</h2>"
        yield "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in sheet.remarks) + "</ul>"


def _charts(material: Material, lang: str) -> Iterator[str]:
    drawn = [
        f"<figure><figcaption>{escape(chart.title)}</figcaption>{chart.svg}</figure>"
        for chart in charts(material, lang)
    ]
    if drawn:
        yield f"<h2>{escape(t('evaluation_report.charts', lang))}</h2>"
        yield '<div class="charts">' + "\n".join(drawn) + "</div>"


def _flips(found: FlipSheet, lang: str) -> str:
    rows = "\n".join(_row(row, found, lang) for row in found.rows)
    return (
        f'<details class="flips" open><summary>{escape(found.title)}</summary>'
        f'<p class="soft">{escape(found.note)}</p>{rows}</details>'
    )


def _row(row: FlipRow, sheet: FlipSheet, lang: str) -> str:
    parts = [f'<section class="row"><h3>{escape(row.title)}</h3>']
    parts.append(f'<div class="facts">{escape(row.scores)}</div>')
    for role, content in row.turns:
        parts.append(f'<div class="soft">{escape(role)}</div>{said(content)}')
    if row.reference:
        title = t("report_comparison.reference", lang)
        parts.append(f'<div class="soft">{escape(title)}</div>{said(row.reference)}')
    # Each is marked where it differs from the other.
    before = _answer(sheet.first, marked(row.after, row.before))
    after = _answer(sheet.model, marked(row.before, row.after))
    return "\n".join([*parts, f'<div class="pair">{before}{after}</div></section>'])


def _answer(label: str, markup: str) -> str:
    return f'<div><h3>{escape(label)}</h3><div class="text">{markup}</div></div>'
